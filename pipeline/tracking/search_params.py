"""Name the params of a run that say how its searches were made."""

SEARCH_PARAMS = (
    "embedder.path",
    "embedder.max_length",
    "embedder.query_prefix",
    "embedder.passage_prefix",
    "index.vector_index_above",
    "index.fts.tokenizer",
    "index.fts.language",
    "index.fts.stem",
    "index.fts.remove_stop_words",
    "index.fts.stop_words",
    "index.fts.ngram_min",
    "index.fts.ngram_max",
    "search.depth",
    "machine.embedder_precision",
    "eval.rrf_k",
)
"""Two runs on the same data were searched in the same way if these are equal."""
