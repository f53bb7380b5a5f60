"""Score as a configuration has it evaluated and served, with the weights of a loaded reranker."""

from typing import Protocol, runtime_checkable

from pipeline.config.stages import RerankConfig
from pipeline.protocols import Reranker, Scorer
from pipeline.rerankers.stored_colbert import StoredColbert, TokenEmbedder
from pipeline.rerankers.windows import windowed


@runtime_checkable
class Convertible(Protocol):
    """What is needed of a cross-encoder."""

    def by_openvino(self) -> Reranker:
        """Return this reranker with its scores computed by OpenVINO."""
        ...


def as_served(reranker: Reranker, config: RerankConfig) -> Scorer:
    """Return the reranker as ``config`` has it evaluated, with no table: it shares the weights.

    It reads passages in windows, is computed by OpenVINO, has the token vectors of passages as they
    would be stored, or none of these.
    """
    if config.vectors != "none":
        assert isinstance(reranker, TokenEmbedder)
        return StoredColbert(reranker, config)
    if config.variant == "openvino":
        assert isinstance(reranker, Convertible)
        reranker = reranker.by_openvino()
    return windowed(reranker, config)
