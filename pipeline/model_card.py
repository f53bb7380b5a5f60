"""The model card of a run: what it is, what it was trained on, how well it ranks."""

from collections.abc import Mapping

from pipeline.config import Config
from pipeline.records import MODES, Dataset


def render(
    config: Config, dataset: Dataset, metrics: Mapping[str, float], costs: Mapping[str, float]
) -> str:
    """Markdown; figures are means over the test queries."""
    k = max(config.eval.top_k)
    lines = [
        f"# {config.run_name}",
        "",
        f"Architecture `{config.arch.name}`, base `{config.base.path}` ({config.initialisation}).",
        "",
        f"Data set `{dataset.name}` (sha256 {dataset.fingerprint[:16]}): "
        f"{len(dataset.corpus)} passages, {len(dataset.train)} training, {len(dataset.dev)} dev "
        f"and {len(dataset.test)} test queries.",
        "",
        f"| search | stage | NDCG@{k} | hit rate@{k} |",
        "|---|---|---|---|",
    ]
    for mode in MODES:
        for stage in (mode, f"{mode}_reranked", f"{mode}_fused"):
            if f"{stage}/ndcg_at_{k}" in metrics:
                name = stage.removeprefix(mode).lstrip("_") or "first stage"
                ndcg, hit = metrics[f"{stage}/ndcg_at_{k}"], metrics[f"{stage}/hit_rate_at_{k}"]
                lines.append(f"| {mode} | {name} | {ndcg:.4f} | {hit:.4f} |")
    lines.append("")
    if config.epochs > 0:
        lines += [
            f"Trained on {costs['train/pairs_seen']:.0f} pairs ({config.negatives} mined negatives "
            f"a query, {config.epochs} epochs) in {costs['train/steps']:.0f} steps and "
            f"{costs['train/seconds']:.0f} s: learning rate {config.train.learning_rate:g}, batch "
            f"{config.train.batch_size}, seed {config.seed}.",
            "",
        ]
    lines.append("The licence of the base applies.")
    return "\n".join(lines) + "\n"
