"""Define the models: the embedder, the base that a reranker starts from, and the architectures."""

from dataclasses import dataclass

from omegaconf import MISSING

from pipeline.config.bounds import at_least, one_of, require


@dataclass
class EmbedderConfig:
    """The bi-encoder of vector search."""

    name: str = MISSING
    path: str = MISSING  # hub id, local folder or package:MODULE
    max_length: int = 128  # tokens; longer passages are cut
    batch_size: int = 64
    # put before each text; null: the prompt that the model has saved for it, if there is one
    query_prefix: str | None = None
    passage_prefix: str | None = None

    def __post_init__(self) -> None:
        at_least("embedder.max_length", self.max_length, 8)
        at_least("embedder.batch_size", self.batch_size, 1)


@dataclass
class BaseConfig:
    """A pretrained model that a reranker starts from."""

    name: str = MISSING  # as it appears in run names
    path: str = MISSING  # hub id, folder, package:MODULE, run:NAME, models:/NAME@ALIAS, random:...
    licence: str = "unknown"  # SPDX-like, as on the hub; unknown: read from the model card
    keep_layers: list[int] | None = None  # transformer layers to keep; null: all
    dedicated: bool = False  # already trained as a reranker
    gpu_share: float = 1.0  # of one GPU, which points of small bases can share under Ray

    def __post_init__(self) -> None:
        valid = 0 < self.gpu_share <= 1
        require(valid, "base.gpu_share", self.gpu_share, "must be above 0, up to 1")


CROSS_ENCODER_LOSSES = (
    "lce",
    "bce",
    "lambda",
    "ranknet",
    "listnet",
    "mnrl",
    "margin_mse",
    "mse",
    "kl",
)
COLBERT_LOSSES = ("contrastive", "distillation")
DISTILLING = ("margin_mse", "mse", "kl", "distillation")
"""The losses that learn from a teacher's scores, ``train.teacher``."""


@dataclass
class ArchConfig:
    """A way to score a query and a passage."""

    name: str = MISSING
    loss: str = "none"
    learning_rate: float = 1e-4  # that train.learning_rate takes unless it is set
    head_learning_rate: float | None = None  # that train.head_learning_rate takes
    batch_size: int = 16  # that train.batch_size takes

    def in_use(self) -> dict[str, object]:
        """The settings that count when a model scores; the others only when it trains."""
        return {"name": self.name}

    @property
    def tokens(self) -> int:
        """The tokens that are read at a time, of a passage or of a pair; 1 if there is no model."""
        return 1

    @property
    def training_tokens(self) -> int:
        """The tokens that are read at a time while training."""
        return self.tokens


@dataclass
class NoArchConfig(ArchConfig):
    """The control: candidates stay as they are."""


@dataclass
class CrossEncoderConfig(ArchConfig):
    """Query and passage read together."""

    loss: str = "lce"
    max_length: int = 256  # tokens of query and passage together
    training_max_length: int | None = None  # tokens while training; null or more: max_length

    def __post_init__(self) -> None:
        one_of("arch.loss", self.loss, CROSS_ENCODER_LOSSES)
        at_least("arch.max_length", self.max_length, 8)
        at_least("arch.training_max_length", self.training_max_length, 8)

    def in_use(self) -> dict[str, object]:
        """The settings that count when a model scores."""
        return {"name": self.name, "max_length": self.max_length}

    @property
    def tokens(self) -> int:
        """The tokens of a pair that are read."""
        return self.max_length

    @property
    def training_tokens(self) -> int:
        """The tokens of a pair that are read while training."""
        return min(self.training_max_length or self.max_length, self.max_length)


@dataclass
class ColbertConfig(ArchConfig):
    """Query and passage embedded apart, token by token, scored by MaxSim."""

    loss: str = "contrastive"
    query_length: int = 96  # tokens
    document_length: int = 180  # tokens
    training_document_length: int | None = None  # while training; null or more: as many
    embedding_size: int = 128  # of one token
    query_expansion: bool = True  # pad queries with [MASK] to query_length
    temperature: float = 1.0

    def __post_init__(self) -> None:
        one_of("arch.loss", self.loss, COLBERT_LOSSES)
        at_least("arch.query_length", self.query_length, 4)
        at_least("arch.document_length", self.document_length, 4)
        at_least("arch.training_document_length", self.training_document_length, 4)
        at_least("arch.embedding_size", self.embedding_size, 1)
        require(self.temperature > 0, "arch.temperature", self.temperature, "must be above 0")

    def in_use(self) -> dict[str, object]:
        """The settings that count when a model scores."""
        return {
            "name": self.name,
            "query_length": self.query_length,
            "document_length": self.document_length,
            "embedding_size": self.embedding_size,
            "query_expansion": self.query_expansion,
        }

    @property
    def tokens(self) -> int:
        """The tokens of a passage that are read."""
        return self.document_length

    @property
    def training_tokens(self) -> int:
        """The tokens of a passage that are read while training."""
        return min(self.training_document_length or self.document_length, self.document_length)
