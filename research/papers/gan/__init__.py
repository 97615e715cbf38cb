"""What "Generative Adversarial Nets" alone uses: its theory on densities that are known."""
