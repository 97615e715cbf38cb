"""Highway Networks: what its layers do once trained, and what each is worth."""
