"""Measure how fast a point trains and scores here, from which its time is estimated.

The real trainer and the real scorer do a little work. It is measured anew for every sweep, because
the speed depends on what else the machine does.
"""

import gc
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch

from pipeline.config import Config
from pipeline.config.models import ColbertConfig
from pipeline.experiment.resources import load
from pipeline.experiment.shared import Shared
from pipeline.experiment.work import Work, candidate_pairs
from pipeline.infra.hardware import Hardware
from pipeline.protocols import Reranker, Scorer
from pipeline.records import TrainingExample
from pipeline.rerankers.windows import windowed
from pipeline.retrieval.ties import tie_key
from pipeline.training.schedule import plan
from pipeline.training.train import train

SECONDS = 0.6  # that a measurement takes at least
ROUNDS = 3  # of scoring at least; the median counts, as other work may delay one
STEPS = 6  # of the training at most
QUERIES = 8  # that passages are scored for at most
WARM_UP = 8  # pairs of a first pass, which is slower


class Speed(NamedTuple):
    """Seconds per (query, passage) pair; 0 where there is nothing to do."""

    train: float = 0.0
    score: float = 0.0  # in large batches
    serve: float = 0.0  # one query at a time


@dataclass(frozen=True)
class Sample:
    """Texts to measure on; ``shared_by`` is how many queries a passage is a candidate of."""

    examples: Sequence[TrainingExample]
    queries: Sequence[str]
    passages: Sequence[str]
    shared_by: int


def sample(config: Config, shared: Shared) -> Sample:
    """Take texts of the point's own data, in the order of a hash."""
    rows = STEPS * config.train.batch_size
    pairs, passages = candidate_pairs(shared)
    found = {hit.doc_id for r in shared.candidates.values() for hits in r.values() for hit in hits}
    texts = sorted((shared.dataset.corpus[doc_id] for doc_id in found), key=tie_key)
    examples: list[TrainingExample] = []
    if config.epochs > 0:
        examples = list(islice(shared.training_set(config).examples(), rows))
    return Sample(
        examples=examples,
        queries=sorted(shared.dataset.test.queries.values(), key=tie_key)[:QUERIES],
        passages=texts[: config.eval.batch_size],
        shared_by=round(pairs / max(passages, 1)),
    )


def invented(config: Config, shared_by: int) -> Sample:
    """Make up texts that are longer than any model reads."""
    size = config.eval.batch_size
    passages = [f"{n} the order of the nodes in a graph and its edges " * 99 for n in range(size)]
    queries = [f"how are the nodes of graph {n} ordered" for n in range(QUERIES)]
    rows = STEPS * config.train.batch_size
    examples = [
        TrainingExample(
            query=f"{queries[n % QUERIES]} {n}",
            positive=f"{n} {passages[n % size]}",
            gain=1,
            label=1.0,
            negatives=[f"{n} {k} {passages[n % size]}" for k in range(config.negatives)],
        )
        for n in range(rows)
    ]
    return Sample(examples, queries, passages, shared_by)


def measure(config: Config, base: Path, machine: Hardware, work: Work, texts: Sample) -> Speed:
    """Measure what ``work`` has, on a machine with settled precisions."""
    reranker = load(config, base, machine, trained=False)
    if reranker is None:
        return Speed()
    # Stored vectors are encoded as all others are. OpenVINO is no slower than torch.
    scorer = windowed(reranker, config.rerank)
    score = serve = 0.0
    if work.served or work.to_score or work.encoded:
        score = serve = _seconds_a_pair(scorer, texts.queries[:1], texts.passages)
    if work.to_score and isinstance(config.arch, ColbertConfig):
        # A passage is embedded once for all its queries.
        together = max(1, min(texts.shared_by, QUERIES))
        score = _seconds_a_pair(scorer, texts.queries[:together], texts.passages)
    seconds = _seconds_to_train(config, reranker, machine, texts.examples) if work.trained else 0.0
    del reranker, scorer
    gc.collect()  # The trainer and the model form a cycle.
    if machine.device == "cuda":  # The points may run in other processes.
        torch.cuda.empty_cache()
    return Speed(seconds, score, serve)


def _seconds_a_pair(scorer: Scorer, queries: Sequence[str], passages: Sequence[str]) -> float:
    by_number = {f"q{n}": query for n, query in enumerate(queries)}
    texts = {f"d{n}": passage for n, passage in enumerate(passages)}
    pairs = [(query, passage) for query in by_number for passage in texts]
    scorer.score_pairs(by_number, texts, pairs[:WARM_UP])
    rounds: list[float] = []
    while len(rounds) < ROUNDS or sum(rounds) < SECONDS:
        start = time.perf_counter()
        scorer.score_pairs(by_number, texts, pairs)
        rounds.append(time.perf_counter() - start)
    return median(rounds) / len(pairs)


class _Enough(Exception):
    """Enough steps were timed."""


def _seconds_to_train(
    config: Config, reranker: Reranker, machine: Hardware, examples: Sequence[TrainingExample]
) -> float:
    """Time the steps of a training after the first one, per pair."""
    ends: list[float] = []

    def on_log(step: int, metrics: Mapping[str, float]) -> None:
        ends.append(time.perf_counter())
        if len(ends) == STEPS or (len(ends) > 1 and ends[-1] - ends[0] > SECONDS):
            raise _Enough

    settings = replace(config.train, max_steps=STEPS, eval_every=None, patience=None)
    rows = [row._replace(teacher=[0.0] * (1 + len(row.negatives))) for row in examples]
    queries = len({row.query for row in rows})
    schedule = plan(config.arch.loss, len(rows), queries, config.negatives, 1, settings)
    with TemporaryDirectory() as folder, suppress(_Enough):
        train(
            reranker,
            lambda: rows,
            schedule,
            settings,
            hardware=machine,
            seed=config.seed,
            folder=Path(folder),
            on_log=on_log,
        )
    steps = [end - begun for begun, end in pairwise(ends)]
    return median(steps) / (schedule.pairs / schedule.steps)
