"""Objectives that more than one paper uses."""
