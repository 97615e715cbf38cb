"""Images: augmentation, crops, and what makes batches of them."""
