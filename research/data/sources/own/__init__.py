"""Data of one's own: folders of images, texts, pairs of sentences, tables.

folder:PATH          images in folders that are named after their classes
text:PATH            a text file, or a folder of them
pairs:PATH           pairs of sentences: a file with a tab between the two, or a folder of such
pairs:PATH,PATH      two files, of which the same line of each is a pair
table:PATH           a csv file whose first line names its columns; all rows are "train"

Where a folder holds folders (for pairs, files) `train` and `test`, and perhaps `validation`, these
are the splits. Otherwise a tenth each is validation and test, drawn by the name of a file or the
words of a sentence: a split stays what it is when data is added, in whatever order a file system
lists it. `?test=0.2&validation=0&seed=1` at the end of the name draws others.
"""

from research.data.sources.own.read import KINDS, is_own, path, read

__all__ = ["KINDS", "is_own", "path", "read"]
