"""Find a saved reranker: a model that a command serves, a filter of negatives, or a teacher."""

from dataclasses import dataclass, field
from pathlib import Path

from pipeline.config import Config
from pipeline.config.stages import RerankConfig
from pipeline.infra import hardware
from pipeline.infra.code_version import code_version
from pipeline.infra.hardware import Hardware
from pipeline.infra.layer_speed import Batch
from pipeline.infra.model_files import content_hash
from pipeline.infra.precision import settled
from pipeline.infra.stage_cache import StageCache
from pipeline.protocols import Scorer
from pipeline.rerankers.saved import load_saved, saved_arch
from pipeline.tracking import references


@dataclass(frozen=True)
class SavedScorer:
    """A saved reranker that is not loaded yet; ``name`` is KEY=VALUE, for error messages.

    Its folder may be a stage output, which ``cache`` keeps from ``clean-cache``.
    """

    name: str
    folder: Path
    machine: Hardware
    batch_size: int
    cache: StageCache = field(repr=False, compare=False)

    def inputs(self) -> dict[str, object]:
        """What determines its scores, for the key of a stage."""
        return {
            "model": content_hash(self.folder),
            "machine": self.machine.scoring(),
            "batch_size": self.batch_size,
            "code": code_version("scores"),
        }

    def load(self, rerank: RerankConfig | None = None) -> Scorer:
        """Load it as it was saved; ``rerank`` says how passages are scored, such as in windows.

        Raises:
            InputError: the folder holds no reranker, or ``rerank`` does not fit it.
        """
        return load_saved(self.name, self.folder, self.machine, self.batch_size, rerank)


def find_scorer(key: str, name: str, config: Config, cache: StageCache) -> SavedScorer:
    """Find the reranker ``name``, the value of ``key``, and the precision it scores in.

    Raises:
        InputError: there is no such model.
    """
    folder = references.locate(key, name, config.tracking, cache)
    machine, batch_size = hardware.resolve(config.hardware), config.eval.batch_size
    if (arch := saved_arch(folder)) is not None:
        machine = settled(machine, folder, Batch(batch_size, arch.tokens), cache=cache)
    return SavedScorer(f"{key}={name}", folder, machine, batch_size, cache)
