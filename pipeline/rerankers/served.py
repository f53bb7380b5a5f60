"""Make the scorer that a configuration describes; it shares the weights of a loaded reranker."""

from typing import Protocol, runtime_checkable

from pipeline.config.stages import RerankConfig
from pipeline.protocols import Reranker, Scorer
from pipeline.rerankers.stored_colbert import StoredColbert, TokenEmbedder
from pipeline.rerankers.windows import windowed


@runtime_checkable
class Convertible(Protocol):
    """What is needed of a reranker that OpenVINO computes."""

    def by_openvino(self, int8: bool = False) -> Reranker:
        """Return this reranker, computed by OpenVINO, on request with 8-bit weights."""
        ...


def computed(reranker: Reranker, config: RerankConfig) -> Reranker:
    """Return the reranker, computed by the engine ``config.variant``; it shares the weights."""
    if config.variant == "torch":
        return reranker
    assert isinstance(reranker, Convertible)
    return reranker.by_openvino(int8=config.variant == "openvino_int8")


def as_served(reranker: Reranker, config: RerankConfig) -> Scorer:
    """Return the scorer that ``config`` describes, with the weights of ``reranker`` and no table.

    It scores in windows, by OpenVINO, or with token vectors rounded as they would be stored, which
    it keeps in memory: the weights must not change while it is used.
    """
    reranker = computed(reranker, config)
    if config.vectors == "none":
        return windowed(reranker, config)
    assert isinstance(reranker, TokenEmbedder)
    return StoredColbert(reranker, config)
