"""One query and two passages, for tests that compare the scores of models."""

QUERIES = {"q": "merge two configurations"}
PASSAGES = {"a": "Merges the other config into this one.", "b": "Draws a graph with a layout."}
PAIRS = [("q", "a"), ("q", "b")]
