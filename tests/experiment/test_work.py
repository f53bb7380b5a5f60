"""Work is counted as it will be done, and what the cache has is no work."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from pipeline.config.stages import ForgettingConfig, LatencyConfig
from pipeline.experiment.shared import Shared
from pipeline.experiment.speed import invented, measure, sample
from pipeline.experiment.start import Start
from pipeline.experiment.teacher import find_teacher
from pipeline.experiment.work import Work, candidate_pairs, count, dev_pairs, time_work
from pipeline.infra.hardware import Hardware
from pipeline.infra.model_files import prepare_base
from pipeline.infra.stage_cache import StageCache
from pipeline.records import Dataset, Hit, QuerySet
from pipeline.training.schedule import Schedule
from tests.conftest import Compose, Saved, Trained
from tests.points import compose_config


def test_a_pair_is_scored_once_for_all_searches() -> None:
    found = {"vector": {"q": "ab", "p": "a"}, "fts": {"q": "bc", "p": ""}}
    candidates = {
        search: {query: [Hit(d, 1.0) for d in ids] for query, ids in of_search.items()}
        for search, of_search in found.items()
    }
    dev, test = QuerySet({"q": ""}, {}), QuerySet({"p": ""}, {})
    dataset = Dataset("two queries", "", {}, {}, QuerySet({}, {}), dev, test)
    shared = cast(Shared, SimpleNamespace(candidates=candidates, dataset=dataset))
    assert candidate_pairs(shared) == (4, 3)


def test_dev_candidates_are_scored_at_every_evaluation() -> None:
    config = compose_config(["eval.dev_depth=20"])
    assert dev_pairs(config, Schedule("bce", 1, 10, 80, 4), queries=5) == 3 * 5 * 20
    assert dev_pairs(config, Schedule("bce", 1, 10, 80, None), queries=5) == 0
    config = replace(config, base=replace(config.base, dedicated=True))
    assert dev_pairs(config, Schedule("bce", 1, 10, 80, None), queries=5) == 2 * 5 * 20


def test_timing_is_for_every_limit_and_search() -> None:
    config = LatencyConfig(limits=[20, 50], queries=100, warmup=5, rerank_modes=["hybrid"])
    assert time_work(config, reads=True) == Work(served=35 * 70, searched=35 * 2 * 3)
    assert time_work(config, reads=False) == Work(searched=35 * 2 * 3)
    assert time_work(replace(config, queries=4), reads=True).served == 9 * 70
    assert time_work(replace(config, callers=8, callers_seconds=1.5), reads=True).called == 1.5


@pytest.mark.slow
def test_what_is_cached_is_no_work(trained: Callable[[str], Trained], shared: Shared) -> None:
    config = trained("cross_encoder").config
    start = Start.of(config, StageCache.of(config), shared)
    # The run reranks half as many candidates as ``shared`` has.
    pairs = candidate_pairs(shared)[0]
    assert count(start, set()) == Work(scored=pairs)
    other = replace(start, config=replace(config, seed=99))
    assert count(other, set()) == Work(trained=64, scored=pairs)
    counted: set[str] = set()
    for served in (35 * 170, 0):  # The second point shares the latency of the first.
        timed = replace(config, latency=LatencyConfig(rerank_modes=["hybrid"]))
        assert count(replace(start, config=timed), counted).served == served


@pytest.mark.slow
def test_what_variants_share_is_counted_once(small: Compose, shared: Shared) -> None:
    """A model is trained once for all ways to store its vectors, and encodes the passages once."""
    words = ("arch=colbert", "base=modernbert_tiny", "latency.enabled=false", "seed=98")
    counted: set[str] = set()
    found = {}
    for vectors in ("none", "fp16", "int8"):
        config = small(*words, f"rerank.vectors={vectors}")
        start = Start.of(config, StageCache.of(config), shared)
        found[vectors] = count(start, counted)
    assert found == {
        "none": Work(trained=96, scored=candidate_pairs(shared)[0]),
        "fp16": Work(encoded=len(shared.dataset.corpus)),
        "int8": Work(),
    }


@pytest.mark.slow
def test_a_teacher_scores_the_training_passages_once(
    small: Compose, shared: Shared, saved: Saved, tmp_path: Path
) -> None:
    words = ("arch=cross_encoder", "arch.loss=kl", "base=modernbert_tiny", "latency.enabled=false")
    config = small(*words, f"train.teacher={saved('colbert')}", "negatives=2")
    start = Start.of(config, StageCache(tmp_path), shared)
    rows = start.training_set
    counted: set[str] = set()
    assert count(start, counted).taught == len(rows) + 2 * rows.queries > 0
    assert count(replace(start, config=replace(config, seed=99)), counted).taught == 0
    teacher = find_teacher(start)
    assert teacher is not None
    start.cache.get("teacher", teacher.inputs, lambda folder: None)
    assert count(start, set()).taught == 0


@pytest.mark.slow
def test_the_forgetting_check_scores_before_and_after_training(
    trained: Callable[[str], Trained], shared: Shared
) -> None:
    config = trained("cross_encoder").config
    config = replace(config, forgetting=ForgettingConfig(config.dataset))
    start = Start.of(config, StageCache.of(config), shared)
    assert count(start, set()).general == 0  # The trained model was checked.
    once = len(shared.dataset.test) * config.eval.candidates
    counted: set[str] = set()
    for epochs, general in ((1, 2 * once), (2, once), (1, 0)):
        train = replace(config.train, max_steps=None)
        other = replace(config, epochs=epochs, seed=99, train=train)
        assert count(replace(start, config=other), counted).general == general


@pytest.mark.slow
def test_the_speed_is_measured_of_what_there_is_to_do(
    small: Compose, shared: Shared, machine: Hardware
) -> None:
    config = small("arch=colbert", "base=modernbert_tiny", "train.batch_size=4")
    base = prepare_base(config.base, StageCache.of(config))
    speed = measure(config, base, machine, Work(1, 1, 1), sample(config, shared))
    assert all(seconds > 0 for seconds in speed)
    assert measure(config, base, machine, Work(), invented(config, 3)) == (0, 0, 0)
    assert measure(config, base, machine, Work(trained=1), invented(config, 3)).train > 0
