"""Passages in LanceDB, and the candidates that vector, full-text and hybrid search find."""
