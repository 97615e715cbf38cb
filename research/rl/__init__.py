"""Reinforcement learning: environments, acting, replay, agents."""
