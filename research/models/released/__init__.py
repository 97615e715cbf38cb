"""Weights that others have released for the architectures here: their names and layouts, and ours.

Each module takes arrays by the names of the released file and gives a model's variables. Where the
names are not known, it says so with None: the arrays are then somebody else's.
"""
