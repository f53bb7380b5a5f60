"""Read what MLflow has of two runs, and compare them.

Runs on the same data (param ``data.fingerprint``) are compared query by query, others only by
their means.
"""

import re
from collections.abc import Mapping
from math import nan

from pipeline.config.stages import TrackingConfig
from pipeline.evaluation.metrics import PerQuery
from pipeline.evaluation.metrics import means as averages
from pipeline.records import Qrels
from pipeline.report.comparison import natural
from pipeline.report.pair.difference import (
    Difference,
    Row,
    Side,
    Texts,
    cases,
    compare,
    disagreements,
)
from pipeline.report.points import MEASURES, cutoffs
from pipeline.report.uncertainty import COLUMNS
from pipeline.tracking import artifacts
from pipeline.tracking.reader import RunRecord
from pipeline.tracking.search_params import SEARCH_PARAMS

COSTS = re.compile(
    r"train/(?:seconds|steps|pairs_seen|peak_mib)|eval/seconds"
    r"|latency/(?:vector|fts|hybrid)_\d+/total_p(?:50|95)_ms"
)
# Params in which two runs of one experiment may differ.
NOT_COMPARED = re.compile(r"run_name|grid|output_dir|tracking\..*|fingerprint|stage\..*")


def differ(config: TrackingConfig, a: RunRecord, b: RunRecord, search: str) -> Difference:
    """Compare the finished runs ``a`` and ``b``; the queries shown are those of ``search``.

    Raises:
        InputError: the tracking store can't be read.
    """
    per_query = [artifacts.read_per_query(config, run.run_id) for run in (a, b)]
    unpaired = _unpaired(a, b)
    if not unpaired and not all(per_query):
        unpaired = "a run has no per-query values"
    shared = sorted(cutoffs(a) & cutoffs(b), reverse=True)
    largest = max(shared, default=0)
    column = f"{search}_reranked"
    metric = f"{column}/{next(iter(MEASURES))}_at_{largest}"
    one, other = (
        _system(run, values, _ranking(config, run, column, largest), paired=not unpaired)
        for run, values in zip((a, b), per_query, strict=True)
    )
    rows = {
        k: [
            compare(f"{name}/{measure}_at_{k}", one, other)
            for measure in MEASURES
            for name in COLUMNS
        ]
        for k in shared
    }
    costs = sorted(
        {name for run in (a, b) for name in run.metrics if COSTS.fullmatch(name)},
        key=lambda name: (name.startswith("latency"), natural(name)),
    )
    found = cases(metric, one, other, _texts(config, a, b))
    a_better, b_better = disagreements(found)
    changed = _config(a.params, b.params)
    return Difference(
        title=f"{a.name} and {b.name}",
        labels=("A", "B"),
        about=_about(a, b, unpaired, len(found), changed),
        rows=rows.get(largest, []),
        further_rows=[row for k in shared if k != largest for row in rows[k]],
        cases=[
            (f"queries on which A is better ({metric})", a_better),
            (f"queries on which B is better ({metric})", b_better),
        ],
        unpaired=unpaired,
        config=changed,
        costs=[Row(name, a.metrics.get(name, nan), b.metrics.get(name, nan)) for name in costs],
    )


def _unpaired(a: RunRecord, b: RunRecord) -> str:
    ours, theirs = (run.params.get("data.fingerprint") for run in (a, b))
    if ours is None or theirs is None:
        return "a run has not recorded the fingerprint of its data"
    if ours != theirs:
        return f"the runs are on different data ({ours[:8]} and {theirs[:8]})"
    return ""


def _column_of(run: RunRecord, column: str) -> str:
    """Return where the figures of ``column`` are: the control has only those of the search."""
    return COLUMNS[column] if run.tags.get("initialisation") == "none" else column


def _system(
    run: RunRecord,
    per_query: Mapping[str, PerQuery],
    ranking: Mapping[str, list[str]],
    paired: bool,
) -> Side:
    means, values = {}, {}
    for column in COLUMNS:
        recorded = _column_of(run, column)
        start = f"{recorded}/"
        for name, mean in run.metrics.items():
            if name.startswith(start):
                means[f"{column}/{name.removeprefix(start)}"] = mean
        for metric, mean in averages(per_query.get(recorded, {})).items():
            means[f"{column}/{metric}"] = mean  # exact, as logged ones are rounded
            if paired:
                values[f"{column}/{metric}"] = per_query[recorded][metric]
    return Side(means, values, ranking)


def _ranking(
    config: TrackingConfig, run: RunRecord, column: str, cutoff: int
) -> dict[str, list[str]]:
    return artifacts.read_ranking(config, run.run_id, _column_of(run, column), cutoff)


def _texts(config: TrackingConfig, a: RunRecord, b: RunRecord) -> Texts:
    queries, passages = {}, {}
    qrels: Qrels = {}
    for run in (a, b):
        for text in artifacts.read_texts(config, run.run_id):
            queries[text.query_id] = text.query
            passages[text.passage_id] = text.passage
            if text.role == "relevant":
                # The grade is not stored.
                qrels.setdefault(text.query_id, {})[text.passage_id] = 1
    return Texts(queries, passages, qrels)


def _config(a: Mapping[str, str], b: Mapping[str, str]) -> list[tuple[str, str, str]]:
    return [
        (key, a.get(key, "-"), b.get(key, "-"))
        for key in sorted(a.keys() | b.keys())
        if a.get(key) != b.get(key) and not NOT_COMPARED.fullmatch(key)
    ]


def _about(
    a: RunRecord,
    b: RunRecord,
    unpaired: str,
    queries: int,
    changed: list[tuple[str, str, str]],
) -> list[str]:
    lines = [f"A: {a.name} ({a.run_id})", f"B: {b.name} ({b.run_id})"]
    if unpaired:
        return [*lines, f"{unpaired}: only means, not to be compared query by query"]
    data = f"{a.tags.get('dataset', '')} {a.params['data.fingerprint'][:8]}"
    lines.append(f"paired over {queries:,} queries of {data}")
    searched = [f"{key} {one} and {other}" for key, one, other in changed if key in SEARCH_PARAMS]
    if searched:
        lines.append(f"the search differs too: {', '.join(searched)}")
    return lines
