"""Evolution of architectures: spaces and mutations, populations in a folder, pictures."""
