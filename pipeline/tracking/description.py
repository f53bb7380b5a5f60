"""What the UI says about an experiment, and the view of its runs that it opens with.

Both are tags of the experiment and follow the code and what has been recorded; a description that
somebody has edited is left alone.
"""

import hashlib
import re

from mlflow import MlflowClient
from mlflow.entities import Experiment, Run

from pipeline.config.stages import TrackingConfig
from pipeline.tracking import view

NOTE_TAG = "mlflow.note.content"  # the description of an experiment or a run in the UI
NOTE = """\
Rerankers on one data set: which one to train, what it gains over no reranking, what it costs.

One group of runs per sweep, in it a run per grid point, `{arch}_{base}_{negatives}neg_{epochs}ep`:
best first, then what failed and what reranks nothing, at the end the sweep itself. Every point
reranks the same candidates. The line of a group has the largest value of each column: of a latency
the worst. A sweep's page has its table, its artifacts under `report` the whole report.
`initialisation` is none (the search alone), untrained, dedicated (published as a reranker), scratch
(trained here) or finetuned (a dedicated one, trained further).

| metric | meaning |
|---|---|
| `vector/...`, `fts/...`, `hybrid/...` | the search alone, without reranking |
| `vector_reranked/...` | ordered by the reranker |
| `vector_fused/...` | the reranker's order fused with the search's |
| `vector_ideal/...` | the ceiling: what is reranked, in ideal order |
| `vector_candidates/recall_at_40` | the recall of what is reranked |
| `.../hit_rate_at_10` | share of queries with a relevant passage among the first 10 |
| `.../ndcg_at_10`, `mrr_at_10`, `recall_at_10` | trec_eval's measures, 0..1 |
| `latency/vector_50/total_p50_ms` | median of one query when 50 passages are reranked |
| `train/steps`, `train/pairs_seen` | compute: more negatives or epochs are also more steps |
"""
DIGEST_TAG = "description_digest"  # of the description as we wrote it, without the links
LINKS = " Newest sweep: **[table]({0}{1})**, **[report]({0}/artifacts/report/report.html{1})**."
# Without it the menu is that of language model applications: traces, prompts, judges.
MENU = "?workflowType=machine_learning"


def describe(client: MlflowClient, experiment: Experiment) -> None:
    """Bring description and view up to date; writes nothing if they are."""
    tags = experiment.tags
    text = tags.get(NOTE_TAG, "")
    before_digests = DIGEST_TAG not in tags and text.startswith(NOTE.splitlines()[0])
    ours = not text or before_digests or tags.get(DIGEST_TAG) == _digest(text)
    point = _newest(client, experiment, "point")
    wanted = {view.TAG: view.view(point.data.metrics if point else ())}
    if ours:
        wanted |= {NOTE_TAG: _note(_newest(client, experiment, "sweep")), DIGEST_TAG: _digest(NOTE)}
    for key, value in wanted.items():
        if tags.get(key) != value:
            client.set_experiment_tag(experiment.experiment_id, key, value)


def first_page(config: TrackingConfig) -> str:
    """The part after the server's address that shows the sweeps' points; "" without any."""
    client = MlflowClient(tracking_uri=config.uri)
    experiment = client.get_experiment_by_name(config.experiment)
    if experiment is None or experiment.lifecycle_stage == "deleted":
        return ""
    describe(client, experiment)
    page = f"/#/experiments/{experiment.experiment_id}/runs"
    return f"{page}{MENU}&viewStateShareKey={view.NAME}"


def _newest(client: MlflowClient, experiment: Experiment, kind: str) -> Run | None:
    """The newest finished run of the kind; a sweep that has finished has its table."""
    query = f"tags.kind = '{kind}' AND attributes.status = 'FINISHED'"
    found = client.search_runs([experiment.experiment_id], query, max_results=1)
    return found[0] if found else None


def _note(sweep: Run | None) -> str:
    """The description; its first line is what the page shows of it unasked."""
    if sweep is None:
        return NOTE
    first, rest = NOTE.split("\n", 1)
    page = f"#/experiments/{sweep.info.experiment_id}/runs/{sweep.info.run_id}"
    return f"{first}{LINKS.format(page, MENU)}\n{rest}"


def _digest(text: str) -> str:
    unlinked = re.sub(r" Newest sweep: \*\*.*", "", text, count=1)  # they change with every sweep
    return hashlib.sha256(unlinked.encode()).hexdigest()[:12]
