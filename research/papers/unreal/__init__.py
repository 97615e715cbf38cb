"""What `experiments/unreal.py` alone uses."""
