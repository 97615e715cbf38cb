"""What `experiments/gpt1.py` alone uses."""
