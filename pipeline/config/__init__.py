"""Define the configuration schema: all keys with their types, units and bounds.

Values are in ``conf/``. A misspelt key or a wrong type fails when Hydra composes. A value out
of bounds fails in ``__post_init__``, when the typed objects are built, before any work.
"""

from dataclasses import dataclass, field
from functools import cache
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
from pipeline.config.index import IndexConfig
from pipeline.config.models import (
    COLBERT_LOSSES,
    CROSS_ENCODER_LOSSES,
    DISTILLING,
    ArchConfig,
    BaseConfig,
    ColbertConfig,
    CrossEncoderConfig,
    EmbedderConfig,
    NoArchConfig,
)
from pipeline.config.nested import place_of, renamed
from pipeline.config.stages import (
    EvalConfig,
    ForgettingConfig,
    HardwareConfig,
    LatencyConfig,
    ReportConfig,
    RerankConfig,
    TrackingConfig,
)
from pipeline.config.suggestions import added, known_keys, no_such_key, text_keys
from pipeline.config.training import MiningConfig, TrainConfig
from pipeline.records import InputError


@dataclass
class Config:
    """One point of a grid."""

    base: BaseConfig = MISSING
    arch: ArchConfig = MISSING
    dataset: DatasetConfig = MISSING
    embedder: EmbedderConfig = MISSING
    negatives: int = 1
    epochs: int = 1
    seed: int = 12
    max_length: int = 128  # tokens that embedder and cross-encoder read, unless they set their own
    run_name: str = MISSING
    output_dir: str = "outputs"
    cache_uri: str | None = None  # object store with a copy of every stage output
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
    grid: list[str] = field(default_factory=list)  # one product of overrides per line
    force: bool = False  # train, score and time every point anew instead of using the cache
    fail_fast: bool = False  # stop a sweep at the first failed point
    retries: int = 0  # how often a failed point is run again

    def __post_init__(self) -> None:
        at_least("negatives", self.negatives, 0)
        at_least("epochs", self.epochs, 0)
        at_least("retries", self.retries, 0)
        # It is part of the name of a folder.
        fits = 1 <= len(self.run_name.encode(errors="surrogatepass")) <= 200
        fits = fits and "/" not in self.run_name
        require(fits, "run_name", self.run_name, "must have 1 to 200 bytes and no /")
        uri = self.tracking.uri
        is_address = ("://" in uri and not uri.startswith("file:")) or uri == "databricks"
        expected = "must be sqlite:///FILE, http://HOST:PORT or postgresql://..."
        require(is_address, "tracking.uri", uri, expected)
        searches = self.base.path != "none" or self.arch.name == "none"
        expected = f"arch={self.arch.name} needs a model, set base=minilm_l6 or another one"
        require(searches, "base", self.base.name, expected)
        if self.epochs > 0:
            trains = self.arch.name != "none"
            require(trains, "epochs", self.epochs, "arch=none has nothing to train, set epochs=0")
            require(self.negatives >= 1, "negatives", self.negatives, "training needs at least 1")
            self._check_teacher()
        require(
            self.negatives <= self.mining.depth,
            "negatives",
            self.negatives,
            f"only mining.depth={self.mining.depth} are mined per query, raise mining.depth",
        )

    def _check_teacher(self) -> None:
        loss, teacher, fusion = self.arch.loss, self.train.teacher, self.train.teacher_fusion
        if loss in DISTILLING:
            expected = "learns a teacher's scores, name the teacher with train.teacher"
            require(teacher is not None, "arch.loss", loss, expected)
            return
        losses = COLBERT_LOSSES if self.arch.name == "colbert" else CROSS_ENCODER_LOSSES
        distilling = " or ".join(name for name in losses if name in DISTILLING)
        expected = f"arch.loss={loss} learns no teacher's scores, set arch.loss={distilling}"
        require(teacher is None, "train.teacher", teacher, expected)
        require(fusion is None, "train.teacher_fusion", fusion, expected)

    @property
    def search_depth(self) -> int:
        """How many passages each search finds: enough for the deepest cut."""
        return max(self.index.hybrid_depth, self.eval.candidates)

    @property
    def initialisation(self) -> str:
        """The group of the published tables that the run belongs to."""
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

GROUPS = {*(path.split("/")[0] for path in SCHEMAS), "experiment"}
KEYS = known_keys(Config, SCHEMAS)
TEXT_KEYS = text_keys(Config, SCHEMAS)


@cache
def register_schemas() -> None:
    """Register the schema with Hydra, once; the YAML files name it ``/schema/...``."""
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    for path, node in SCHEMAS.items():
        group, name = path.rsplit("/", 1)
        store.store(group=f"schema/{group}", name=name, node=node)


def conf_dir() -> Path:
    """Find the YAML files: beside the package in a checkout, inside it in an installation."""
    package = Path(__file__).parent.parent
    checkout = package.parent / "conf"
    return checkout if checkout.is_dir() else package / "conf"


def typed(config: DictConfig) -> Config:
    """Build the dataclasses of a composed configuration.

    Raises:
        InputError: a value is out of bounds or missing, or a key does not exist (``+key=value``
            passes Hydra's own check); the message names the key.
    """
    if missing := sorted(OmegaConf.missing_keys(config)):
        example = "FILE_OR_FOLDER" if missing[0].endswith("dataset.path") else "VALUE"
        raise InputError(f"{missing[0]}: has no value; give it one, as in {missing[0]}={example}")
    at_least("max_length", config.max_length, 8)  # otherwise reported of a key that has its value
    try:
        point = cast(Config, OmegaConf.to_object(config))
    except InputError as error:
        if (place := place_of(config)) is None:
            raise
        raise InputError(renamed(str(error), place, KEYS)) from error
    for key in added(point):
        raise InputError(no_such_key(key, KEYS))
    return point
