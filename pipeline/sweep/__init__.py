"""Many points: the grid, its launch, and its resumption."""
