"""Find and read recorded runs."""

import difflib
from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.entities import Experiment, Run
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from pipeline.config.compose import RUN_ID
from pipeline.config.stages import TrackingConfig, sqlite_path
from pipeline.infra.redact import mask
from pipeline.records import InputError
from pipeline.tracking.liveness import is_dead
from pipeline.tracking.store import contact, every

PAGE = 1000  # runs fetched at a time
STAGE_TAG = "stage."  # + name of a stage; the value has the keys that the run used
SWEEP = "tags.kind = 'sweep'"
FINISHED_POINT = "tags.kind = 'point' AND attributes.status = 'FINISHED'"


@dataclass(frozen=True)
class RunRecord:
    """One run as MLflow stores it; ``status`` is FINISHED, FAILED, KILLED or RUNNING.

    Runs that are made up for a report may be SKIPPED or WAITING.
    """

    run_id: str
    name: str
    status: str
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]


def read_run(config: TrackingConfig, run_id: str) -> RunRecord:
    """Return a run by its id, whatever its status.

    Raises:
        InputError: the address can't be used or has no such run.
    """
    with contact(config) as client:
        return _record(client.get_run(run_id))


def start_time(config: TrackingConfig, run_id: str) -> float:
    """Return when a run began, in seconds since 1970.

    Raises:
        InputError: the address can't be used or has no such run.
    """
    with contact(config) as client:
        return float(client.get_run(run_id).info.start_time) / 1000


def read_runs(config: TrackingConfig, parent_run_id: str) -> list[RunRecord]:
    """Return the points of a sweep, each once, oldest first.

    Of several attempts at a point (same tag ``fingerprint``) it is the newest that finished, or
    else the newest.

    Raises:
        InputError: the address can't be used or has no such run.
    """
    return _each_once(read_attempts(config, parent_run_id))


def read_finished(config: TrackingConfig) -> list[RunRecord]:
    """Return the finished points of the experiment, each once, oldest first.

    They may be of any sweep or of none.

    Raises:
        InputError: the address can't be used.
    """
    return _each_once(_of_experiment(config, FINISHED_POINT))


def _each_once(attempts: list[RunRecord]) -> list[RunRecord]:
    points: dict[str, RunRecord] = {}
    for run in attempts:
        key = run.tags.get("fingerprint", run.run_id)
        if run.status == "FINISHED" or key not in points or points[key].status != "FINISHED":
            points[key] = run
    return list(points.values())


def read_attempts(config: TrackingConfig, parent_run_id: str) -> list[RunRecord]:
    """Return all runs of a sweep's points, oldest first, also failed and repeated ones.

    Raises:
        InputError: the address can't be used or has no such run.
    """
    with contact(config) as client:
        experiment_id = client.get_run(parent_run_id).info.experiment_id
        runs = _search(client, experiment_id, _children_of(parent_run_id))
        return [_record(run) for run in runs]


def latest_sweep(config: TrackingConfig) -> str | None:
    """Return the run id of the experiment's newest sweep with a finished run, if there is one.

    Raises:
        InputError: the address can't be used.
    """
    for sweep in reversed(_of_experiment(config, SWEEP)):
        with contact(config) as client:
            experiment_id = client.get_run(sweep.run_id).info.experiment_id
            query = f"{_children_of(sweep.run_id)} AND attributes.status = 'FINISHED'"
            if client.search_runs([experiment_id], query, max_results=1):
                return sweep.run_id
    return None


def find_sweep(config: TrackingConfig, fingerprint: str) -> RunRecord | None:
    """Return the experiment's newest sweep with this tag ``fingerprint``, if there is one.

    Raises:
        InputError: the address can't be used.
    """
    sweeps = _of_experiment(config, f"{SWEEP} AND tags.fingerprint = '{fingerprint}'")
    return sweeps[-1] if sweeps else None


def read_running(config: TrackingConfig) -> list[RunRecord]:
    """Return the runs of the experiment that have not ended, oldest first.

    Their processes may be gone.

    Raises:
        InputError: the address can't be used.
    """
    return _of_experiment(config, "attributes.status = 'RUNNING'")


def _of_experiment(config: TrackingConfig, query: str) -> list[RunRecord]:
    """Return the experiment's runs that match, oldest first; none if there is no store."""
    path = sqlite_path(config.uri)
    if path and not path.exists():
        return []
    with contact(config) as client:
        experiment = client.get_experiment_by_name(config.experiment)
        if experiment is None:
            return []
        return [_record(run) for run in _search(client, experiment.experiment_id, query)]


def _experiments(client: MlflowClient) -> list[Experiment]:
    return every(lambda page: client.search_experiments(page_token=page))


def experiments(config: TrackingConfig) -> list[str]:
    """Return the names of the experiments that hold a finished point; none if there is no store."""
    path = sqlite_path(config.uri)
    if path and not path.exists():
        return []
    with contact(config) as client:
        return sorted(
            experiment.name
            for experiment in _experiments(client)
            if client.search_runs([experiment.experiment_id], FINISHED_POINT, max_results=1)
        )


def used_stages(config: TrackingConfig) -> set[str]:
    """Return ``stage/KEY`` of every stage output that a finished or running run uses.

    All experiments of the store are read.

    Raises:
        InputError: the address can't be used, or nothing is there.
    """
    used: set[str] = set()
    with contact(config) as client:
        for experiment in _experiments(client):
            for status in ("FINISHED", "RUNNING"):
                query = f"attributes.status = '{status}'"
                for run in _search(client, experiment.experiment_id, query):
                    for tag, keys in run.data.tags.items():
                        if tag.startswith(STAGE_TAG):
                            stage = tag.removeprefix(STAGE_TAG)
                            used |= {f"{stage}/{key}" for key in keys.split()}
    return used


def any_alive(config: TrackingConfig) -> RunRecord | None:
    """Return a run whose process may be alive, on whatever host, if the store has one."""
    with contact(config) as client:
        for experiment in _experiments(client):
            for run in _search(client, experiment.experiment_id, "attributes.status = 'RUNNING'"):
                record = _record(run)
                # Runs of other programs have no pid and may stay RUNNING for ever.
                if "pid" in record.tags and not is_dead(record.tags):
                    return record
    return None


def find_run(config: TrackingConfig, name: str) -> RunRecord:
    """Return the finished run with the id ``name``, or the newest finished point of that name.

    Names are looked up in every experiment of the store. ``name`` may begin with ``run:``.

    Raises:
        InputError: there is no such run (the message suggests similar names), the run with this id
            has not finished, or the address can't be used.
    """
    name = name.removeprefix("run:")
    with contact(config) as client:
        if RUN_ID.fullmatch(name):
            record = _record(client.get_run(name))
            if record.status != "FINISHED":
                raise InputError(f"run:{name}: is {record.status}; give a finished run")
            return record
        experiments = [experiment.experiment_id for experiment in _experiments(client)]
        newest_first = {"order_by": ["attributes.start_time DESC"]}
        if "'" not in name:  # MLflow can't quote it, and no run has it in its name
            query = f"{FINISHED_POINT} AND attributes.run_name = '{name}'"
            if named := client.search_runs(experiments, query, max_results=1, **newest_first):
                return _record(named[0])
        recent = client.search_runs(experiments, FINISHED_POINT, max_results=PAGE, **newest_first)
    names = list(dict.fromkeys(run.info.run_name for run in recent))
    similar = difflib.get_close_matches(name, names, cutoff=0.0) or ["no finished run at all"]
    raise InputError(
        f"run:{name}: no finished run of this name in {mask(config.uri)}; "
        f"there is {', '.join(similar)}"
    )


def _search(client: MlflowClient, experiment_id: str, query: str) -> list[Run]:
    """Return all runs that match ``query``, oldest first."""
    order = ["attributes.start_time ASC"]
    return every(lambda page: client.search_runs([experiment_id], query, 1, PAGE, order, page))


def _children_of(run_id: str) -> str:
    return f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{run_id}'"


def _record(run: Run) -> RunRecord:
    return RunRecord(
        run_id=run.info.run_id,
        name=run.info.run_name,
        status=run.info.status,
        tags=dict(run.data.tags),
        params=dict(run.data.params),
        metrics=dict(run.data.metrics),
    )
