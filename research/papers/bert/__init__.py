"""What `experiments/bert.py` alone uses."""
