"""Data made by code: nothing to download; seeded, vectorised, with their ground truth."""
