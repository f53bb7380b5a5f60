"""Read files row by row.

``lines`` stops at the first broken line, ``tables`` reports it and reads on, ``passages`` reads
the passages of a corpus file.
"""
