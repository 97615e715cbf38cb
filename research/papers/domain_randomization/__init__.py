"""What `experiments/domain_randomization.py` alone uses."""
