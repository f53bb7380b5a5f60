"""Train and compare rerankers: see README.md, and pipeline/experiment/recipe.py for the recipe."""

import os

# LanceDB reads it when first imported. A search that selects its columns, as ours do, warns at
# every call about a default that is still to change.
os.environ.setdefault("LANCEDB_LOG", "error")
