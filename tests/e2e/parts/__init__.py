"""The real programs and services that the tests use, one per file."""
