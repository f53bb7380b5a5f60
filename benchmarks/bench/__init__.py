"""The stock way against this project, for `make bench`."""
