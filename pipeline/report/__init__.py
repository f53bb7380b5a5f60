"""Compare finished runs, and report the comparison."""
