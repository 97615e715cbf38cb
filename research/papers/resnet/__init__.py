"""What `experiments/resnet.py` alone uses."""
