"""Runs as they were recorded."""

import difflib
import platform
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from numpy.typing import NDArray

from pipeline.config import TrackingConfig, sqlite_path
from pipeline.metrics import PerQuery
from pipeline.records import InputError
from pipeline.redact import mask
from pipeline.tracking.connection import first_contact
from pipeline.tracking.process import is_dead

PER_QUERY_FILE = "per_query.parquet"
TEXTS_FILE = "texts.parquet"
PAGE = 1000  # runs fetched at a time
RUN_ID = re.compile("[0-9a-f]{32}")
STAGE_TAG = "stage."  # + the name of a stage: the keys that the run used, separated by spaces
FINISHED_POINT = "tags.kind = 'point' AND attributes.status = 'FINISHED'"


@dataclass(frozen=True)
class RunRecord:
    """One run as MLflow has it; ``status`` is FINISHED, FAILED, KILLED or RUNNING."""

    run_id: str
    name: str
    status: str
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]


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


def read_run(config: TrackingConfig, run_id: str) -> RunRecord:
    """Any run by its id, whatever its status.

    Raises:
        InputError: the address can't be used or has no such run.
    """
    with first_contact(config.uri) as client:
        return _record(client.get_run(run_id))


def read_runs(config: TrackingConfig, parent_run_id: str) -> list[RunRecord]:
    """The points of a sweep, each once, oldest first.

    Of several attempts at a point (the same tag ``fingerprint``) the newest that finished, or
    else the newest.

    Raises:
        InputError: the address can't be used or has no such run.
    """
    points: dict[str, RunRecord] = {}
    for run in read_attempts(config, parent_run_id):
        key = run.tags.get("fingerprint", run.run_id)
        if run.status == "FINISHED" or key not in points or points[key].status != "FINISHED":
            points[key] = run
    return list(points.values())


def read_attempts(config: TrackingConfig, parent_run_id: str) -> list[RunRecord]:
    """All children of a sweep, oldest first, also what failed and was repeated.

    Raises:
        InputError: the address can't be used or has no such run.
    """
    with first_contact(config.uri) as client:
        experiment_id = client.get_run(parent_run_id).info.experiment_id
        runs = _search(client, experiment_id, _children_of(parent_run_id))
        return [_record(run) for run in runs]


def latest_sweep(config: TrackingConfig) -> str | None:
    """The run id of the experiment's newest sweep that has a finished run, if there is one.

    Raises:
        InputError: the address can't be used.
    """
    path = sqlite_path(config.uri)
    if path and not path.exists():
        return None
    with first_contact(config.uri) as client:
        experiment = client.get_experiment_by_name(config.experiment)
        if experiment is None:
            return None
        sweeps = _search(client, experiment.experiment_id, "tags.kind = 'sweep'")
        for sweep in reversed(sweeps):
            finished = f"{_children_of(sweep.info.run_id)} AND attributes.status = 'FINISHED'"
            if client.search_runs([experiment.experiment_id], finished, max_results=1):
                return str(sweep.info.run_id)
    return None


def find_sweep(config: TrackingConfig, fingerprint: str) -> RunRecord | None:
    """The experiment's newest sweep with this tag ``fingerprint``, if there is one.

    Raises:
        InputError: the address can't be used.
    """
    path = sqlite_path(config.uri)
    if path and not path.exists():
        return None
    with first_contact(config.uri) as client:
        experiment = client.get_experiment_by_name(config.experiment)
        if experiment is None:
            return None
        query = f"tags.kind = 'sweep' AND tags.fingerprint = '{fingerprint}'"
        sweeps = _search(client, experiment.experiment_id, query)
    return _record(sweeps[-1]) if sweeps else None


def used_stages(config: TrackingConfig) -> set[str]:
    """``stage/KEY`` of every stage that a finished or running run of the store has used.

    Raises:
        InputError: the address can't be used, or nothing is there.
    """
    used: set[str] = set()
    with first_contact(config.uri) as client:
        for experiment in client.search_experiments():
            for status in ("FINISHED", "RUNNING"):
                query = f"attributes.status = '{status}'"
                for run in _search(client, experiment.experiment_id, query):
                    for tag, keys in run.data.tags.items():
                        if tag.startswith(STAGE_TAG):
                            stage = tag.removeprefix(STAGE_TAG)
                            used |= {f"{stage}/{key}" for key in keys.split()}
    return used


def running_here(config: TrackingConfig) -> RunRecord | None:
    """A run of the store that a living process of this host is writing, if there is one."""
    with first_contact(config.uri) as client:
        for experiment in client.search_experiments():
            for run in _search(client, experiment.experiment_id, "attributes.status = 'RUNNING'"):
                record = _record(run)
                if record.tags.get("host") == platform.node() and not is_dead(record.tags):
                    return record
    return None


def find_run(config: TrackingConfig, name: str) -> RunRecord:
    """The finished run with the id ``name``, or the newest finished grid point of that name.

    Names are looked up in every experiment of the store.

    Raises:
        InputError: there is none, with the names that are most like it; the run with this id
            has not finished; or the address can't be used.
    """
    with first_contact(config.uri) as client:
        if RUN_ID.fullmatch(name):
            record = _record(client.get_run(name))
            if record.status != "FINISHED":
                raise InputError(f"run:{name}: is {record.status}, give a finished run")
            return record
        experiments = [found.experiment_id for found in client.search_experiments()]
        newest_first = {"order_by": ["attributes.start_time DESC"]}
        if "'" not in name:  # no run of ours has it in its name, and MLflow could not quote it
            query = f"{FINISHED_POINT} AND attributes.run_name = '{name}'"
            if named := client.search_runs(experiments, query, max_results=1, **newest_first):
                return _record(named[0])
        recent = client.search_runs(experiments, FINISHED_POINT, max_results=PAGE, **newest_first)
    names = list(dict.fromkeys(run.info.run_name for run in recent))
    there = difflib.get_close_matches(name, names, cutoff=0.0) or ["none at all"]
    raise InputError(
        f"run:{name}: no finished run of this name in {mask(config.uri)}; "
        f"there is {', '.join(there)}"
    )


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
    with first_contact(config.uri) as client:
        if name not in {file.path for file in client.list_artifacts(run_id, parent or None)}:
            return None
        return Path(client.download_artifacts(run_id, name, str(folder)))


def _codes(column: pa.ChunkedArray) -> tuple[list[str], NDArray[np.int64]]:
    """The different strings of a column, and for every row which one it has."""
    array = column.combine_chunks().dictionary_encode()
    return array.dictionary.to_pylist(), array.indices.to_numpy().astype(np.int64)


def _search(client: MlflowClient, experiment_id: str, query: str) -> list[Run]:
    """All runs that ``query`` finds, oldest first."""
    found: list[Run] = []
    token = None
    while True:
        page = client.search_runs(
            [experiment_id],
            query,
            max_results=PAGE,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        found += page
        token = page.token
        if not token:
            return found


def _children_of(run_id: str) -> str:
    return f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{run_id}'"


def _record(run: Run) -> RunRecord:
    data = run.data
    info = run.info
    return RunRecord(
        info.run_id,
        info.run_name,
        info.status,
        dict(data.tags),
        dict(data.params),
        dict(data.metrics),
    )
