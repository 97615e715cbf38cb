"""What `experiments/gail.py` alone uses."""
