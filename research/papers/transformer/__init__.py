"""What `experiments/transformer.py` alone uses."""
