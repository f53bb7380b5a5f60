"""Read files row by row.

``lines`` stops at the first broken line, ``tables`` reports it and reads on, with ``separated`` for
CSV and TSV. ``passages`` reads the passages of a corpus file, ``answers`` the rows of GooAQ.
"""
