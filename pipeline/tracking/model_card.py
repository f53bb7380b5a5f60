"""Write the model card of a run: what it is, its training data, how well it ranks.

The card is Markdown with the front matter of the Hugging Face hub, so the model folder can be
published as it is.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from pipeline.config import Config
from pipeline.config.models import BaseConfig
from pipeline.evaluation.bootstrap import interval
from pipeline.evaluation.metrics import PerQuery, means
from pipeline.records import SEARCHES, Dataset
from pipeline.training.guards import undone

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
LIBRARY = {"cross_encoder": "sentence-transformers", "colbert": "PyLate"}
TASK = {"cross_encoder": "text-ranking", "colbert": "sentence-similarity"}
LOAD = {
    "cross_encoder": (
        "from sentence_transformers import CrossEncoder",
        'model = CrossEncoder("FOLDER")',
        'scores = model.predict([("query", "passage")])',
    ),
    "colbert": (
        "from pylate import models, rank",
        'model = models.ColBERT("FOLDER")',
        'query = model.encode(["query"], is_query=True)',
        'passages = [model.encode(["passage"], is_query=False)]',
        'ranked = rank.rerank([["id"]], query, passages)',
    ),
}


def licence(base: BaseConfig, folder: Path) -> str:
    """Return the configured licence of the base, or else that of the card in its folder."""
    card = folder / "README.md"
    if base.licence != "unknown" or not card.is_file():
        return base.licence
    try:
        found = ModelCard(card.read_text(encoding="utf-8"), ignore_metadata_errors=True).data
    except ValueError:  # a card that is not for the hub
        return base.licence
    return str(found.get("license") or base.licence)


def render(
    config: Config,
    dataset: Dataset,
    per_query: Mapping[str, PerQuery],
    costs: Mapping[str, float],
    licence: str,
) -> str:
    """Return the card. Metrics are means over the test queries with 95% bootstrap intervals.

    ``per_query`` is column -> metric -> query id -> value, as evaluation.quality returns it.
    """
    arch = config.arch.name
    kind = "start kept" if _start_kept(costs) else config.initialisation
    sections = [
        f"---\n{_front_matter(config, dataset, per_query, licence)}\n---",
        f"# {config.run_name}",
        f"Architecture `{arch}`, base `{config.base.path}` ({kind}).",
        f"## Data\n\nData set `{dataset.name}` (sha256 {dataset.fingerprint[:16]}): "
        f"{len(dataset.corpus)} passages, {len(dataset.train)} training, {len(dataset.dev)} dev "
        f"and {len(dataset.test)} test queries. The splits share no query. {_shared(dataset)}",
        _figures(config, per_query),
    ]
    if config.epochs > 0:
        sections.append(f"## Training\n\n{_training(config, costs)}")
    if arch in LOAD:
        code = "\n".join(LOAD[arch])
        sections.append(
            "## Intended use\n\nTo reorder the passages that a search has found for a query, on "
            "texts like those of the data set above. Scores order the passages of one query; "
            "they are not probabilities and can't be compared between queries. If "
            "`calibration.json` has a slope and an intercept, 1 / (1 + exp(-(slope x score + "
            "intercept))) is the chance that a passage is relevant, among passages that a search "
            "has found.\n\n"
            f"```python\n{code}\n```"
        )
        sections.append(
            "## Limits\n\nThe figures hold for this data set and its judgments; unjudged passages "
            f"count as irrelevant. {_lengths(config)} Other languages and domains were not "
            "measured."
        )
    sections.append(
        f"## Licence\n\nOf the base: {licence}. The terms of the training data apply as well."
    )
    return "\n\n".join(sections) + "\n"


def _shared(dataset: Dataset) -> str:
    count = len(dataset.trained_passage)
    return (
        f"Of {count} test queries a relevant passage is relevant in training, too."
        if count
        else "No relevant passage of a test query is relevant in training."
    )


def _start_kept(costs: Mapping[str, float]) -> bool:
    """Whether the weights are those of the base, as the training was undone."""
    return undone(costs.get("train/dev_before"), costs.get("train/dev_after"))


def _training(config: Config, costs: Mapping[str, float]) -> str:
    effort = (
        f"on {costs['train/pairs_seen']:.0f} pairs ({config.negatives} negatives a query) in "
        f"{costs['train/steps']:.0f} steps and {costs['train/seconds']:.0f} s: learning rate "
        f"{config.train.learning_rate:g}, batch {config.train.batch_size}, seed {config.seed}."
    )
    if not _start_kept(costs):
        return f"Trained {effort}"
    return (
        "These are the weights of the base, unchanged. Training did not raise the dev NDCG (before "
        f"{costs['train/dev_before']:.4f}, after {costs['train/dev_after']:.4f}) and was undone. "
        f"It was {effort}"
    )


def _front_matter(
    config: Config, dataset: Dataset, per_query: Mapping[str, PerQuery], licence: str
) -> str:
    arch, k = config.arch.name, max(config.eval.top_k)
    task = TASK.get(arch, "text-ranking")
    results = [
        EvalResult(
            task_type=task,
            dataset_type=dataset.name,
            dataset_name=f"{dataset.name} ({dataset.fingerprint[:16]}), {search} search, test",
            metric_type=f"ndcg_at_{k}",
            metric_value=round(means(per_query[f"{search}_reranked"])[f"ndcg_at_{k}"], 4),
        )
        for search in SEARCHES
        if f"{search}_reranked" in per_query
    ]
    published = HUB_ID.fullmatch(config.base.path) and not Path(config.base.path).exists()
    tags = ["reranker", arch.replace("_", "-")] if arch in LIBRARY else []
    data = ModelCardData(
        license=licence,
        library_name=LIBRARY.get(arch),
        pipeline_tag=task if arch in TASK else None,
        base_model=config.base.path if published else None,
        tags=tags or None,
        model_name=config.run_name,
        eval_results=results or None,
    )
    return str(data.to_yaml()).strip()


def _figures(config: Config, per_query: Mapping[str, PerQuery]) -> str:
    k = max(config.eval.top_k)
    lines = [
        "## Figures\n",
        f"| search | order | NDCG@{k} | 95% | hit rate@{k} | 95% |",
        "|---|---|---|---|---|---|",
    ]
    for search in SEARCHES:
        for column in (search, f"{search}_reranked", f"{search}_fused"):
            if column in per_query:
                name = column.removeprefix(search).lstrip("_") or "search alone"
                cells = [search, name]
                for metric in (f"ndcg_at_{k}", f"hit_rate_at_{k}"):
                    values = per_query[column][metric]
                    low, high = interval(values)
                    mean = means({metric: values})[metric]
                    cells += [f"{mean:.4f}", f"{low:.4f} to {high:.4f}"]
                lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _lengths(config: Config) -> str:
    arch = config.arch
    if hasattr(arch, "max_length"):
        return f"Query and passage together are cut at {arch.max_length} tokens."
    lengths = (getattr(arch, "query_length", None), getattr(arch, "document_length", None))
    return f"Queries are cut at {lengths[0]}, passages at {lengths[1]} tokens."
