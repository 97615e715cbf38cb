"""Text: corpora, vocabularies, pairs, packing."""
