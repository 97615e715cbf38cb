"""Sound: mu-law, spectra, files, and clips of speakers cut for training."""
