"""Settle in which precision the reranker of a point scores and trains."""

from pathlib import Path

from pipeline.config import Config
from pipeline.experiment.shared import Shared
from pipeline.infra.hardware import Hardware
from pipeline.infra.layer_speed import Batch
from pipeline.infra.precision import settled
from pipeline.infra.stage_cache import StageCache
from pipeline.training.schedule import counted_by


def settle(
    config: Config, machine: Hardware, base: Path, shared: Shared, cache: StageCache
) -> Hardware:
    """The machine with the precisions for ``base``, or those of the embedder for ``arch=none``."""
    if config.arch.name == "none":
        return shared.embedder.hardware
    return of_reranker(config, machine, base, cache)


def of_reranker(config: Config, machine: Hardware, base: Path, cache: StageCache) -> Hardware:
    """The machine with the precisions for ``base``; fp32 for ``arch=none``."""
    texts = config.train.batch_size
    if counted_by(config.arch.loss) != "pairs":
        texts *= 1 + config.negatives
    return settled(
        machine,
        base,
        Batch(config.eval.batch_size, config.arch.tokens),
        Batch(texts, config.arch.training_tokens) if config.epochs > 0 else None,
        cache,
    )


def in_words(config: Config, machine: Hardware) -> str:
    """``scores in bf16, trains in fp32``."""
    if config.epochs == 0:
        return machine.precision
    return f"scores in {machine.precision}, trains in {machine.training_precision}"
