"""Readers of the original releases' files, `(folder, split) -> records`."""
