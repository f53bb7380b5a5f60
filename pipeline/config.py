"""The configuration schema: what can be set, its type, its unit and its bounds.

Values live in ``conf/``. A misspelt key or a wrong type fails when Hydra composes; a value
out of bounds fails in ``__post_init__`` when the typed objects are built, before any work.
Every stage receives its own part, never the whole.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

from pipeline.records import MODES, InputError

PRECISIONS = ("auto", "fp32", "bf16")
DEVICES = ("auto", "cpu", "cuda", "mps")
FUSIONS = ("weighted", "rrf")
SAMPLINGS = ("top", "random")


def require(condition: bool, key: str, value: object, expected: str) -> None:
    """Raise an InputError that names the key and says what would be right."""
    if not condition:
        raise InputError(f"{key}={value}: {expected}")


def _at_least(key: str, value: float | None, least: float) -> None:
    require(value is None or value >= least, key, value, f"must be at least {least}")


# --- data sets -----------------------------------------------------------------------------


@dataclass
class DatasetConfig:
    """What every data set has; a limit of null means all."""

    name: str = MISSING
    seed: int = 0  # of every sampling done while the data set is made
    max_corpus: int | None = None  # passages
    max_train_queries: int | None = None
    max_dev_queries: int | None = 200  # for checkpoint selection and fusion weights
    max_eval_queries: int | None = 2000

    def __post_init__(self) -> None:
        _at_least("dataset.max_corpus", self.max_corpus, 1)
        _at_least("dataset.max_train_queries", self.max_train_queries, 0)
        _at_least("dataset.max_dev_queries", self.max_dev_queries, 0)
        _at_least("dataset.max_eval_queries", self.max_eval_queries, 1)


@dataclass
class PydocsConfig(DatasetConfig):
    """Docstrings of installed packages: the first paragraph searches for the rest."""

    packages: list[str] = field(default_factory=list)  # distribution names
    query_words: list[int] = field(default_factory=lambda: [4, 40])  # fewest, most
    min_passage_words: int = 15


@dataclass
class GooaqConfig(DatasetConfig):
    """Question-answer rows in published order, cut by row number."""

    path: str | None = None  # a local file or folder of parquet or JSONL instead of the hub
    hub_id: str = "sentence-transformers/gooaq"
    train_rows: list[int] = field(default_factory=lambda: [0, 2_000_000])  # from, to (excluded)
    index_rows: list[int] = field(default_factory=lambda: [2_000_000, 2_100_000])

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("train_rows", "index_rows"):
            rows = getattr(self, key)
            valid = len(rows) == 2 and 0 <= rows[0] < rows[1]
            require(valid, f"dataset.{key}", rows, "must be [from, to] with 0 <= from < to")


@dataclass
class BeirConfig(DatasetConfig):
    """A folder with corpus.jsonl, queries.jsonl and qrels/{train,dev,test}.tsv, or .gz."""

    path: str = MISSING


# --- models --------------------------------------------------------------------------------


@dataclass
class EmbedderConfig:
    """The bi-encoder of vector search."""

    name: str = MISSING
    path: str = MISSING  # hub id, local folder or package:MODULE
    max_length: int = 128  # tokens; longer passages are cut
    batch_size: int = 64
    query_prefix: str = ""
    passage_prefix: str = ""

    def __post_init__(self) -> None:
        _at_least("embedder.max_length", self.max_length, 8)
        _at_least("embedder.batch_size", self.batch_size, 1)


@dataclass
class BaseConfig:
    """A pretrained model that a reranker starts from."""

    name: str = MISSING  # as it appears in run names
    path: str = MISSING  # hub id, local folder, package:MODULE or random:modernbert
    keep_layers: list[int] | None = None  # transformer layers to keep; null: all
    dedicated: bool = False  # already trained as a reranker


@dataclass
class ArchConfig:
    """A way to score a query and a passage."""

    name: str = MISSING
    learning_rate: float = 2e-5  # of the published study
    batch_size: int = 1  # of the published study


@dataclass
class NoArchConfig(ArchConfig):
    """The control: candidates stay as they are."""


@dataclass
class CrossEncoderConfig(ArchConfig):
    """Query and passage read together."""

    max_length: int = 256  # tokens of query and passage together

    def __post_init__(self) -> None:
        _at_least("arch.max_length", self.max_length, 8)


@dataclass
class ColbertConfig(ArchConfig):
    """Query and passage embedded apart, token by token, scored by MaxSim."""

    query_length: int = 32  # tokens
    document_length: int = 180  # tokens
    training_document_length: int | None = None  # tokens while training; null: document_length
    embedding_size: int = 128  # of one token
    query_expansion: bool = True  # pad queries with [MASK] to query_length
    temperature: float = 1.0

    def __post_init__(self) -> None:
        _at_least("arch.query_length", self.query_length, 4)
        _at_least("arch.document_length", self.document_length, 4)
        _at_least("arch.training_document_length", self.training_document_length, 4)
        _at_least("arch.embedding_size", self.embedding_size, 1)
        require(self.temperature > 0, "arch.temperature", self.temperature, "must be above 0")


# --- stages --------------------------------------------------------------------------------


@dataclass
class MiningConfig:
    """Hard negatives: which ranks of an independent embedder they are taken from."""

    embedder: EmbedderConfig = MISSING
    depth: int = 5  # negatives mined per query; a run with negatives=n takes the first n
    first_rank: int = 0  # the window starts here, 0 is the top
    last_rank: int = 100  # and ends before this rank
    sampling: str = "top"  # top: in rank order; random: seeded, within the window
    margin: float | None = None  # keep only passages this much less similar than the positive
    chunk_size: int = 1024  # queries searched at a time, bounds memory

    def __post_init__(self) -> None:
        _at_least("mining.depth", self.depth, 1)
        _at_least("mining.first_rank", self.first_rank, 0)
        _at_least("mining.chunk_size", self.chunk_size, 1)
        require(self.sampling in SAMPLINGS, "mining.sampling", self.sampling, f"one of {SAMPLINGS}")
        require(
            self.last_rank >= self.first_rank + self.depth,
            "mining.last_rank",
            self.last_rank,
            f"the window must hold mining.depth={self.depth} ranks",
        )


@dataclass
class IndexConfig:
    """The LanceDB table."""

    batch_size: int = 2048  # passages embedded and written at a time, bounds memory
    vector_index_above: int = 50_000  # passages; exact search up to here


@dataclass
class TrainConfig:
    """What both libraries' trainers understand."""

    learning_rate: float = 1e-4
    batch_size: int = 16  # queries per step for colbert, pairs for cross_encoder
    gradient_accumulation: int = 1
    warmup: float = 0.1  # share of the steps
    weight_decay: float = 0.0
    max_steps: int | None = None  # overrides epochs, for a grid at equal compute
    eval_every: float | None = None  # steps if >= 1, share of all steps if < 1; null: never

    def __post_init__(self) -> None:
        require(
            0 < self.learning_rate < 1,
            "train.learning_rate",
            self.learning_rate,
            "must be between 0 and 1",
        )
        _at_least("train.batch_size", self.batch_size, 1)
        _at_least("train.gradient_accumulation", self.gradient_accumulation, 1)
        require(0 <= self.warmup < 1, "train.warmup", self.warmup, "a share, 0 <= warmup < 1")
        _at_least("train.weight_decay", self.weight_decay, 0)
        _at_least("train.max_steps", self.max_steps, 1)
        require(
            self.eval_every is None or self.eval_every > 0,
            "train.eval_every",
            self.eval_every,
            "must be above 0, or null",
        )


@dataclass
class FusionConfig:
    """How the reranked order is fused with the first-stage order."""

    method: str = "weighted"  # weighted: min-max scores, weight chosen on dev; rrf
    rrf_k: int = 10

    def __post_init__(self) -> None:
        require(self.method in FUSIONS, "eval.fusion.method", self.method, f"one of {FUSIONS}")
        _at_least("eval.fusion.rrf_k", self.rrf_k, 1)


@dataclass
class EvalConfig:
    """What is retrieved, reranked and scored."""

    top_k: list[int] = field(default_factory=lambda: [5, 10])
    overfetch: int = 4  # top_k=10 reranks the first 4 x 10 candidates
    depth: int | None = None  # rerank this many for every top_k instead
    dev_depth: int = 20  # candidates reranked per dev query, for checkpoints and fusion weights
    rrf_k: int = 60  # of hybrid search
    batch_size: int = 32  # pairs or passages per forward pass
    fusion: FusionConfig = field(default_factory=FusionConfig)

    def __post_init__(self) -> None:
        valid = bool(self.top_k) and all(k >= 1 for k in self.top_k)
        require(valid, "eval.top_k", self.top_k, "needs one or more numbers >= 1")
        _at_least("eval.overfetch", self.overfetch, 1)
        _at_least("eval.dev_depth", self.dev_depth, 1)
        _at_least("eval.rrf_k", self.rrf_k, 1)
        _at_least("eval.batch_size", self.batch_size, 1)
        if self.depth is not None:
            _at_least("eval.depth", self.depth, max(self.top_k))

    def rerank_depth(self, k: int) -> int:
        """How many candidates are reranked for a result at k."""
        return self.depth or self.overfetch * k

    @property
    def candidates(self) -> int:
        """How deep every mode retrieves: enough for the largest cutoff."""
        return max(self.rerank_depth(k) for k in self.top_k)


@dataclass
class LatencyConfig:
    """Timing of the serving path, one query at a time."""

    enabled: bool = True
    limits: list[int] = field(default_factory=lambda: [20, 50, 100])  # candidates reranked
    queries: int = 100  # timed per cell
    warmup: int = 5  # queries before, not timed
    rerank_modes: list[str] = field(default_factory=lambda: list(MODES))  # others share it

    def __post_init__(self) -> None:
        valid = bool(self.limits) and all(limit >= 1 for limit in self.limits)
        require(valid, "latency.limits", self.limits, "needs one or more numbers >= 1")
        modes = bool(self.rerank_modes) and set(self.rerank_modes) <= set(MODES)
        require(modes, "latency.rerank_modes", self.rerank_modes, f"one or more of {MODES}")
        _at_least("latency.queries", self.queries, 1)
        _at_least("latency.warmup", self.warmup, 0)


@dataclass
class HardwareConfig:
    """Where and how the models compute."""

    device: str = "auto"  # cuda, else mps, else cpu
    precision: str = "auto"  # bf16 where the device computes in it, else fp32
    threads: int | None = None  # CPU threads; weights depend on it; null: torch's choice

    def __post_init__(self) -> None:
        require(self.device in DEVICES, "hardware.device", self.device, f"one of {DEVICES}")
        require(
            self.precision in PRECISIONS,
            "hardware.precision",
            self.precision,
            f"one of {PRECISIONS}",
        )
        _at_least("hardware.threads", self.threads, 1)


@dataclass
class TrackingConfig:
    """Where MLflow records the runs."""

    uri: str = MISSING
    artifact_location: str | None = None  # null: beside a sqlite file, else the server's choice
    experiment: str = MISSING
    parent_run_id: str | None = None  # set by the sweep


@dataclass
class Config:
    """One grid point, whole."""

    base: BaseConfig = MISSING
    arch: ArchConfig = MISSING
    dataset: DatasetConfig = MISSING
    embedder: EmbedderConfig = MISSING
    negatives: int = 1
    epochs: int = 1
    seed: int = 12
    max_length: int = 48  # tokens that embedder and cross-encoder read; arch and embedder take it
    run_name: str = MISSING
    output_dir: str = "outputs"
    mining: MiningConfig = field(default_factory=MiningConfig)
    index: IndexConfig = field(default_factory=IndexConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)
    latency: LatencyConfig = field(default_factory=LatencyConfig)
    hardware: HardwareConfig = field(default_factory=HardwareConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    grid: list[str] = field(default_factory=list)  # one product of overrides a line

    def __post_init__(self) -> None:
        _at_least("negatives", self.negatives, 0)
        _at_least("epochs", self.epochs, 0)
        if self.epochs > 0:
            require(
                self.arch.name != "none", "epochs", self.epochs, "arch=none has nothing to train"
            )
            require(self.negatives >= 1, "negatives", self.negatives, "training needs at least 1")
        require(
            self.negatives <= self.mining.depth,
            "negatives",
            self.negatives,
            f"only mining.depth={self.mining.depth} are mined per query",
        )

    @property
    def initialisation(self) -> str:
        """Which group of the published tables the run belongs to."""
        if self.arch.name == "none":
            return "none"
        if self.epochs == 0:
            return "dedicated" if self.base.dedicated else "untrained"
        return "finetuned" if self.base.dedicated else "scratch"


SCHEMAS: dict[str, type[Any]] = {
    "dataset/pydocs": PydocsConfig,
    "dataset/gooaq": GooaqConfig,
    "dataset/beir": BeirConfig,
    "embedder/schema": EmbedderConfig,
    "base/schema": BaseConfig,
    "arch/none": NoArchConfig,
    "arch/cross_encoder": CrossEncoderConfig,
    "arch/colbert": ColbertConfig,
}


def register_schemas() -> None:
    """Tell Hydra the schema; the YAML files name it as ``/schema/...`` in their defaults."""
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    for path, node in SCHEMAS.items():
        group, name = path.rsplit("/", 1)
        store.store(group=f"schema/{group}", name=name, node=node)


def conf_dir() -> Path:
    """The YAML files: in a checkout beside the package, in an installation inside it."""
    checkout = Path(__file__).parent.parent / "conf"
    return checkout if checkout.is_dir() else Path(__file__).parent / "conf"


def typed(config: DictConfig) -> Config:
    """The dataclasses of a composed configuration.

    Raises:
        InputError: a value is out of bounds or missing; the message names its key.
    """
    missing = sorted(OmegaConf.missing_keys(config))
    require(not missing, missing[0] if missing else "", "???", "has no value, give it one")
    return cast(Config, OmegaConf.to_object(config))
