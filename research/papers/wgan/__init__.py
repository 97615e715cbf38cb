"""What "Wasserstein GAN" alone uses: its schedule of updates and its parallel lines."""
