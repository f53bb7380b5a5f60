"""Files row by row: JSON Lines, CSV, TSV and Parquet."""
