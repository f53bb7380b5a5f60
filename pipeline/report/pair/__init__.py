"""Put two systems side by side: recorded runs, or models that were just measured."""
