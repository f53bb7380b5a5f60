"""A user's own labelled rows as a data set.

``rows`` reads a file row by row, ``judged`` puts the rows together by id, ``split`` makes train,
dev and test of them.
"""
