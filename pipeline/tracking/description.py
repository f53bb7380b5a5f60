"""What the UI says about an experiment, and the view of its runs that it opens with.

Both are tags of the experiment and follow the code; a description that somebody has edited is
left alone.
"""

import hashlib
import json

from mlflow import MlflowClient
from mlflow.entities import Experiment

from pipeline.config import TrackingConfig

NOTE_TAG = "mlflow.note.content"  # the description of an experiment or a run in the UI
NOTE = """\
Rerankers on one data set: which one to train, what it gains over no reranking, what it costs.

One parent run per sweep, one child per grid point, named `{arch}_{base}_{negatives}neg_{epochs}ep`.
Every point reranks the same candidates. Open a sweep for its table; its artifacts under `report`
hold the whole report. `initialisation` is none (the search alone), untrained, dedicated (published
as a reranker), scratch (trained here) or finetuned (a dedicated one, trained further).

| metric | meaning |
|---|---|
| `vector/...`, `fts/...`, `hybrid/...` | the search alone, without reranking |
| `vector_reranked/...` | ordered by the reranker |
| `vector_fused/...` | the reranker's order fused with the search's |
| `vector_candidates/recall_at_40` | the ceiling: what a perfect reranker could reach |
| `.../hit_rate_at_10` | share of queries with a relevant passage among the first 10 |
| `.../ndcg_at_10`, `mrr_at_10`, `recall_at_10` | trec_eval's measures, 0..1 |
| `latency/vector_50/total_p50_ms` | median of one query when 50 passages are reranked |
| `train/steps`, `train/pairs_seen` | compute: more negatives or epochs are also more steps |
"""
DIGEST_TAG = "description_digest"  # of the description as we wrote it

VIEW = "comparison"  # the name under which the view is shared: ?viewStateShareKey=comparison
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
COLUMNS = (
    "tags.`initialisation`",
    "metrics.`vector_reranked/ndcg_at_10`",
    "metrics.`fts_reranked/ndcg_at_10`",
    "metrics.`hybrid_reranked/ndcg_at_10`",
    "metrics.`vector_reranked/hit_rate_at_10`",
    "metrics.`latency/vector_50/total_p50_ms`",
    "metrics.`train/seconds`",
)


def describe(client: MlflowClient, experiment: Experiment) -> None:
    """Bring description and view up to date; writes nothing if they are."""
    tags = experiment.tags
    text = tags.get(NOTE_TAG, "")
    before_digests = DIGEST_TAG not in tags and text.startswith(NOTE.splitlines()[0])
    ours = not text or before_digests or tags.get(DIGEST_TAG) == _digest(text)
    wanted = {VIEW_TAG: _view()}
    if ours:
        wanted |= {NOTE_TAG: NOTE, DIGEST_TAG: _digest(NOTE)}
    for key, value in wanted.items():
        if tags.get(key) != value:
            client.set_experiment_tag(experiment.experiment_id, key, value)


def first_page(config: TrackingConfig) -> str:
    """The part after the server's address that shows the points, best first; "" without any."""
    client = MlflowClient(tracking_uri=config.uri)
    experiment = client.get_experiment_by_name(config.experiment)
    if experiment is None:
        return ""
    view = f"&viewStateShareKey={VIEW}" if VIEW_TAG in experiment.tags else ""
    # Without it the menu is that of language model applications: traces, prompts, judges.
    return f"/#/experiments/{experiment.experiment_id}/runs?workflowType=machine_learning{view}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _view() -> str:
    """The state of MLflow's page of runs, as its own button Share writes it."""
    state = {
        "selectedColumns": COLUMNS,
        "columnOrder": [],
        "columnWidths": {},
        "orderByKey": COLUMNS[1],
        "orderByAsc": False,
        "searchFilter": "tags.kind = 'point' and attributes.status = 'FINISHED'",
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
    }
    return json.dumps(state)
