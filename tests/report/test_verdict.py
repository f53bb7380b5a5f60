"""The verdict: which machine and depth a latency is of, and what the best is tested against."""

import re
from dataclasses import replace

import numpy as np

from pipeline.evaluation.bootstrap import percentiles, resampled_gains
from pipeline.report.comparison import compare
from pipeline.report.format import SEARCH_NAMES, probability, span
from pipeline.report.uncertainty import COLUMNS
from pipeline.report.verdict import judge
from tests.report.sample import RECORDS, VALUES, differences, p_values, read, record, stages

RECORDS_BY_NAME = {run.name: run for run in RECORDS}


def test_the_verdict_keeps_machines_and_depths_apart() -> None:
    name = "colbert_minilm_l6_1neg_2ep"
    best, other = RECORDS[0], next(run for run in RECORDS if run.name == name)
    slow = best.metrics | {"latency/vector_50/total_p50_ms": 545.0}
    gpu = replace(other, params=other.params | {"machine.name": "H100"})
    cpu = replace(best, params=best.params | {"machine.name": "EPYC"}, metrics=slow)
    sentence = judge(compare([gpu, cpu], read), 100).sentences[1]
    where = "median of a query, 50 passages reranked, chosen among 4 systems"
    assert sentence.startswith(f"Best within 100 ms ({where}): on EPYC ")
    assert "on EPYC no reranker is that fast, colbert_minilm_l6_1neg_10" in sentence
    assert f"; on H100 {name} on " in sentence and "in 12.3 ms" in sentence
    # what takes 100 passages is not judged by the time of 50
    deep = {"eval.depth": "100"}
    timed = best.metrics | {"latency/vector_100/total_p50_ms": 180.0}
    run = replace(best, params=best.params | deep, metrics=timed)
    assert (
        "100 passages reranked, chosen among 2 systems): no reranker is that fast"
        in (judge(compare([run], read), 100).sentences[1])
    )
    run = replace(best, params=best.params | deep)
    assert (
        "though the quality takes 100, which was not timed"
        in (judge(compare([run], read), 100).sentences[1])
    )


def test_a_search_that_is_too_slow_is_not_advised() -> None:
    control = RECORDS_BY_NAME["none_none_0neg_0ep"]
    slow = {"latency/vector_50/total_p50_ms": 80.0}
    times = {f"latency/{search}_50/total_p50_ms": 8.0 for search in ("vector", "fts")}
    times["latency/hybrid_50/total_p50_ms"] = 30.0
    reranker = RECORDS_BY_NAME["colbert_minilm_l6_1neg_2ep"]
    runs = [
        replace(control, metrics=control.metrics | times),
        replace(reranker, metrics=reranker.metrics | slow),
    ]
    comparison = compare(runs, read)
    alone = {glance.search: glance.alone for glance in judge(comparison, 100).glances}
    for budget, searches in ((40, ("vector", "fts", "hybrid")), (10, ("vector", "fts"))):
        best = SEARCH_NAMES[max(searches, key=lambda search: alone[search])]
        assert f"use {best} search alone" in judge(comparison, budget).sentences[1]
    sentence = judge(comparison, 5).sentences[1]
    assert sentence.endswith("takes 80.0 ms, and no search alone is.")


def test_each_point_is_timed_at_its_own_depth() -> None:
    timed = {f"latency/vector_{n}/total_p50_ms": 1.0 * n for n in (20, 50)}
    runs = [
        replace(
            record(name, "scratch", VALUES[name]),
            run_id=name,
            params=RECORDS[0].params | {"eval.depth": depth, "base.name": name},
            metrics=RECORDS_BY_NAME[name].metrics | timed,
        )
        for name, depth in (
            ("colbert_minilm_l6_1neg_10ep", "50"),
            ("colbert_minilm_l6_1neg_2ep", "20"),
        )
    ]
    comparison = compare(runs, lambda run_id: VALUES[run_id])
    assert [label.partition(", ")[2] for label in comparison.labels] == ["", "depth 50"]
    assert [comparison.latency(point) for point in comparison.points] == [20.0, 50.0]
    where = "median of a query, 20 or 50 passages reranked, chosen among"
    assert where in judge(comparison, 100).sentences[1]
    assert "which was not timed" not in judge(comparison, 100).sentences[1]


def test_the_best_of_all_systems_is_tested_as_one_of_them() -> None:
    comparison = compare(RECORDS, read)
    quality = comparison.qualities[0]
    # made better than all, from a search that is not the best alone
    verdict = judge(comparison, 100)
    assert verdict.best is not None
    alone = max(verdict.glances, key=lambda glance: glance.alone)
    assert verdict.best.search != alone.search
    base = VALUES["none_none_0neg_0ep"][alone.search][quality.metric]
    tests = {
        (name, column): differences(VALUES[name][column][quality.metric], base)
        for name in comparison.labels[1:]
        for column in COLUMNS
    }
    corrected = dict(zip(tests, p_values([*tests.values()]), strict=True))
    best = comparison.labels[verdict.best.point], verdict.best.column
    assert f"{probability(corrected[best])}) against the best search alone" in verdict.sentences[2]
    # The interval is that of the largest of so many gains: wider than the best's own.
    treatment = VALUES[best[0]][best[1]][quality.metric]
    ids = sorted(base)
    column, alone_values = (np.array([[v[q]] for q in ids]) for v in (treatment, base))
    ((own_low, own_high),) = percentiles(resampled_gains(column, alone_values))
    found = re.search(r"against|\(([+-][\d.]+)% to ([+-][\d.]+)%, p", verdict.sentences[2])
    assert found is not None
    low, high = (float(end) / 100 for end in found.groups())
    assert low < own_low and own_high < high
    cell = verdict.best.cell
    assert cell.chosen[0] < cell.low and cell.high < cell.chosen[1]
    assert f"interval {span(*cell.chosen)}, " in verdict.sentences[0]
    assert "corrected for the choice among 24 systems" in verdict.sentences[0]


def test_the_next_best_has_the_interval_of_its_distance() -> None:
    of_models = [replace(run, params=run.params | {"base.name": run.name}) for run in RECORDS]
    comparison = compare(of_models, read)
    verdict = judge(comparison, 100)
    assert verdict.best is not None
    column = verdict.best.column
    rows = [row[column] for row in comparison.qualities[0].rows[1:]]
    second = sorted(rows, key=lambda cell: cell.value)[-2]
    low, high = (-end for end in reversed(second.to_best))
    behind = verdict.best.cell.value - second.value
    assert f"{behind:.3f} behind (95% interval {low:.3f} to {high:.3f})" in verdict.sentences[0]


def test_a_gain_that_may_be_chance_is_not_called_worth_it() -> None:
    comparison = compare([RECORDS[2], RECORDS[3]], read)
    sentence = judge(comparison, 100).sentences[2]
    start = "Reranking is not shown to be worth it here: the best system is +3.5%"
    assert sentence.startswith(start)


def test_worth_it_needs_the_interval_above_0_as_well() -> None:
    values = {"control": VALUES["none_none_0neg_0ep"], "near": stages(2, 0.066)}
    runs = [record("control", "none", values["control"]), record("near", "scratch", values["near"])]
    sentence = judge(compare(runs, lambda run: values[run.removesuffix("-id")]), 100).sentences[2]
    assert "the best system is +28.8% (-0.6% to +66.8%, p = 0.041)" in sentence
    assert sentence.startswith("Reranking is not shown to be worth it here: ")


def test_a_latency_equal_to_the_budget_is_within_it() -> None:
    comparison = compare([RECORDS[2], RECORDS[3]], read)
    sentence = judge(comparison, 12.34).sentences[1]
    assert "NDCG@10 0.245 in 12.3 ms, but FTS search alone is as good (0.262)." in sentence
    assert "no reranker is that fast" in judge(comparison, 12.33).sentences[1]
