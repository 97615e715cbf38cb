"""What relation networks are asked, and where that comes from.

scenes    Sort-of-CLEVR, made on the spot
stories   bAbI, the real one and one made on the spot
clevr     CLEVR, from the files of its release
words     words and answers that were learned
task      what the three have in common
figures   scenes with what was asked and answered
"""
