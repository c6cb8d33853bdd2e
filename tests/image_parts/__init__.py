"""What tests/image is made of; the checks themselves are there."""
