"""The reranker architectures by name. Each is loaded by the one library that trains it."""

from pathlib import Path

from transformers import set_seed

from pipeline.config.models import ArchConfig, ColbertConfig, CrossEncoderConfig
from pipeline.infra.hardware import Hardware
from pipeline.protocols import Reranker


def load_reranker(
    folder: Path,
    config: ArchConfig,
    hardware: Hardware,
    batch_size: int,
    seed: int = 0,
    dedicated: bool = False,
) -> Reranker | None:
    """The reranker in ``folder``, or None for ``arch=none``.

    ``folder`` is a plain transformer, whose missing head or projection is drawn from ``seed``,
    or a trained reranker. ``batch_size`` is in pairs or passages per forward pass.
    """
    # Imported here: each brings its own library, and a run needs one.
    set_seed(seed)
    if isinstance(config, CrossEncoderConfig):
        from pipeline.rerankers.cross_encoder import CrossEncoderReranker

        return CrossEncoderReranker(folder, config, hardware, batch_size)
    if isinstance(config, ColbertConfig):
        from pipeline.rerankers.colbert import ColbertReranker

        return ColbertReranker(folder, config, hardware, batch_size, dedicated)
    return None
