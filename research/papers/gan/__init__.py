"""What "Generative Adversarial Nets" alone uses: its images, its figure."""
