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

from pipeline.config.bounds import at_least, require
from pipeline.config.datasets import (
    BeirConfig,
    DatasetConfig,
    GooaqConfig,
    LabelledConfig,
    PydocsConfig,
)
from pipeline.config.models import (
    DISTILLING,
    ArchConfig,
    BaseConfig,
    ColbertConfig,
    CrossEncoderConfig,
    EmbedderConfig,
    NoArchConfig,
)
from pipeline.config.stages import (
    EvalConfig,
    ForgettingConfig,
    HardwareConfig,
    IndexConfig,
    LatencyConfig,
    MiningConfig,
    ReportConfig,
    RerankConfig,
    TrackingConfig,
    TrainConfig,
)
from pipeline.config.suggestions import added, known_keys, no_such_key
from pipeline.records import InputError


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
    cache_uri: str | None = None  # of an object store that keeps a copy of every stage output
    mining: MiningConfig = field(default_factory=MiningConfig)
    index: IndexConfig = field(default_factory=IndexConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    rerank: RerankConfig = field(default_factory=RerankConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)
    forgetting: ForgettingConfig = field(default_factory=ForgettingConfig)
    latency: LatencyConfig = field(default_factory=LatencyConfig)
    hardware: HardwareConfig = field(default_factory=HardwareConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    report: ReportConfig = field(default_factory=ReportConfig)
    grid: list[str] = field(default_factory=list)  # one product of overrides a line
    force: bool = False  # every point is trained, scored and timed anew, not found in the cache
    fail_fast: bool = False  # a sweep stops at the first point that fails
    retries: int = 0  # how often a point that fails is run again

    def __post_init__(self) -> None:
        at_least("negatives", self.negatives, 0)
        at_least("epochs", self.epochs, 0)
        at_least("retries", self.retries, 0)
        if self.epochs > 0:
            trains = self.arch.name != "none"
            require(trains, "epochs", self.epochs, "arch=none has nothing to train, set epochs=0")
            require(self.negatives >= 1, "negatives", self.negatives, "training needs at least 1")
        distils = self.arch.loss in DISTILLING
        require(
            not (distils and self.epochs > 0 and self.train.teacher is None),
            "arch.loss",
            self.arch.loss,
            "learns a teacher's scores, name the teacher with train.teacher",
        )
        require(
            self.negatives <= self.mining.depth,
            "negatives",
            self.negatives,
            f"only mining.depth={self.mining.depth} are mined per query, raise mining.depth",
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
    "dataset/labelled": LabelledConfig,
    "embedder/schema": EmbedderConfig,
    "base/schema": BaseConfig,
    "arch/none": NoArchConfig,
    "arch/cross_encoder": CrossEncoderConfig,
    "arch/colbert": ColbertConfig,
}

KEYS = known_keys(Config, SCHEMAS)


def register_schemas() -> None:
    """Tell Hydra the schema; the YAML files name it as ``/schema/...`` in their defaults."""
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    for path, node in SCHEMAS.items():
        group, name = path.rsplit("/", 1)
        store.store(group=f"schema/{group}", name=name, node=node)


def conf_dir() -> Path:
    """The YAML files: in a checkout beside the package, in an installation inside it."""
    package = Path(__file__).parent.parent
    checkout = package.parent / "conf"
    return checkout if checkout.is_dir() else package / "conf"


def typed(config: DictConfig) -> Config:
    """The dataclasses of a composed configuration.

    Raises:
        InputError: a value is out of bounds or missing, or there is no such key (``+key=value``
            puts it past Hydra); the message names it.
    """
    missing = sorted(OmegaConf.missing_keys(config))
    require(not missing, missing[0] if missing else "", "???", "has no value, give it one")
    point = cast(Config, OmegaConf.to_object(config))
    for key in added(point):
        raise InputError(no_such_key(key, KEYS))
    return point
