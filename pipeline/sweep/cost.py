"""Count what a grid computes and keeps: FLOPs, memory of training and disk, from configurations.

Reading a text takes 2 FLOPs for each weight of the transformer's layers per token, and
4 x layers x length x width for the attention; training takes three times as much as reading. After
Kaplan et al., "Scaling Laws for Neural Language Models" (2020, arXiv 2001.08361), section 2.1: 2N
per token of a forward pass, 6N of training. Their term of the attention is half as large, as a
token of a decoder sees those before it only.

All FLOPs are upper bounds: every text counts as long as the model may read. Embeddings, heads,
MaxSim, embedding the corpus, mining, a teacher, the forgetting check and timing are not counted.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from pipeline.config import Config
from pipeline.config.models import ColbertConfig, CrossEncoderConfig
from pipeline.config.stages import RerankConfig
from pipeline.config.transformer import Transformer, sizes
from pipeline.experiment.work import Work
from pipeline.rerankers.token_codec import TokenCodec
from pipeline.sweep import planned_work

TRAINING = 3  # forward passes in FLOPs: the backward pass takes two
DRAWN = 4  # passages of other rows that a cross-encoder reads per query with loss=mnrl
WEIGHT = 4  # bytes of a weight in fp32
TRAINED = 16  # bytes of a weight that is trained: with its gradient and AdamW's two moments
SCALE = 2  # bytes beside the numbers of a stored token, unless these are fp16


Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Cost:
    """What one point computes and keeps; None where it is not known."""

    run: str
    pairs_to_train: int | None
    steps: int | None
    pairs_to_score: int | None
    training_flops: float | None
    scoring_flops: float | None
    memory_bytes: int | None  # of training, without activations; 0 if nothing is trained
    disk_bytes: int | None

    @property
    def flops(self) -> float | None:
        """Of training and scoring."""
        return added((self.training_flops, self.scoring_flops))


def of_grid(points: Sequence[Config], works: Sequence[Work | None]) -> list[Cost]:
    """The cost of every point; what points share counts for the first of them."""
    kept: set[str] = set()
    costs = []
    for point, work in zip(points, works, strict=True):
        model = sizes(point.base.path, None if point.base.dedicated else point.base.keep_layers)
        files = {name: size for name, size in disk(point, model).items() if name not in kept}
        kept.update(files)
        schedule = planned_work.full_schedule(point) if work and work.trained else None
        costs.append(
            Cost(
                run=point.run_name,
                pairs_to_train=work and work.trained,
                steps=(schedule.steps if schedule else 0) if work else None,
                pairs_to_score=work and work.to_score,
                training_flops=training_flops(point, model, work),
                scoring_flops=scoring_flops(point, model, work),
                memory_bytes=0 if work and not work.trained else memory(point, model),
                disk_bytes=added(files.values()),
            )
        )
    return costs


def total(costs: Sequence[Cost]) -> Cost:
    """The sum of the points; of their memory the most, as they train one after another."""
    memories = [cost.memory_bytes for cost in costs]
    known = [size for size in memories if size is not None]
    return Cost(
        run="all",
        pairs_to_train=added(cost.pairs_to_train for cost in costs),
        steps=added(cost.steps for cost in costs),
        pairs_to_score=added(cost.pairs_to_score for cost in costs),
        training_flops=added(cost.training_flops for cost in costs),
        scoring_flops=added(cost.scoring_flops for cost in costs),
        memory_bytes=max(known, default=0) if len(known) == len(memories) else None,
        disk_bytes=added(cost.disk_bytes for cost in costs),
    )


def added(numbers: Iterable[Number | None]) -> Number | None:
    """The sum; None if one of the numbers is."""
    found = list(numbers)
    known = [number for number in found if number is not None]
    return sum(known) if len(known) == len(found) else None


def forward(model: Transformer, texts: float, length: int) -> float:
    """FLOPs of reading ``texts`` of ``length`` tokens each, by the formula above."""
    weights = 2 * model.layer_weights
    attention = 4 * model.layers * length * model.queries
    return texts * length * (weights + attention)


def training_flops(point: Config, model: Transformer | None, work: Work | None) -> float | None:
    """FLOPs of the training steps; those of a ColBERT read each query once for its passages."""
    if work is None:
        return None
    if work.trained == 0:
        return 0.0
    if model is None:
        return None
    arch, queries = point.arch, work.trained / (1 + point.negatives)
    if isinstance(arch, CrossEncoderConfig):
        pairs = work.trained + (DRAWN * queries if arch.loss == "mnrl" else 0)
        return TRAINING * forward(model, pairs, arch.training_tokens)
    assert isinstance(arch, ColbertConfig)
    passages = forward(model, work.trained, arch.training_tokens)
    return TRAINING * (passages + forward(model, queries, arch.query_length))


def scoring_flops(point: Config, model: Transformer | None, work: Work | None) -> float | None:
    """FLOPs of scoring the candidates, and those of dev queries while the model trains.

    A ColBERT reads every query and every passage once per scoring. None with ``rerank.windows``:
    only the data can tell how many windows a passage has.
    """
    if work is None:
        return None
    if point.arch.name == "none":
        return 0.0
    if model is None or point.rerank.windows is not None:
        return None
    if isinstance(point.arch, CrossEncoderConfig):
        return forward(model, work.ranked, point.arch.tokens)
    assert isinstance(point.arch, ColbertConfig)
    queries, passages = _read_by_colbert(point, work)
    read = forward(model, queries, point.arch.query_length)
    return read + forward(model, passages, point.arch.tokens)


def _read_by_colbert(point: Config, work: Work) -> tuple[float, float]:
    """Count the queries and the passages that a ColBERT reads to score."""
    corpus, dev = planned_work.passages(point), point.dataset.max_dev_queries or 0
    per_scoring = dev * min(point.eval.dev_depth, point.eval.candidates)
    scorings = work.dev / per_scoring if per_scoring else 0.0
    queries = dev * scorings
    if work.scored or point.rerank.vectors != "none":
        queries += dev + (point.dataset.max_eval_queries or 0)
    passages = scorings * min(per_scoring, corpus or per_scoring)
    return queries, passages + min(work.scored, corpus or work.scored) + work.encoded


def memory(point: Config, model: Transformer | None) -> int | None:
    """Bytes for the weights in training, gradients and moments included; 0 if none is trained.

    With ``train.lora_rank`` those of the base alone, as its adapters are small.
    """
    if point.epochs == 0:
        return 0
    if model is None:
        return None
    return model.parameters * (WEIGHT if point.train.lora_rank else TRAINED)


def disk(point: Config, model: Transformer | None) -> dict[str, int | None]:
    """Bytes of the vectors and models that a point keeps, by what determines them.

    A model is kept in the folder of its run, and if it was trained in the stage cache as well.
    Texts, indexes over vectors, checkpoints and prepared bases are not counted.
    """
    passages, searched = planned_work.passages(point), sizes(point.embedder.path)
    index = passages * searched.hidden * WEIGHT if passages and searched else None
    files = {f"index {point.dataset} {point.embedder}": index}
    if point.arch.name == "none":
        return files
    trained = planned_work.model_key(point)
    weights = model.parameters * WEIGHT if model else None
    files[f"run {point}"] = weights
    if point.epochs > 0:
        files[f"cache {trained}"] = weights
    if isinstance(point.arch, ColbertConfig) and point.rerank.vectors != "none":
        # All other kinds are made of the vectors in fp16, which stay in the cache. Torch encodes
        # the passages, whatever computes the queries.
        for rerank in (RerankConfig(vectors="fp16"), replace(point.rerank, variant="torch")):
            size = _token_vectors(point, point.arch, rerank)
            files[f"vectors {trained} {rerank}"] = size
    return files


def _token_vectors(point: Config, arch: ColbertConfig, rerank: RerankConfig) -> int | None:
    """Bytes if every passage has ``arch.document_length`` tokens; None if their size is unknown."""
    passages = planned_work.passages(point)
    if passages is None or point.base.dedicated:  # A published ColBERT keeps its own token size.
        return None
    codec = TokenCodec(rerank.vectors, arch.embedding_size)
    token = codec.width * codec.dtype.itemsize + (0 if rerank.vectors == "fp16" else SCALE)
    return passages * -(-arch.document_length // rerank.token_pooling) * token
