"""What runs have stored beside params and metrics: per-query values, texts, TREC files."""

import json
import tempfile
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.config.stages import TrackingConfig
from pipeline.evaluation.metrics import PerQuery
from pipeline.tracking.reader import RunRecord, read_attempts, read_run
from pipeline.tracking.store import contact

PER_QUERY_FILE = "per_query.parquet"
TEXTS_FILE = "texts.parquet"
POINTS_FILE = "grid.json"  # of a sweep: fingerprint -> name and dataset of each of its points


class Text(NamedTuple):
    """A query with one of its passages, as texts.

    ``role`` says which: ``relevant``, or the stage (``vector``, ``vector_reranked``, ...) that
    ranked it first.
    """

    query_id: str
    query: str
    role: str
    passage_id: str
    passage: str


def read_per_query(config: TrackingConfig, run_id: str) -> dict[str, PerQuery]:
    """What log_per_query stored; empty if the run has none, as a failed one may."""
    with tempfile.TemporaryDirectory() as folder:
        path = download(config, run_id, PER_QUERY_FILE, Path(folder))
        if path is None:
            return {}
        table = pq.read_table(path)
    # Dictionary codes instead of strings: a sweep has millions of rows.
    coded = {name: _codes(table[name]) for name in ("query_id", "stage", "metric")}
    (queries, query), (stages, stage), (metrics, metric) = coded.values()
    values = table["value"].to_numpy()
    group = stage * len(metrics) + metric
    order = np.argsort(group, kind="stable")
    per_query: dict[str, PerQuery] = {}
    for rows in np.split(order, np.flatnonzero(np.diff(group[order])) + 1) if len(order) else []:
        ids = map(queries.__getitem__, query[rows].tolist())
        name = metrics[metric[rows[0]]]
        found = dict(zip(ids, values[rows].tolist(), strict=True))
        per_query.setdefault(stages[stage[rows[0]]], {})[name] = found
    return per_query


def read_texts(config: TrackingConfig, run_id: str) -> list[Text]:
    """What log_texts stored, in its order; empty if the run has none."""
    with tempfile.TemporaryDirectory() as folder:
        path = download(config, run_id, TEXTS_FILE, Path(folder))
        if path is None:
            return []
        columns = pq.read_table(path, columns=list(Text._fields)).to_pydict()
    return [Text(*row) for row in zip(*columns.values(), strict=True)]


def read_ranking(config: TrackingConfig, run_id: str, stage: str, k: int) -> dict[str, list[str]]:
    """Query id -> document ids, best first, of a stage's TREC run file; empty if there is none."""
    ranking: dict[str, list[str]] = {}
    for query, document in _trec_pairs(config, run_id, f"runs/{stage}_at_{k}.run"):
        ranking.setdefault(query, []).append(document)
    return ranking


def read_relevant(config: TrackingConfig, run_id: str) -> dict[str, set[str]]:
    """Query id -> its relevant documents, from the TREC qrels; empty if there are none."""
    relevant: dict[str, set[str]] = {}
    for query, document in _trec_pairs(config, run_id, "runs/qrels.txt"):
        relevant.setdefault(query, set()).add(document)
    return relevant


def read_skipped(config: TrackingConfig, parent_run_id: str) -> list[RunRecord]:
    """The points of a sweep that have no run, as records without a run id.

    Their status is SKIPPED, or WAITING while the sweep goes on.
    """
    sweep = read_run(config, parent_run_id)
    with tempfile.TemporaryDirectory() as folder:
        path = download(config, parent_run_id, POINTS_FILE, Path(folder))
        points: dict[str, dict[str, str]] = json.loads(path.read_text()) if path else {}
    started = {run.tags.get("fingerprint") for run in read_attempts(config, parent_run_id)}
    status = "WAITING" if sweep.status == "RUNNING" else "SKIPPED"
    why = {"failure": "not started"}
    return [
        RunRecord("", point["name"], status, why | {"dataset": point["dataset"]}, {}, {})
        for fingerprint, point in points.items()
        if fingerprint not in started
    ]


def _trec_pairs(config: TrackingConfig, run_id: str, name: str) -> list[tuple[str, str]]:
    """The query and document ids of a TREC file, whose first and third columns they are."""
    with tempfile.TemporaryDirectory() as folder:
        path = download(config, run_id, name, Path(folder))
        if path is None:
            return []
        lines = path.read_text(encoding="utf-8").splitlines()
    return [(unquote(line.split()[0]), unquote(line.split()[2])) for line in lines]


def download(config: TrackingConfig, run_id: str, name: str, folder: Path) -> Path | None:
    """The artifact ``name`` of a run, copied into ``folder``; None if the run has none.

    Raises:
        InputError: the address can't be used or has no such run.
    """
    parent = name.rpartition("/")[0]
    with contact(config.uri) as client:
        if name not in {file.path for file in client.list_artifacts(run_id, parent or None)}:
            return None
        return Path(client.download_artifacts(run_id, name, str(folder)))


def _codes(column: pa.ChunkedArray) -> tuple[list[str], NDArray[np.int64]]:
    """The different strings of a column, and for every row which one it has."""
    array = column.combine_chunks().dictionary_encode()
    return array.dictionary.to_pylist(), array.indices.to_numpy().astype(np.int64)
