"""What the script of `seq2seq` alone uses."""
