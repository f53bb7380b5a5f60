"""The sections of the report: a file each, with its numbers, its table and its figure."""
