"""Optimizers, schedules and averages as optax transformations."""
