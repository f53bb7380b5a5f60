"""Which runs are one point, how points are named, and which are compared with one another."""

from dataclasses import replace
from math import isnan

import pytest

from pipeline.report.comparison import Comparison, by_search, compare
from pipeline.report.uncertainty import COLUMNS
from pipeline.tracking.reader import RunRecord
from tests.report.sample import RECORDS, VALUES, Stages, differences, p_values, record, stages


def test_equal_names_are_distinguished() -> None:
    base = record("colbert_x_1neg_1ep", "scratch", VALUES["colbert_minilm_l6_1neg_2ep"])
    rates = [
        replace(base, run_id=rate * 9, params={"train.learning_rate": rate, "seed": "1"})
        for rate in ("0.1", "0.2")
    ]
    assert compare(rates, lambda _: {}).labels == [
        "colbert_x_1neg_1ep (train.learning_rate=0.1)",
        "colbert_x_1neg_1ep (train.learning_rate=0.2)",
    ]
    again = [replace(rates[0], run_id=letter * 9) for letter in "ab"]
    assert compare(again, lambda _: {}).labels == [
        "colbert_x_1neg_1ep (aaaaaaaa)",
        "colbert_x_1neg_1ep (bbbbbbbb)",
    ]


def test_seeds_of_one_point_are_pooled() -> None:
    both = [
        record("colbert_x_1neg_1ep", "scratch", stages(seed, 0.05), note=str(seed))
        for seed in (1, 2)
    ]
    runs = [replace(r, run_id=f"s{i}", params={"seed": str(i)}) for i, r in enumerate(both, 1)]
    pooled = compare(runs, lambda run_id: stages(int(run_id[1:]), 0.05))
    assert pooled.labels == ["colbert_x_1neg_1ep (2 seeds)"]
    cell = pooled.qualities[0].rows[0]["vector_reranked"]
    one, two = (run.metrics["vector_reranked/ndcg_at_10"] for run in runs)
    assert cell.value == pytest.approx((one + two) / 2)
    assert cell.spread == pytest.approx(abs(one - two) / 2**0.5)  # of two values
    first, second = (stages(seed, 0.05) for seed in (1, 2))
    mean = {
        q: (v + second["vector_reranked"]["ndcg_at_10"][q]) / 2
        for q, v in first["vector_reranked"]["ndcg_at_10"].items()
    }
    search = first["vector"]["ndcg_at_10"]
    row = pooled.qualities[0].rows[0].values()
    tests = [
        differences(
            {q: (v + second[c]["ndcg_at_10"][q]) / 2 for q, v in first[c]["ndcg_at_10"].items()},
            first[search]["ndcg_at_10"],
        )
        for c, search in COLUMNS.items()
    ]
    assert [cell.p_value for cell in row] == pytest.approx(p_values(tests))
    gain = sum(tests[0]) / len(mean)
    assert cell.gain == pytest.approx(gain)
    assert cell.relative == pytest.approx(gain * len(mean) / sum(search.values()))


def test_a_seed_whose_training_was_undone_counts_like_the_others() -> None:
    runs = [
        replace(
            record("colbert_x_2neg_1ep", "finetuned", stages(seed, 0.05), note=str(seed)),
            run_id=f"s{seed}",
            params={"seed": str(seed)},
        )
        for seed in (1, 2, 3)
    ]
    undone = [replace(run, tags=run.tags | {"initialisation": "start_kept"}) for run in runs]

    def compared(*members: RunRecord) -> Comparison:
        return compare(list(members), lambda run_id: stages(int(run_id[1:]), 0.05))

    mixed = compared(runs[0], undone[1], runs[2])
    assert mixed.labels == ["colbert_x_2neg_1ep (3 seeds)"]
    assert [point.group for point in mixed.points] == ["finetuned"]
    cell = mixed.qualities[0].rows[0]["vector_reranked"]
    values = [run.metrics["vector_reranked/ndcg_at_10"] for run in runs]
    assert cell.value == pytest.approx(sum(values) / 3)
    assert [point.group for point in compared(undone[0], runs[1]).points] == ["finetuned"]
    assert [point.group for point in compared(*undone).points] == ["start_kept"]


def test_only_what_starts_from_the_same_search_is_compared() -> None:
    params = {"data.fingerprint": "a" * 64, "embedder.max_length": "48"}
    short, long, other = (
        replace(RECORDS[0], run_id=str(i), params=params | changed)
        for i, changed in enumerate(
            ({}, {"embedder.max_length": "128"}, {"data.fingerprint": "b" * 64})
        )
    )
    early = replace(RECORDS[1], params={})
    assert by_search([long, short, other, early]) == {
        "pydocs aaaaaaaa, embedder.max_length=128": [long, early],
        "pydocs aaaaaaaa, embedder.max_length=48": [short],
        "pydocs bbbbbbbb": [other],
    }
    assert by_search([]) == {"": []}


def test_machines_do_not_keep_seeds_apart_but_latencies() -> None:
    on = [("1", "A100"), ("2", "H100")]
    runs = [
        replace(
            record("colbert_x_1neg_1ep", "scratch", stages(int(seed), 0.05)),
            run_id=f"s{seed}",
            params={"seed": seed, "machine.name": name, "machine.precision": "bf16"},
        )
        for seed, name in on
    ]

    def values(run_id: str) -> Stages:
        return stages(int(run_id[1:]), 0.05)

    pooled = compare(runs, values)
    assert pooled.labels == ["colbert_x_1neg_1ep (2 seeds)"]
    assert isnan(pooled.latency(pooled.points[0]))  # it is of neither
    assert not isnan(compare(runs[:1], values).latency(runs[0]))
    twice = [replace(run, params=run.params | {"seed": "1"}) for run in runs]
    assert compare(twice, values).labels == [
        "colbert_x_1neg_1ep (A100)",
        "colbert_x_1neg_1ep (H100)",
    ]
    fp32 = replace(runs[1], params=runs[1].params | {"machine.precision": "fp32"})
    assert len(compare([runs[0], fp32], values).points) == 2  # precision changes scores
