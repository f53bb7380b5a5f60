"""Write and read what runs store besides params and metrics.

A point has its per-query values, some texts and its rankings as TREC files; a sweep has the list
of its points. In the stored tables ``stage`` is the column of the results: ``vector``,
``vector_reranked`` and so on.
"""

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.stages import TrackingConfig
from pipeline.data.text import cut
from pipeline.evaluation.metrics import PerQuery
from pipeline.tracking.reader import RunRecord
from pipeline.tracking.store import contact
from pipeline.tracking.writer import ActiveRun

FACTS = "query"  # in place of a column: what is known of the queries themselves
TRAINED = "trained_passage"  # 1 if a relevant passage is relevant to a training query too
PER_QUERY_FILE = "per_query.parquet"
TEXTS_FILE = "texts.parquet"
POINTS_FILE = "grid.json"  # of a sweep: fingerprint -> name and dataset of each of its points
QUERY_TABLE = "per_query"
QUERY_TABLE_ROWS = 2000  # the UI loads the whole table at once
QUERY_TEXT = 300  # characters of a query in the table


class Text(NamedTuple):
    """The texts of a query and of one of its passages.

    ``role`` is ``relevant``, or the column (``vector``, ``vector_reranked``, ...) in which the
    passage is first.
    """

    query_id: str
    query: str
    role: str
    passage_id: str
    passage: str


def log_per_query(run: ActiveRun, per_query: Mapping[str, PerQuery]) -> None:
    """Store column -> metric -> query id -> value as the artifact ``per_query.parquet``."""
    table: dict[str, list[object]] = {"query_id": [], "stage": [], "metric": [], "value": []}
    for column, metrics in per_query.items():
        for metric, values in metrics.items():
            table["query_id"] += values.keys()
            table["stage"] += [column] * len(values)
            table["metric"] += [metric] * len(values)
            table["value"] += values.values()
    types = {name: pa.float64() if name == "value" else pa.string() for name in table}
    _log_parquet(run, pa.table(table, schema=pa.schema(types)), PER_QUERY_FILE)


def read_per_query(config: TrackingConfig, run_id: str) -> dict[str, PerQuery]:
    """Return what ``log_per_query`` stored; empty if the run has none, as a failed one may."""
    with tempfile.TemporaryDirectory() as folder:
        path = download(config, run_id, PER_QUERY_FILE, Path(folder))
        if path is None:
            return {}
        table = pq.read_table(path, read_dictionary=["query_id", "stage", "metric"])
    per_query: dict[str, PerQuery] = {}
    if not len(table):
        return per_query
    names, codes = {}, {}
    for column in ("query_id", "stage", "metric"):
        encoded = table[column].unify_dictionaries().combine_chunks()
        names[column] = np.array(encoded.dictionary.to_pylist(), dtype=object)
        codes[column] = encoded.indices.to_numpy()
    queries, values = names["query_id"][codes["query_id"]], table["value"].to_numpy()
    # The values of a metric stand one after another, so a new metric begins where a code changes.
    changes = np.diff(codes["stage"]) | np.diff(codes["metric"])
    bounds = [0, *(np.flatnonzero(changes) + 1).tolist(), len(table)]
    for start, stop in pairwise(bounds):
        stage, metric = (names[column][codes[column][start]] for column in ("stage", "metric"))
        of_metric = per_query.setdefault(stage, {}).setdefault(metric, {})
        of_metric.update(
            zip(queries[start:stop].tolist(), values[start:stop].tolist(), strict=True)
        )
    return per_query


def log_texts(run: ActiveRun, texts: Sequence[Text]) -> None:
    """Store queries and passages as the artifact ``texts.parquet``, a column per field."""
    columns = {name: [getattr(text, name) for text in texts] for name in Text._fields}
    schema = pa.schema(dict.fromkeys(Text._fields, pa.string()))
    _log_parquet(run, pa.table(columns, schema=schema), TEXTS_FILE)


def read_texts(config: TrackingConfig, run_id: str) -> list[Text]:
    """Return what ``log_texts`` stored, in its order; empty if the run has none."""
    with tempfile.TemporaryDirectory() as folder:
        path = download(config, run_id, TEXTS_FILE, Path(folder))
        return [Text(**row) for row in pq.read_table(path).to_pylist()] if path else []


def log_query_table(
    run: ActiveRun, queries: Mapping[str, str], per_query: Mapping[str, PerQuery], metric: str
) -> None:
    """Store ``metric`` of the first 2,000 queries, with their texts, for the UI to compare.

    ``queries`` maps query id -> text. The columns of values are named as the metrics are:
    ``vector_reranked/ndcg_at_10``.
    """
    ids = sorted(queries)[:QUERY_TABLE_ROWS]
    # The UI groups by the first column and compares the second unless the user chooses others.
    table: dict[str, Sequence[object]] = {"query": [cut(queries[i], QUERY_TEXT) for i in ids]}
    for column in sorted(per_query, key=lambda column: not column.endswith("_reranked")):
        if metric in per_query[column]:
            values = per_query[column][metric]
            table[f"{column}/{metric}"] = [round(values[i], 4) for i in ids]
    table["query_id"] = ids
    run.log_table(table, QUERY_TABLE)


def log_points(run: ActiveRun, points: Mapping[str, Mapping[str, str]]) -> None:
    """Store the points of a sweep: fingerprint -> ``name`` and ``dataset``."""
    run.log_text(json.dumps(points), POINTS_FILE)


def read_skipped(
    config: TrackingConfig, sweep: RunRecord, runs: Iterable[RunRecord]
) -> list[RunRecord]:
    """Return the points of ``sweep`` that are not among its ``runs``, as records without a run id.

    Their status is SKIPPED, or WAITING while the sweep is running.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = download(config, sweep.run_id, POINTS_FILE, Path(folder))
        points: dict[str, dict[str, str]] = json.loads(path.read_text()) if path else {}
    started = {run.tags.get("fingerprint") for run in runs}
    status = "WAITING" if sweep.status == "RUNNING" else "SKIPPED"
    return [
        RunRecord(
            run_id="",
            name=point["name"],
            status=status,
            tags={"failure": "not started", "dataset": point["dataset"]},
            params={},
            metrics={},
        )
        for fingerprint, point in points.items()
        if fingerprint not in started
    ]


def read_ranking(config: TrackingConfig, run_id: str, column: str, k: int) -> dict[str, list[str]]:
    """Return query id -> document ids, best first, from a TREC run file; empty if there is none."""
    ranking: dict[str, list[str]] = {}
    for query, document in _trec_pairs(config, run_id, f"runs/{column}_at_{k}.run"):
        ranking.setdefault(query, []).append(document)
    return ranking


def read_relevant(config: TrackingConfig, run_id: str) -> dict[str, set[str]]:
    """Return query id -> its relevant documents, from the TREC qrels; empty if there are none."""
    relevant: dict[str, set[str]] = {}
    for query, document in _trec_pairs(config, run_id, "runs/qrels.txt"):
        relevant.setdefault(query, set()).add(document)
    return relevant


def download(config: TrackingConfig, run_id: str, name: str, folder: Path) -> Path | None:
    """Copy the artifact ``name`` of a run into ``folder``; None if the run has none.

    Raises:
        InputError: the address can't be used or has no such run.
    """
    parent = name.rpartition("/")[0]
    with contact(config) as client:
        if name not in {file.path for file in client.list_artifacts(run_id, parent or None)}:
            return None
        return Path(client.download_artifacts(run_id, name, str(folder)))


def _log_parquet(run: ActiveRun, table: pa.Table, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        pq.write_table(table, path, compression="zstd")
        run.log_file(path)


def _trec_pairs(config: TrackingConfig, run_id: str, name: str) -> list[tuple[str, str]]:
    """Return the query and document ids of a TREC file, its first and third fields."""
    with tempfile.TemporaryDirectory() as folder:
        path = download(config, run_id, name, Path(folder))
        if path is None:
            return []
        lines = path.read_text(encoding="utf-8").splitlines()
    return [(unquote(line.split()[0]), unquote(line.split()[2])) for line in lines]
