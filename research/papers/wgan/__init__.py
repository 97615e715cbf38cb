"""What "Wasserstein GAN" alone uses: its schedule of updates, its figures."""
