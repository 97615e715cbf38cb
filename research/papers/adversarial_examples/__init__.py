"""Explaining and Harnessing Adversarial Examples: its data, what attacks come to, its figures."""
