"""What `experiments/gpt.py` alone uses."""
