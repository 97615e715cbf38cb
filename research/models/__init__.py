"""Architectures, one a file, named after it."""
