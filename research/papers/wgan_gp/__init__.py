"""What "Improved Training of Wasserstein GANs" alone uses: studies of a critic, networks."""
