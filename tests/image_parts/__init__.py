"""The helpers of tests/image, which contains the checks."""
