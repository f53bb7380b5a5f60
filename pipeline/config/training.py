"""Define the configuration of training: the mined negatives and the trainer."""

from dataclasses import dataclass

from omegaconf import MISSING

from pipeline.config.bounds import at_least, one_of, require
from pipeline.config.models import EmbedderConfig

SAMPLINGS = ("top", "random")
RECORDED = "recorded"
"""The value of ``train.teacher_fusion`` that takes the fusion weight of the teacher's run."""


@dataclass
class MiningConfig:
    """Hard negatives: from which ranks of an independent embedder they are taken."""

    embedder: EmbedderConfig = MISSING
    depth: int = 5  # negatives mined per query; a run with negatives=n takes the first n
    first_rank: int = 0  # the window starts here, 0 is the top
    last_rank: int = 100  # and ends before this rank
    sampling: str = "top"  # top: in rank order; random: seeded, within the window
    margin: float | None = None  # keep only passages this much less similar than the positive
    relative_margin: float | None = None  # the same as a share of the positive's similarity
    random_share: float = 0.0  # of every query's negatives, drawn from the whole corpus instead
    filter: str | None = None  # reranker that throws out mined passages it puts above the positive
    chunk_size: int = 1024  # queries searched at a time; bounds memory, and orders the rows

    def __post_init__(self) -> None:
        at_least("mining.depth", self.depth, 1)
        at_least("mining.first_rank", self.first_rank, 0)
        at_least("mining.chunk_size", self.chunk_size, 1)
        one_of("mining.sampling", self.sampling, SAMPLINGS)
        valid = self.relative_margin is None or 0 <= self.relative_margin < 1
        require(valid, "mining.relative_margin", self.relative_margin, "a share, 0 <= margin < 1")
        valid = 0 <= self.random_share <= 1
        require(valid, "mining.random_share", self.random_share, "a share from 0 to 1")
        require(
            self.last_rank >= self.first_rank + self.depth,
            "mining.last_rank",
            self.last_rank,
            f"the window must hold mining.depth={self.depth} ranks",
        )


@dataclass
class TrainConfig:
    """Training, with settings that the trainers of both libraries share."""

    learning_rate: float = 1e-4
    head_learning_rate: float | None = None  # of the layers that the base lacks; null: the same
    batch_size: int = 16  # rows per step: a query with its passages; for bce and mse pairs
    queries: int | None = None  # train on N of them, the same for every seed; null: all
    gradient_accumulation: int = 1
    warmup: float = 0.1  # share of the steps
    weight_decay: float = 0.0
    dropout: float | None = None  # share of activations dropped while training; null: the base's
    max_steps: int | None = None  # overrides epochs, for a grid at equal compute
    eval_every: float | None = None  # steps if >= 1, share of all steps if < 1; null: never
    patience: int | None = None  # dev evaluations without improvement before training stops
    lora_rank: int | None = None  # train adapters of this rank instead of all weights
    checkpoint_minutes: float | None = 5.0  # between checkpoints; null: none are written
    teacher: str | None = None  # reranker whose scores the distilling losses learn
    teacher_fusion: str | None = None  # recorded, or the weight of the teacher beside vector search
    teacher_temperature: float = 1.0  # the teacher's scores are divided by it

    def __post_init__(self) -> None:
        valid = 0 < self.learning_rate < 1
        require(valid, "train.learning_rate", self.learning_rate, "must be between 0 and 1")
        head = self.head_learning_rate
        valid = head is None or 0 < head < 1
        require(valid, "train.head_learning_rate", head, "must be between 0 and 1, or null")
        at_least("train.batch_size", self.batch_size, 1)
        at_least("train.queries", self.queries, 1)
        at_least("train.gradient_accumulation", self.gradient_accumulation, 1)
        require(0 <= self.warmup < 1, "train.warmup", self.warmup, "a share, 0 <= warmup < 1")
        at_least("train.weight_decay", self.weight_decay, 0)
        valid = self.dropout is None or 0 <= self.dropout < 1
        require(valid, "train.dropout", self.dropout, "a share, 0 <= dropout < 1, or null")
        at_least("train.max_steps", self.max_steps, 1)
        valid = self.eval_every is None or self.eval_every > 0
        require(valid, "train.eval_every", self.eval_every, "must be above 0, or null")
        at_least("train.patience", self.patience, 1)
        require(
            self.patience is None or self.eval_every is not None,
            "train.patience",
            self.patience,
            "needs dev evaluations, set train.eval_every as well",
        )
        at_least("train.lora_rank", self.lora_rank, 1)
        at_least("train.checkpoint_minutes", self.checkpoint_minutes, 0)
        if self.teacher_fusion is not None and self.teacher_fusion != RECORDED:
            try:
                valid = 0 <= float(self.teacher_fusion) <= 1
            except ValueError:
                valid = False
            expected = f"{RECORDED}, or a weight from 0 to 1"
            require(valid, "train.teacher_fusion", self.teacher_fusion, expected)
        valid = self.teacher_temperature > 0
        require(valid, "train.teacher_temperature", self.teacher_temperature, "must be above 0")
