"""What `experiments/one_shot_imitation.py` alone uses."""
