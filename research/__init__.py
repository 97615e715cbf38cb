"""Landmarks: the papers that made deep learning, in JAX."""
