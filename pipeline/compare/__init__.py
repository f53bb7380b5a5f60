"""Two finished runs side by side: configuration, metrics, queries."""
