"""Networks that are stacks of two cells: as they are built, and all of them in one program."""
