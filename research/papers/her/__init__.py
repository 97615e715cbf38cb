"""What `experiments/her.py` alone uses."""
