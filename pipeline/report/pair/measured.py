"""Compare models that were just measured, and let one pass a gate."""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from math import isfinite, nan

from pipeline.evaluation.metrics import means
from pipeline.records import Ranking, Refused
from pipeline.report.pair.difference import (
    Case,
    Difference,
    Row,
    Side,
    Texts,
    cases,
    compare,
    worst,
)


@dataclass(frozen=True)
class Setting:
    """What was measured; model and baseline are named as the user did."""

    model: str
    baseline: str | None
    dataset: str
    fingerprint: str
    mode: str  # rerank or retrieve
    metric: str
    queries: int
    ranks_nothing: tuple[str, ...] = ()  # of model and baseline, those whose scores are equal


def system(values: Mapping[str, Mapping[str, float]], ranking: Ranking) -> Side:
    """Describe a measured model: search -> query id -> value, and the order for one search."""
    per_query = {search: dict(of_queries) for search, of_queries in values.items()}
    ids = {query: [hit.doc_id for hit in hits] for query, hits in ranking.items()}
    return Side(means(per_query), per_query, ids)


def differ(
    setting: Setting,
    search: str,
    model: Side,
    baseline: Side | None,
    alone: Side | None,
    texts: Texts,
) -> Difference:
    """Compare the model with the baseline on every search; show the worst queries of ``search``.

    ``alone`` is the search without reranking. The rankings of the systems are those of ``search``.
    """
    mode = "labelled passages" if setting.mode == "rerank" else "retrieved and"
    about = [
        f"{setting.dataset}: {setting.queries:,} test queries, {mode} reranked; {setting.metric}"
    ]
    if setting.baseline is not None:
        about.insert(0, f"baseline: {setting.baseline}")
    about.insert(0, f"model:    {setting.model}")
    for name in setting.ranks_nothing:
        about.append(
            f"the {name} ranks nothing: its scores are equal for nearly all passages of most "
            "queries, so the passages keep the order in which they came"
        )
    found = worst(cases(search, baseline, model, texts))
    heading = f"{len(found)} worst queries" if len(found) > 1 else "worst query"
    return Difference(
        title=setting.model,
        labels=("baseline", "model"),
        about=about,
        rows=[
            compare(name, baseline, model, alone.means[name] if alone else nan)
            for name in model.values
        ],
        cases=[(f"the {heading} ({search})", found)],
    )


def gate(row: Row, metric: str, min_gain: float, ranks_nothing: Collection[str] = ()) -> None:
    """Pass a relative gain of at least ``min_gain`` that is more than chance.

    Raises:
        Refused: the gain is smaller, or not significant, or the model ranks nothing.
    """
    if reason := _refusal(row, metric, min_gain, ranks_nothing):
        raise Refused(reason)


def _refusal(row: Row, metric: str, min_gain: float, ranks_nothing: Collection[str]) -> str:
    """Why the gate refuses the model; "" if the model passes."""
    assert row.difference is not None
    if "model" in ranks_nothing:
        return "the model ranks nothing: its scores are equal for nearly all passages"
    gain = f"{metric} ({row.name}): the gain is {row.gain:+.1%}"
    if row.gain < min_gain:
        return f"{gain}, the gate needs {min_gain:+.1%}"
    if not row.significant:
        return f"{gain}, but not significant (p = {row.difference.p_value:.3f})"
    return ""


def as_json(
    difference: Difference,
    setting: Setting,
    gated: Row,
    min_gain: float | None,
) -> str:
    """Return one object: the setting, the rows, the gate and the queries of the first heading.

    What does not exist or is not finite is null. The gate is null without ``min_gain``.
    """
    gate = None
    if min_gain is not None and gated.difference is not None:
        gate = {
            "search": gated.name,
            "min_gain": min_gain,
            "gain": _finite(gated.gain),
            "p_value": gated.difference.p_value,
            "passed": not _refusal(gated, setting.metric, min_gain, setting.ranks_nothing),
        }
    _, cases = difference.cases[0]
    content = {
        **asdict(setting),
        "searches": {row.name: _row_object(row) for row in difference.rows},
        "gate": gate,
        "worst": [_case_object(case) for case in cases],
    }
    return json.dumps(content, ensure_ascii=False, allow_nan=False)


def _row_object(row: Row) -> dict[str, object]:
    return {
        "no_reranking": _finite(row.alone),
        "baseline": _finite(row.a),
        "model": row.b,
        "model_interval": [row.low, row.high],
        "difference": None if row.difference is None else asdict(row.difference),
        "gain": _finite(row.gain),
        "wins": row.wins,
        "ties": row.ties,
        "losses": row.losses,
    }


def _case_object(case: Case) -> dict[str, object]:
    return {
        "query_id": case.query_id,
        "query": case.query,
        "value": case.b.value,
        "baseline": case.a.value if case.a else None,
        "relevant_id": case.relevant_id,
        "relevant": case.relevant,
        "relevant_rank": case.b.rank,
        "ranked_first_id": case.b.first_id,
        "ranked_first": case.b.first,
    }


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
