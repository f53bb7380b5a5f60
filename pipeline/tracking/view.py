"""How MLflow's page of runs opens: a group per sweep, its best point first, with gain and cost.

MLflow calls it a shared view, a tag of the experiment with the page's state as its button Share
writes it. Two things such a state can't say: points nested under their sweep are always in the
order of time and folded (``runsExpanded`` is dropped), hence the groups; and a run without the
metric of the order comes after those with it, hence a sweep's own row ends its group.
"""

import json
import re
from collections.abc import Iterable

NAME = "comparison"  # the name under which the view is shared: ?viewStateShareKey=comparison
TAG = f"mlflow.sharedViewState.{NAME}"
SWEEP_TAG = "sweep"  # of a sweep and its points: what they are grouped by


def view(metrics: Iterable[str]) -> str:
    """The state for runs with these metrics: the largest cutoff, and 50 passages reranked if timed.

    The widths, in pixels, leave room for whole run names; on 1600 pixels the latency is in sight.
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
    for mode in ("fts", "hybrid"):
        for stage in (mode, f"{mode}_reranked", f"{mode}_fused"):
            chosen[_metric(f"{stage}/ndcg_at_{k}")] = 120
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
        "groupsExpanded": {f"tag.{SWEEP_TAG}": True},  # runs of no sweep as well
        "orderByKey": order,
        "orderByAsc": False,
        "searchFilter": "",
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
    }
    return json.dumps(state)


def _metric(name: str) -> str:
    return f"metrics.`{name}`"


def _numbers(names: Iterable[str], pattern: str) -> set[int]:
    return {int(found[1]) for name in names if (found := re.fullmatch(pattern, name))}
