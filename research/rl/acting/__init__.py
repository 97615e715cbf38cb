"""Actors on the device, their rollouts, and whole episodes."""
