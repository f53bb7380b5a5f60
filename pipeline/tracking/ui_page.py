"""What MLflow's UI shows of an experiment: its description, and how its page of runs opens.

Both are tags of the experiment. They are updated with the code and with every finished sweep; a
description that a user has edited is kept.

The page opens as a shared view, which is a tag with the state of the page as MLflow's own Share
button writes it. Runs are grouped by sweep because such a state cannot expand nested runs, and
MLflow shows those by start time only. A run without the metric that orders the page comes after
those with it, so the sweep's own row ends its group.
"""

import hashlib
import json
import re
from collections.abc import Iterable

from mlflow import MlflowClient
from mlflow.entities import Experiment, Run
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from pipeline.config.stages import TrackingConfig

NOTE_TAG = MLFLOW_RUN_NOTE  # experiments and runs have the same
NOTE = """\
Rerankers on one data set: which one to train, what it gains over no reranking, what it costs.

Each sweep is a group of runs with a run per grid point, `{arch}_{base}_{negatives}neg_{epochs}ep`.
The best come first, then failed runs and those that rerank nothing, and last the sweep itself. All
points rerank the same candidates. The row of a group shows the largest value of each column, so the
worst of a latency. The page of a sweep has its table, and its artifacts under `report` have the
whole report. `initialisation` is none (search alone), untrained, dedicated (published as a
reranker), scratch (trained here), finetuned (a dedicated one, trained further) or start_kept
(training did not raise the dev score and was undone).

| metric | meaning |
|---|---|
| `vector/...`, `fts/...`, `hybrid/...` | the search alone, without reranking |
| `vector_reranked/...` | ordered by the reranker |
| `vector_fused/...` | the reranker's order fused with that of the search |
| `vector_ideal/...` | the ceiling: the reranked passages in ideal order |
| `vector_candidates/recall_at_N` | recall of the N passages that are reranked |
| `.../hit_rate_at_10` | share of queries with a relevant passage among the first 10 |
| `.../ndcg_at_10`, `mrr_at_10`, `recall_at_10` | measures as trec_eval defines them, 0 to 1 |
| `latency/vector_50/total_p50_ms` | median for one query when 50 passages are reranked |
| `train/queries` | labelled queries trained on |
| `train/steps`, `train/pairs_seen` | compute; more negatives or epochs also mean more steps |
"""
LINKS = " Newest sweep: **[table]({0}{1})**, **[report]({0}/artifacts/report/report.html{1})**."
DIGEST_TAG = "description_digest"  # of the description as it was written, without the links
# Without this MLflow shows the menu for language model applications: traces, prompts, judges.
MENU = "?workflowType=machine_learning"
VIEW_NAME = "comparison"  # the page is shared as ?viewStateShareKey=comparison
VIEW_TAG = f"mlflow.sharedViewState.{VIEW_NAME}"
SWEEP_TAG = "sweep"  # on a sweep and on its points, which are grouped by it


def describe(client: MlflowClient, experiment: Experiment) -> None:
    """Update the description and the view; write only what has changed."""
    tags = experiment.tags
    text = tags.get(NOTE_TAG, "")
    point = _newest(client, experiment, "point")
    wanted = {VIEW_TAG: view(point.data.metrics if point else ())}
    if not text or tags.get(DIGEST_TAG) == _digest(text):
        wanted[NOTE_TAG] = _note(_newest(client, experiment, "sweep"))
        wanted[DIGEST_TAG] = _digest(NOTE)
    for key, value in wanted.items():
        if tags.get(key) != value:
            client.set_experiment_tag(experiment.experiment_id, key, value)


def first_page(config: TrackingConfig) -> str:
    """Return the part after the server's address that shows all points; "" if there are none."""
    client = MlflowClient(tracking_uri=config.uri)
    experiment = client.get_experiment_by_name(config.experiment)
    if experiment is None or experiment.lifecycle_stage == "deleted":
        return ""
    describe(client, experiment)
    page = f"/#/experiments/{experiment.experiment_id}/runs"
    return f"{page}{MENU}&viewStateShareKey={VIEW_NAME}"


def view(metrics: Iterable[str]) -> str:
    """Return the state of the page, as JSON, for runs with these metrics.

    It shows the largest cutoff, and the latency for 50 passages if that was measured. Widths are in
    pixels: run names are shown whole, and a screen of 1,600 pixels reaches to the latency.
    """
    names = list(metrics)
    k = max(_numbers(names, r"vector/ndcg_at_(\d+)"), default=10)
    limits = _numbers(names, r"latency/vector_(\d+)/total_p50_ms")
    limit = 50 if 50 in limits else min(limits, default=50)
    order = _metric(f"vector_reranked/ndcg_at_{k}")
    fixed = {"attributes.`Run Name`": 300, "runDateAndNestInfo": 150}  # the latter has the status
    chosen = {
        "tags.`initialisation`": 95,
        _metric(f"vector/ndcg_at_{k}"): 125,
        order: 125,
        _metric(f"vector_fused/ndcg_at_{k}"): 115,
        _metric(f"latency/vector_{limit}/total_p50_ms"): 115,
    }
    for search in ("fts", "hybrid"):
        for column in (search, f"{search}_reranked", f"{search}_fused"):
            chosen[_metric(f"{column}/ndcg_at_{k}")] = 120
    chosen[_metric(f"vector_reranked/hit_rate_at_{k}")] = 190
    chosen[_metric("train/seconds")] = 100
    widths = fixed | chosen
    state = {
        "selectedColumns": list(chosen),
        "columnOrder": list(widths),
        "columnWidths": widths,
        "groupBy": {
            "aggregateFunction": "max",
            "groupByKeys": [{"mode": "tag", "groupByData": SWEEP_TAG}],
        },
        "groupsExpanded": {f"tag.{SWEEP_TAG}": True},  # the group of runs without a sweep as well
        "orderByKey": order,
        "orderByAsc": False,
        "searchFilter": "",
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
    }
    return json.dumps(state)


def _newest(client: MlflowClient, experiment: Experiment, kind: str) -> Run | None:
    """Return the newest finished run of the kind, if there is one.

    A sweep with failed points counts as well: it has a report, and the time of all its points.
    """
    finished = ["attributes.status = 'FINISHED'"]
    if kind == "sweep":
        finished.append("attributes.status = 'FAILED' AND metrics.`sweep/seconds` >= 0")
    found: list[Run] = []
    for ended in finished:
        query = f"tags.kind = '{kind}' AND {ended}"
        found += client.search_runs([experiment.experiment_id], query, max_results=1)
    return max(found, key=lambda run: run.info.start_time, default=None)


def _note(sweep: Run | None) -> str:
    """Return the description with links to the sweep in its first line, which the page unfolds."""
    if sweep is None:
        return NOTE
    first, rest = NOTE.split("\n", 1)
    page = f"#/experiments/{sweep.info.experiment_id}/runs/{sweep.info.run_id}"
    return f"{first}{LINKS.format(page, MENU)}\n{rest}"


def _digest(text: str) -> str:
    # The links change with every sweep.
    unlinked = re.sub(r" Newest sweep: \*\*.*", "", text, count=1)
    return hashlib.sha256(unlinked.encode()).hexdigest()[:12]


def _metric(name: str) -> str:
    return f"metrics.`{name}`"


def _numbers(names: Iterable[str], pattern: str) -> set[int]:
    return {int(found[1]) for name in names if (found := re.fullmatch(pattern, name))}
