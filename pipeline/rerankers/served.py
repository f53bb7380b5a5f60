"""Score as a configuration has it evaluated and served, with the weights of a loaded reranker."""

from pipeline.config.stages import RerankConfig
from pipeline.protocols import Reranker, Scorer
from pipeline.rerankers.stored_colbert import StoredColbert, TokenEmbedder
from pipeline.rerankers.windows import windowed


def as_served(reranker: Reranker, config: RerankConfig) -> Scorer:
    """Return the reranker as ``config`` has it evaluated, with no table: it shares the weights.

    It reads passages in windows, or has their token vectors as they would be stored, or neither.
    """
    if config.vectors == "none":
        return windowed(reranker, config)
    assert isinstance(reranker, TokenEmbedder)
    return StoredColbert(reranker, config)
