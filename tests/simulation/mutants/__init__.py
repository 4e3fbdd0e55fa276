"""Mutants: the program with one rule taken away, to see which campaign, or which test, notices.

Laws: a mutant lives in the process of its run and nowhere else: product files are never touched, and what was replaced is put
back. A mutant is an edit of the product's own source, found word by word; when the words have changed it is *stale*, which is
an error and no success.

``cuts`` and the modules named after parts of the program hold the list, ``patch`` applies one, ``hunt`` looks for the seed that
catches it, ``__main__`` runs the whole list.
"""
