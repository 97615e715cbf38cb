"""What a run leaves for people: claims, results, tables, curves, one page."""
