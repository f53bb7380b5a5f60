"""Load a reranker by its architecture. Each architecture is a file with the library behind it."""

from pathlib import Path

from transformers import set_seed

from pipeline.config.models import ArchConfig, ColbertConfig, CrossEncoderConfig
from pipeline.infra.hardware import Hardware
from pipeline.infra.layer_speed import Batch
from pipeline.infra.precision import settled
from pipeline.protocols import Reranker


def load_reranker(
    folder: Path,
    config: ArchConfig,
    hardware: Hardware,
    batch_size: int,
    seed: int = 0,
    dedicated: bool = False,
) -> Reranker | None:
    """Load the reranker in ``folder``; None for ``arch=none``.

    ``folder`` holds a plain transformer, whose missing head or projection is drawn from ``seed``,
    or a trained reranker. ``batch_size`` counts pairs or passages per forward pass.
    The precision "auto" is measured here, unless it is settled already.
    """
    hardware = settled(hardware, folder, Batch(batch_size, config.tokens))
    set_seed(seed)
    # Imported here, because each brings a library of its own and a run needs only one.
    if isinstance(config, CrossEncoderConfig):
        from pipeline.rerankers.cross_encoder import CrossEncoderReranker

        return CrossEncoderReranker(folder, config, hardware, batch_size)
    if isinstance(config, ColbertConfig):
        from pipeline.rerankers.colbert import ColbertReranker

        return ColbertReranker(folder, config, hardware, batch_size, dedicated)
    return None
