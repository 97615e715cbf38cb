"""What `experiments/dcgan.py` alone uses."""
