"""Runs with values that only look like results, for the tests of the report."""

import random
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from pipeline.evaluation.metrics import PerQuery, means
from pipeline.evaluation.significance import max_t
from pipeline.records import SEARCHES
from pipeline.report.comparison import Comparison, by_search, compare
from pipeline.report.document import Document, document
from pipeline.report.page import html
from pipeline.report.study import Stored, Study
from pipeline.tracking.reader import RunRecord
from tests.pages import Page

QUERIES = 60
NOTHING = Stored(lambda *_: {}, lambda _: {}, lambda _: [])
Stages = dict[str, PerQuery]


def differences(treatment: Mapping[str, float], baseline: Mapping[str, float]) -> list[float]:
    """Treatment minus baseline, in the order of the query ids."""
    return [treatment[query] - baseline[query] for query in sorted(treatment)]


def p_values(tests: Sequence[Sequence[float]]) -> list[float]:
    """The corrected p-values of one table of tests, each given by its differences."""
    return max_t(np.array(tests).T)


def stages(seed: int, gain: float, control: bool = False) -> Stages:
    """Per-query values at 5 and 10; the search alone is the same for every run."""
    suffixes = [""] if control else ["", "_reranked", "_fused"]
    per_query: Stages = {}
    for suffix in suffixes:
        for search in SEARCHES:
            rng, own = random.Random(search), random.Random(f"{seed}{search}{suffix}")
            values: PerQuery = {}
            for k in (5, 10):
                base = [rng.random() * 0.5 for _ in range(QUERIES)]
                if suffix:
                    base = [v + gain + own.gauss(0, 0.1) for v in base]
                values[f"ndcg_at_{k}"] = {f"q{i}": v for i, v in enumerate(base)}
                values[f"hit_rate_at_{k}"] = {f"q{i}": float(v > 0.3) for i, v in enumerate(base)}
            per_query[f"{search}{suffix}"] = values
    return per_query


def record(
    name: str, group: str, per_query: Stages, status: str = "FINISHED", **more: str
) -> RunRecord:
    metrics = {f"{s}/{m}": v for s, p in per_query.items() for m, v in means(p).items()}
    if per_query:
        metrics |= {"vector_ideal/ndcg_at_5": 0.7, "vector_ideal/ndcg_at_10": 0.838}
        metrics |= {"fts_ideal/ndcg_at_10": 0.854, "latency/vector_50/total_p50_ms": 12.34}
    if group in ("scratch", "finetuned"):
        metrics["train/seconds"] = 288.4
    tags = {"initialisation": group, "arch": name.split("_")[0], "dataset": "pydocs", **more}
    params = {
        "data.corpus": "9000",
        "negatives": "1",
        "epochs": "2",
        "seed": "12",
        "eval.overfetch": "4",
    }
    return RunRecord(f"{name}-id", name, status, tags, params, metrics)


VALUES = {
    "none_none_0neg_0ep": stages(0, 0, control=True),
    "colbert_minilm_l6_1neg_10ep": stages(1, 0.1),
    "colbert_minilm_l6_1neg_2ep": stages(2, 0.0),
    "cross_encoder_answerai_colbert_0neg_0ep": stages(3, -0.1),
    "cross_encoder_minilm_l6_0neg_0ep": stages(4, -0.2),
}
RECORDS = [  # in no order
    record("colbert_minilm_l6_1neg_10ep", "scratch", VALUES["colbert_minilm_l6_1neg_10ep"]),
    record("cross_encoder_bad|name", "scratch", {}, "FAILED", failure="ValueError: a|b <c>\nd"),
    record("none_none_0neg_0ep", "none", VALUES["none_none_0neg_0ep"]),
    record("colbert_minilm_l6_1neg_2ep", "scratch", VALUES["colbert_minilm_l6_1neg_2ep"]),
    record("colbert_lost_1neg_1ep", "scratch", {}, "RUNNING", host="box", pid="7"),
    record(
        "cross_encoder_answerai_colbert_0neg_0ep",
        "dedicated",
        VALUES["cross_encoder_answerai_colbert_0neg_0ep"],
    ),
    record(
        "cross_encoder_minilm_l6_0neg_0ep", "untrained", VALUES["cross_encoder_minilm_l6_0neg_0ep"]
    ),
]


def read(run_id: str) -> Stages:
    return VALUES.get(run_id.removesuffix("-id"), {})


@cache
def whole() -> Comparison:
    """The comparison of all RECORDS."""
    return compare(RECORDS, read)


def documented(comparison: Comparison, identifier: str = "s1") -> Document:
    """Its report, without what runs store in files."""
    return document(Study(comparison, NOTHING, 100.0, identifier))


def written_page(*comparisons: Comparison) -> str:
    numbered = enumerate(comparisons, start=1)
    return html([documented(one, f"s{number}") for number, one in numbered])


def page(*runs: RunRecord) -> Page:
    groups = by_search(runs).items()
    return Page(written_page(*(compare(group, read, title=title) for title, group in groups)))
