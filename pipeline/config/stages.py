"""Define the configuration of each step; a step receives its own part, never the whole."""

from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from omegaconf import MISSING

from pipeline.config.bounds import at_least, counts, one_of, require
from pipeline.config.datasets import DatasetConfig
from pipeline.config.models import (
    ArchConfig,
    ColbertConfig,
    CrossEncoderConfig,
)
from pipeline.records import SEARCHES, InputError

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
DEVICES = ("auto", "cpu", "cuda", "mps")
FUSIONS = ("weighted", "rrf")
POOLINGS = ("max", "first")
VECTORS = ("none", "fp16", "int8", "binary")
VARIANTS = ("torch", "openvino", "openvino_int8")


@dataclass
class FusionConfig:
    """How the reranked order is fused with the first-stage order."""

    method: str = "weighted"  # weighted: min-max scores, weight chosen on dev; rrf
    rrf_k: int = 10

    def __post_init__(self) -> None:
        one_of("eval.fusion.method", self.method, FUSIONS)
        at_least("eval.fusion.rrf_k", self.rrf_k, 1)


@dataclass
class RerankConfig:
    """How passages are scored: long ones in windows, those of a ColBERT from stored vectors."""

    windows: int | None = None  # tokens of a window; null: longer passages are cut
    stride: int | None = None  # tokens from one window to the next; null: half a window
    pooling: str = "max"  # of the windows' scores: max or first
    vectors: str = "none"  # of a ColBERT's tokens, stored: fp16, int8, binary; none: made per query
    token_pooling: int = 1  # one stored token vector for so many tokens, which are clustered
    variant: str = "torch"  # engine; openvino and openvino_int8 (8-bit weights) are faster on CPUs

    def __post_init__(self) -> None:
        at_least("rerank.windows", self.windows, 8)
        at_least("rerank.stride", self.stride, 1)
        require(
            self.stride is None or (self.windows is not None and self.stride <= self.windows),
            "rerank.stride",
            self.stride,
            "must be at most rerank.windows",
        )
        one_of("rerank.pooling", self.pooling, POOLINGS)
        one_of("rerank.vectors", self.vectors, VECTORS)
        at_least("rerank.token_pooling", self.token_pooling, 1)
        one_of("rerank.variant", self.variant, VARIANTS)
        stored = self.vectors != "none"
        alone = not stored or self.windows is None
        require(alone, "rerank.vectors", self.vectors, "can't be combined with rerank.windows")
        pools = self.token_pooling == 1 or stored
        wanted = "needs stored vectors, as rerank.vectors=fp16"
        require(pools, "rerank.token_pooling", self.token_pooling, wanted)

    def must_fit(self, arch: ArchConfig) -> None:
        """Check that a model of ``arch`` can be scored so: its windows, vectors and engine.

        Raises:
            InputError: a window leaves no room for the query, or is longer than what is read;
                token vectors are to be stored of a cross-encoder; or a ColBERT that encodes
                passages for each query is to be computed by another engine than torch.
        """
        if self.variant != "torch" and self.vectors == "none" and isinstance(arch, ColbertConfig):
            reason = (
                "computes only a ColBERT's queries; set rerank.vectors=fp16, int8 or binary, too"
            )
            raise InputError(f"rerank.variant={self.variant}: {reason}")
        if self.vectors != "none" and isinstance(arch, CrossEncoderConfig):
            reason = "only a ColBERT has token vectors, this is a cross-encoder"
            raise InputError(f"rerank.vectors={self.vectors}: {reason}")
        if self.windows is None:
            return
        if isinstance(arch, CrossEncoderConfig):
            fits = self.windows < arch.max_length
            reads = f"{arch.max_length} tokens, query included"
        elif isinstance(arch, ColbertConfig):
            fits = self.windows <= arch.document_length
            reads = f"{arch.document_length} tokens of a passage"
        else:
            return
        require(fits, "rerank.windows", self.windows, f"the model reads {reads}; take fewer")

    def must_run(self, device: str) -> None:
        """Check that the engine is installed and computes on ``device``.

        Raises:
            InputError: it is not, or does not.
        """
        if self.variant == "torch":
            return
        on_cpu = f"computes on a CPU, this is {device}; set hardware.device=cpu"
        require(device == "cpu", "rerank.variant", self.variant, on_cpu)
        installed = find_spec("openvino") is not None
        require(installed, "rerank.variant", self.variant, "not installed, run make setup")

    def in_training(self) -> Self:
        """Return how the dev queries are scored while a model trains: in windows, by torch."""
        return replace(self, vectors="none", token_pooling=1, variant="torch")


@dataclass
class ForgettingConfig:
    """A second, general data set, evaluated before and after fine-tuning."""

    dataset: DatasetConfig | None = None  # null: no check


@dataclass
class EvalConfig:
    """Retrieval, reranking and their evaluation."""

    top_k: list[int] = field(default_factory=lambda: [5, 10])
    overfetch: int = 4  # top_k=10 reranks the first 4 x 10 candidates
    depth: int | None = None  # rerank this many for every top_k instead
    dev_depth: int = 20  # candidates reranked per dev query to compare checkpoints
    rrf_k: int = 60  # of hybrid search
    batch_size: int = 32  # pairs or passages per forward pass
    fusion: FusionConfig = field(default_factory=FusionConfig)

    def __post_init__(self) -> None:
        counts("eval.top_k", self.top_k)
        at_least("eval.overfetch", self.overfetch, 1)
        at_least("eval.dev_depth", self.dev_depth, 1)
        at_least("eval.rrf_k", self.rrf_k, 1)
        at_least("eval.batch_size", self.batch_size, 1)
        k = max(self.top_k)
        enough = self.depth is None or self.depth >= k
        require(
            enough, "eval.depth", self.depth, f"must be at least {k}, the largest of eval.top_k"
        )

    def rerank_depth(self, k: int) -> int:
        """Return how many candidates are reranked for a result at k."""
        return self.depth or self.overfetch * k

    @property
    def candidates(self) -> int:
        """How many candidates every search retrieves: enough for the largest cutoff."""
        return max(self.rerank_depth(k) for k in self.top_k)


@dataclass
class LatencyConfig:
    """Timing of the serving path: one query at a time, then several callers at once."""

    enabled: bool = True
    limits: list[int] = field(default_factory=lambda: [20, 50, 100])  # candidates reranked
    queries: int = 100  # timed per cell at most: fewer once the median is known to 5%
    fewest_queries: int = 20  # timed per cell at least, if there are as many; 100 give a p99
    warmup: int = 5  # queries before, not timed
    callers: int = 1  # more: so many ask at once, too, at the first limit and in one search
    callers_seconds: float = 2.0  # how long they ask
    rerank_modes: list[str] = field(
        default_factory=lambda: list(SEARCHES)
    )  # timed; others share the first

    def __post_init__(self) -> None:
        counts("latency.limits", self.limits)
        known = bool(self.rerank_modes) and set(self.rerank_modes) <= set(SEARCHES)
        require(known, "latency.rerank_modes", self.rerank_modes, f"one or more of {SEARCHES}")
        at_least("latency.queries", self.queries, 1)
        at_least("latency.fewest_queries", self.fewest_queries, 1)
        at_least("latency.warmup", self.warmup, 0)
        at_least("latency.callers", self.callers, 1)
        at_least("latency.callers_seconds", self.callers_seconds, 0.1)


@dataclass
class HardwareConfig:
    """Where and how the models compute."""

    device: str = "auto"  # cuda, else mps, else cpu
    precision: str = "auto"  # the fastest for the model, measured; fp16 needs a CUDA GPU
    threads: int | None = None  # CPU threads; weights depend on it; null: torch's choice

    def __post_init__(self) -> None:
        one_of("hardware.device", self.device, DEVICES)
        one_of("hardware.precision", self.precision, PRECISIONS)
        at_least("hardware.threads", self.threads, 1)


@dataclass
class TrackingConfig:
    """Where MLflow records the runs."""

    uri: str = MISSING
    artifact_location: str | None = None  # null: beside a sqlite file, else the server's choice
    experiment: str = MISSING
    parent_run_id: str | None = None  # set by the sweep


def sqlite_path(uri: str) -> Path | None:
    """Return the database file of a ``sqlite:///`` address, None for any other."""
    prefix = "sqlite:///"
    return Path(uri.removeprefix(prefix).split("?")[0]) if uri.startswith(prefix) else None


@dataclass
class ReportConfig:
    """The report page."""

    latency_budget_ms: float = 100.0  # median per query; the report names the best within it
    baseline: str | None = None  # name or id of a run that the others are tested against as well

    def __post_init__(self) -> None:
        valid = self.latency_budget_ms > 0
        require(valid, "report.latency_budget_ms", self.latency_budget_ms, "must be above 0")
