"""Layers that more than one model uses, one idea a file."""
