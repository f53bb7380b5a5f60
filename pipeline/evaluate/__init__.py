"""A model against another, or against no reranking, on held-out queries: ``evaluate``.

``measure`` runs the models, ``comparison`` turns per-query values into figures, ``show`` prints
them, ``__main__`` is the command.
"""
