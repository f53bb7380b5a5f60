"""What the benchmarks work on: a small pydocs with its index and candidates, and two rerankers."""

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path

from benchmarks.bench.stock import StockColbert, StockCrossEncoder
from pipeline.config import Config
from pipeline.config.compose import compose
from pipeline.config.models import CrossEncoderConfig
from pipeline.experiment.shared import Shared, prepare_shared
from pipeline.infra import hardware
from pipeline.infra.hardware import Hardware
from pipeline.infra.layer_speed import Batch
from pipeline.infra.model_files import prepare_base
from pipeline.infra.precision import settled
from pipeline.infra.stage_cache import StageCache
from pipeline.protocols import Reranker
from pipeline.records import TrainingExample
from pipeline.rerankers import load_reranker

QUERIES = 8
SMALL = (
    "dataset.packages=[hydra-core,omegaconf,networkx]",
    "dataset.max_corpus=1500",
    "dataset.max_train_queries=400",
    "dataset.max_dev_queries=8",
    f"dataset.max_eval_queries={QUERIES}",
    "negatives=3",
    "output_dir=outputs/bench",
)


@dataclass(frozen=True)
class Subject:
    """A reranker of one architecture, untrained, with what it reranks."""

    arch: str

    @cached_property
    def config(self) -> Config:
        """The default point of the architecture."""
        return compose([f"arch={self.arch}", "base=minilm_l6", *SMALL])

    @cached_property
    def cache(self) -> StageCache:
        """The stages of the benchmarks."""
        return StageCache.of(self.config)

    @cached_property
    def machine(self) -> Hardware:
        """This machine, with the precision that is fastest for the reranker."""
        config = self.config
        batch = Batch(config.eval.batch_size, config.arch.tokens)
        return settled(hardware.resolve(config.hardware), self.base, batch, cache=self.cache)

    @cached_property
    def base(self) -> Path:
        """The folder of the base."""
        return prepare_base(self.config.base, self.cache)

    @cached_property
    def shared(self) -> Shared:
        """Data, index, candidates and negatives.

        The embedder computes in fp32: in bf16 a query alone has another vector than in a batch, by
        a thousandth, and may find another last candidate.
        """
        exact = replace(hardware.resolve(self.config.hardware), precision="fp32")
        return prepare_shared(self.config, exact, self.cache)

    def reranker(self, machine: Hardware | None = None) -> Reranker:
        """Load it; the precision is that of ``machine``, by default the fastest."""
        config = self.config
        found = load_reranker(
            self.base, config.arch, machine or self.machine, config.eval.batch_size, config.seed
        )
        assert found is not None
        return found

    @cached_property
    def saved(self) -> Path:
        """The folder of the reranker, for its library."""
        folder = Path("outputs/bench") / self.arch
        self.reranker().save(folder)
        return folder

    def stock(self, training: bool = False) -> StockCrossEncoder | StockColbert:
        """Load it by its library, with the same weights, and the lengths of use or training."""
        arch = self.config.arch
        length = arch.training_tokens if training else arch.tokens
        if isinstance(arch, CrossEncoderConfig):
            return StockCrossEncoder(self.saved, length)
        return StockColbert(self.saved, document_length=length)

    def examples(self, count: int) -> list[TrainingExample]:
        """The first rows to train on."""
        return list(islice(self.shared.training_set(self.config).examples(), count))
