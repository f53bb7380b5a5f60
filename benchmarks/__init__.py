"""Scripts that measure; each prints a table and says how to run it."""
