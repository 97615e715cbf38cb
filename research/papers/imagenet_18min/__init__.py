"""What `experiments/imagenet_18min.py` alone uses."""
