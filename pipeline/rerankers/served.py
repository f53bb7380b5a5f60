"""Score as a configuration has it evaluated and served, with the weights of a loaded reranker."""

from typing import Protocol, runtime_checkable

from pipeline.config.stages import RerankConfig
from pipeline.protocols import Reranker, Scorer
from pipeline.rerankers.stored_colbert import StoredColbert, TokenEmbedder
from pipeline.rerankers.windows import windowed


@runtime_checkable
class Convertible(Protocol):
    """What is needed of a reranker that OpenVINO computes."""

    def by_openvino(self) -> Reranker:
        """Return this reranker, computed by OpenVINO."""
        ...


def computed(reranker: Reranker, config: RerankConfig) -> Reranker:
    """Return the reranker, computed by the engine ``config.variant``; it shares the weights."""
    if config.variant != "openvino":
        return reranker
    assert isinstance(reranker, Convertible)
    return reranker.by_openvino()


def as_served(reranker: Reranker, config: RerankConfig) -> Scorer:
    """Return the reranker as ``config`` has it evaluated, with no table: it shares the weights.

    It reads passages in windows, is computed by OpenVINO, has the token vectors of passages as they
    would be stored, or none of these.
    """
    reranker = computed(reranker, config)
    if config.vectors == "none":
        return windowed(reranker, config)
    assert isinstance(reranker, TokenEmbedder)
    return StoredColbert(reranker, config)
