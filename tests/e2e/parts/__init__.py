"""The real parts the tests are made of: one file each."""
