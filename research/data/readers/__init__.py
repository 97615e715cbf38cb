"""Readers of the original releases' files: `(folder, split) -> records`. A module a kind of data."""
