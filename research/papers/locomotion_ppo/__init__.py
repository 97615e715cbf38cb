"""What `experiments/locomotion_ppo.py` alone uses."""
