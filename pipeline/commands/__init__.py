"""The commands of ``python -m pipeline``: arguments and exit codes only."""
