"""Memories: frames, transitions, segments, sequences, goals."""
