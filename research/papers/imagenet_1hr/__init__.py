"""What `experiments/imagenet_1hr.py` alone uses."""
