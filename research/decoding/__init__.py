"""Sequences from a model: greedy, sampled, beam."""
