"""Where data sets come from: TFDS, original releases, what is embedded."""
