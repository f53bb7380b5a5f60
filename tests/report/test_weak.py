"""A trained run far below the search is explained by the figures of its comparison."""

import io
from collections.abc import Mapping

from rich.console import Console

from pipeline.report.comparison import Comparison, compare
from pipeline.report.terminal import print_tables
from pipeline.report.weak import weak_runs
from pipeline.tracking.reader import RunRecord
from tests.report.sample import documented

SEARCH = (0.9, 0.7, 0.9, 0.7)  # NDCG of four queries; the mean is 0.8
BASE = {"base.name": "minilm_l3", "base.path": "package:x", "base.keep_layers": "[0, 2, 4]"}
WHOLE = {"base.name": "minilm_l6", "base.path": "package:x", "base.keep_layers": "null"}
EFFORT = {"train/pairs_seen": 12000.0, "train/steps": 750.0}


def run(
    name: str,
    params: Mapping[str, str] | None = None,
    group: str = "scratch",
    arch: str = "cross_encoder",
    metrics: Mapping[str, float] | None = None,
) -> RunRecord:
    tags = {"initialisation": group, "arch": arch, "dataset": "pydocs"}
    given = {"epochs": "1", "negatives": "2", "run_name": name, **BASE, **(params or {})}
    return RunRecord(name, name, "FINISHED", tags, given, dict(metrics or EFFORT))


def compared(**runs: tuple[RunRecord, float]) -> Comparison:
    """Compare runs, each with the share of the vector search that its own order reaches."""
    values = {
        record.run_id: {
            "vector": {"ndcg_at_10": by_query(1)},
            "vector_reranked": {"ndcg_at_10": by_query(share)},
        }
        for record, share in runs.values()
    }
    return compare([record for record, _ in runs.values()], lambda run_id: values[run_id])


def by_query(share: float) -> dict[str, float]:
    return {f"q{i}": share * value for i, value in enumerate(SEARCH)}


def sentences(comparison: Comparison) -> list[str]:
    return [*weak_runs(comparison).values()]


def test_a_better_run_that_differs_in_one_setting_shows_the_cause() -> None:
    comparison = compared(
        two=(run("two_epochs", {"epochs": "2"}), 0.5),
        one=(run("one_epoch"), 0.75),
        other=(run("one_negative", {"negatives": "1"}), 0.9),  # differs from two_epochs in two
    )
    (sentence,) = sentences(comparison)
    # 0.5 and 0.75 of 0.8; the queries lead by 0.225 and 0.175, so the interval lies between.
    assert sentence == (
        "two_epochs on its own has 50.0% of the NDCG@10 of vector search: it was trained on 12,000 "
        "pairs of a query and a passage in 750 steps and its scoring layer began with random "
        "weights. one_epoch, with 1 epoch instead of 2, has 75.0% of vector search, 0.200 more "
        "(95% interval 0.175 to 0.225)."
    )


def test_the_layers_of_a_base_and_other_settings_are_named() -> None:
    weak = run("three_layers")
    for params, words in [
        (WHOLE, "with all layers of the base instead of 3, has 61.0%"),
        ({"base.name": "big", "base.path": "y"}, "with base big instead of minilm_l3, has"),
        ({"negatives": "4"}, "with 4 negatives instead of 2"),
        ({"train.queries": "50"}, "with 50 training queries instead of all"),
        ({"train.max_steps": "9", "arch.batch_size": "8"}, "with train.max_steps=9 instead of"),
    ]:
        comparison = compared(weak=(weak, 0.59), other=(run("other", params), 0.61))
        (sentence,) = sentences(comparison)
        assert words in sentence


def test_without_a_better_neighbour_nothing_is_blamed() -> None:
    weak = run("weak", {"epochs": "2"})
    far = run("far", {"negatives": "1"})
    colbert = run("colbert", {"epochs": "2"}, arch="colbert")
    for others in ({}, {"far": (far, 0.9), "colbert": (colbert, 0.9)}):
        (sentence,) = sentences(compared(weak=(weak, 0.5), **others))
        assert "No other cross-encoder here differs from it in one setting only" in sentence
    first, second = sentences(compared(weak=(weak, 0.5), worse=(run("worse"), 0.4)))
    assert first.startswith("weak ") and "No run that differs from it" in first
    assert second.startswith("worse on its own has 40.0%") and "weak, with 2 epochs" in second


def test_a_lead_that_may_be_chance_is_marked() -> None:
    weak, other = run("weak", {"epochs": "2"}), run("other")
    leads = {"weak": (0.4, 0.4, 0.4, 0.4), "other": (0.2, 0.8, 0.6, 0.2)}
    comparison = compare(
        [weak, other],
        lambda run_id: {
            "vector": {"ndcg_at_10": by_query(1)},
            "vector_reranked": {"ndcg_at_10": {f"q{i}": v for i, v in enumerate(leads[run_id])}},
        },
    )
    by_position = weak_runs(comparison)
    sentence = by_position[comparison.labels.index("weak")]
    assert "0.050 more (95% interval -0." in sentence
    assert sentence.endswith(", which may be chance.")


def test_only_trained_runs_count_and_dev_scores_are_told() -> None:
    comparison = compared(
        untrained=(run("untrained", {"negatives": "0", "epochs": "0"}, "untrained"), 0.3),
        enough=(run("enough"), 0.61),
    )
    assert sentences(comparison) == []
    dev = {"train/dev_before": 0.61, "train/dev_after": 0.52}
    undone = run("undone", group="start_kept", arch="colbert", metrics=dev)
    (sentence,) = sentences(compared(undone=(undone, 0.5)))
    assert "from 0.610 to 0.520, so it was undone." in sentence
    assert "scoring layer" not in sentence and "pairs" not in sentence


def test_the_report_has_the_sentences_and_the_terminal_one_line() -> None:
    comparison = compared(a=(run("a", {"epochs": "2"}), 0.5), b=(run("b"), 0.5))
    assert documented(comparison).facts[-2:] == sentences(comparison)
    out = io.StringIO()
    print_tables(comparison, Console(file=out, highlight=False))
    lines = [line for line in out.getvalue().splitlines() if "below 60%" in line]
    assert lines == ["below 60% of a search on its own, report.md says more: a and b"]
