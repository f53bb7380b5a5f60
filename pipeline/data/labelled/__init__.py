"""A user's own labelled rows as a data set."""
