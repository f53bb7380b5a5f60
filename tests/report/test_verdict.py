"""The verdict: which machine and depth a latency is of, and what the best is tested against."""

from dataclasses import replace

from pipeline.evaluation.significance import holm
from pipeline.report.comparison import compare
from pipeline.report.format import probability
from pipeline.report.uncertainty import COLUMNS
from pipeline.report.verdict import judge
from tests.report.sample import RECORDS, VALUES, p_value, read


def test_the_verdict_keeps_machines_and_depths_apart() -> None:
    name = "colbert_minilm_l6_1neg_2ep"
    best, other = RECORDS[0], next(run for run in RECORDS if run.name == name)
    slow = best.metrics | {"latency/vector_50/total_p50_ms": 545.0}
    gpu = replace(other, params=other.params | {"machine.name": "H100"})
    cpu = replace(best, params=best.params | {"machine.name": "EPYC"}, metrics=slow)
    said = judge(compare([gpu, cpu], read), 100).sentences[1]
    assert said.startswith("Best within 100 ms (median of a query, 50 passages reranked): on EPYC ")
    assert "on EPYC no reranker is that fast, colbert_minilm_l6_1neg_10" in said
    assert f"; on H100 {name} on " in said and "in 12.3 ms" in said
    # what takes 100 passages is not judged by the time of 50
    deep = {"eval.depth": "100"}
    timed = best.metrics | {"latency/vector_100/total_p50_ms": 180.0}
    run = replace(best, params=best.params | deep, metrics=timed)
    assert (
        "100 passages reranked): no reranker is that fast"
        in (judge(compare([run], read), 100).sentences[1])
    )
    run = replace(best, params=best.params | deep)
    assert (
        "though the quality takes 100, which was not timed"
        in (judge(compare([run], read), 100).sentences[1])
    )


def test_the_best_of_all_systems_is_tested_as_one_of_them() -> None:
    comparison = compare(RECORDS, read)
    quality = comparison.qualities[0]
    # made better than all, from a search that is not the best alone
    verdict = judge(comparison, 100)
    assert verdict.best is not None
    alone = max(verdict.glances, key=lambda glance: glance.alone)
    assert verdict.best.search != alone.search
    base = VALUES["none_none_0neg_0ep"][alone.search][quality.metric]
    raw = {
        (name, column): p_value(VALUES[name][column][quality.metric], base)
        for name in comparison.labels[1:]
        for column in COLUMNS
    }
    corrected = dict(zip(raw, holm([*raw.values()]), strict=True))
    expected = corrected[comparison.labels[verdict.best.point], verdict.best.column]
    assert f"{probability(expected)}) against the best search alone" in verdict.sentences[2]
