"""What `experiments/seq2seq.py` alone uses."""
