"""From hard negatives to trained weights."""
