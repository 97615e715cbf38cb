"""What `experiments/alexnet.py` alone uses."""
