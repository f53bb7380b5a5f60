"""What any pipeline needs and no reranker knows of: stage cache, devices, errors, console."""
