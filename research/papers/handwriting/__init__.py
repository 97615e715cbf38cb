"""Of Graves 2013: the network that writes, lines of handwriting, measures and pictures of them."""
