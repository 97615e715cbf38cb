"""What `experiments/human_preferences.py` alone uses."""
