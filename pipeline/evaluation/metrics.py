"""Measure one ranking at one cutoff by trec_eval's conventions, through ir-measures.

Gains are linear and a document is relevant from gain 1. A query without any hit has the value 0
and stays in the mean.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from math import fsum
from pathlib import Path

import ir_measures

from pipeline.records import Hit, Qrels, Ranking

PerQuery = dict[str, dict[str, float]]
"""Metric name -> query id -> value in 0..1."""


MEASURES = {
    "ndcg": ir_measures.nDCG,  # Jarvelin and Kekalainen 2002, gain / log2(rank + 1)
    "hit_rate": ir_measures.Success,
    "mrr": ir_measures.RR,
    "recall": ir_measures.R,
}


def measure(
    ranking: Ranking, qrels: Qrels, k: int, kinds: Collection[str] = tuple(MEASURES)
) -> PerQuery:
    """Compute ``kinds`` of ``MEASURES`` for the first ``k`` hits of every query.

    The order of ``ranking`` is taken as it is; its scores are not used. Every query of
    ``qrels`` has a value, 0 if the ranking lacks it; other queries of the ranking are ignored.
    The metrics are named ``ndcg_at_K``, ``hit_rate_at_K`` and so on.

    Raises:
        ValueError: ``k`` is below 1 or a document occurs twice in one list.
    """
    if k < 1:
        raise ValueError(f"k={k} must be at least 1")
    measures = {MEASURES[kind] @ k: f"{kind}_at_{k}" for kind in kinds}
    per_query = {name: dict.fromkeys(qrels, 0.0) for name in measures.values()}
    run = {query: _rank_scores(query, ranking.get(query, ())) for query in qrels}
    for result in ir_measures.iter_calc(list(measures), qrels, run):
        per_query[measures[result.measure]][result.query_id] = float(result.value)
    return per_query


def means(per_query: PerQuery) -> dict[str, float]:
    """Average every metric over all queries; NaN for a metric without queries."""
    return {
        name: fsum(values.values()) / len(values) if values else float("nan")
        for name, values in per_query.items()
    }


def write_run(path: Path, ranking: Ranking, tag: str) -> None:
    """Write ``ranking`` as a TREC run file: query Q0 document rank score tag.

    trec_eval ignores the rank column, sorts by score and breaks ties by document id. The score
    column is therefore 1/rank in place of the score, so that such a tool sees the order of
    ``ranking``. White space and % in ids and tag are percent-encoded, because the format's columns
    are separated by white space.
    """
    tag = _column(tag)
    with path.open("w", encoding="utf-8") as file:
        for query, hits in ranking.items():
            for rank, (document, value) in enumerate(_rank_scores(query, hits).items(), start=1):
                file.write(f"{_column(query)} Q0 {_column(document)} {rank} {value!r} {tag}\n")


def write_qrels(path: Path, qrels: Qrels) -> None:
    """Write judgments as a TREC qrels file (query 0 document gain), with ids as in write_run."""
    with path.open("w", encoding="utf-8") as file:
        for query, gains in qrels.items():
            for document, gain in gains.items():
                file.write(f"{_column(query)} 0 {_column(document)} {gain}\n")


def _rank_scores(query: str, hits: Sequence[Hit]) -> Mapping[str, float]:
    """Score documents by 1/rank, strictly decreasing also in trec_eval's single precision."""
    scores = {hit.doc_id: 1 / rank for rank, hit in enumerate(hits, start=1)}
    if len(scores) != len(hits):
        raise ValueError(f"query {query!r}: a document occurs twice in its ranking")
    return scores


def _column(identifier: str) -> str:
    """Encode white space in an id; % is encoded too, so that no two ids become one."""
    return re.sub(r"[\s%]", lambda m: "".join(f"%{byte:02X}" for byte in m[0].encode()), identifier)
