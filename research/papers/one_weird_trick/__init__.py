"""What `experiments/one_weird_trick.py` alone uses."""
