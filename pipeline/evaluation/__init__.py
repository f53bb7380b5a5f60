"""Quality, significance and latency of rankings."""
