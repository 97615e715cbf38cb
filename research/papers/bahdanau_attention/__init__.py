"""What `experiments/bahdanau_attention.py` alone uses."""
