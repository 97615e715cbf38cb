"""What Auto-Encoding Variational Bayes alone uses."""
