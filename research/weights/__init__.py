"""Trained weights apart from the runs that made them: which they are, as files, as a beginning."""
