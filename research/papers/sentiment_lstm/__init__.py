"""What `experiments/sentiment_lstm.py` alone uses."""
