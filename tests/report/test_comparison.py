"""The comparison: order of the rows, figures, tests, and what it does with gaps."""

from dataclasses import replace
from math import isnan

import numpy as np
import pytest

from pipeline.evaluation.bootstrap import intervals, resampled_means, to_chosen
from pipeline.records import SEARCHES
from pipeline.report.comparison import Comparison, by_search, compare, natural
from pipeline.report.uncertainty import COLUMNS
from tests.report.sample import RECORDS, VALUES, differences, p_values, read, whole


@pytest.fixture
def comparison() -> Comparison:
    return whole()


def test_rows_are_grouped_and_in_natural_order(comparison: Comparison) -> None:
    assert comparison.labels == [
        "none_none_0neg_0ep",
        "cross_encoder_minilm_l6_0neg_0ep",
        "cross_encoder_answerai_colbert_0neg_0ep",
        "colbert_minilm_l6_1neg_2ep",
        "colbert_minilm_l6_1neg_10ep",
    ]
    assert natural("a2b") < natural("a10b") < natural("b") < natural("b²")


def test_figures_agree_with_the_store(comparison: Comparison) -> None:
    for quality in comparison.qualities:
        name = f"{quality.measure}_at_{quality.cutoff}"
        for run, row in zip(comparison.points, quality.rows, strict=True):
            for column, cell in row.items():
                stage = column.split("_")[0] if run.name.startswith("none") else column
                assert cell.value == run.metrics[f"{stage}/{name}"]
                assert cell.gain == cell.value - run.metrics[f"{column.split('_')[0]}/{name}"]


@pytest.mark.slow
def test_a_named_baseline_is_tested_against(comparison: Comparison) -> None:
    name = "cross_encoder_minilm_l6_0neg_0ep"
    against = compare(RECORDS, read, name)
    assert (comparison.baseline, against.baseline) == (None, name)
    assert compare(RECORDS, read, "nobody").baseline is None
    others = [i for i, label in enumerate(against.labels) if label != name]
    tests, found = [], []
    for column, search in COLUMNS.items():
        for i in others:
            # the control's row shows the search alone
            stage = search if against.labels[i].startswith("none") else column
            theirs = VALUES[against.labels[i]][stage]["ndcg_at_10"]
            tests.append(differences(theirs, VALUES[name][column]["ndcg_at_10"]))
            found.append(against.qualities[0].rows[i][column].p_baseline)
    assert found == p_values(tests)
    row = against.labels.index(name)
    assert isnan(against.qualities[0].rows[row]["fts_fused"].p_baseline)


def test_p_values_are_corrected_over_the_table(comparison: Comparison) -> None:
    quality = comparison.qualities[0]
    assert (quality.measure, quality.cutoff) == ("ndcg", 10)
    names = comparison.labels[1:]
    tests = [
        differences(VALUES[name][column]["ndcg_at_10"], VALUES[name][search]["ndcg_at_10"])
        for name in names
        for column, search in COLUMNS.items()
    ]
    cells = [row["fts_fused"] for row in quality.rows]
    assert isnan(cells[0].p_value)  # the control is not tested against itself
    tested = [cell.p_value for row in quality.rows[1:] for cell in row.values()]
    assert tested == p_values(tests)  # one family: the table
    assert [cell.significant for cell in cells] == [False, True, True, False, True]
    assert [cell.best for cell in cells] == [False, False, False, False, True]


def test_the_distance_to_the_best_has_an_interval(comparison: Comparison) -> None:
    rows = comparison.qualities[0].rows
    cells = [row["vector_reranked"] for row in rows]
    best = next(i for i, cell in enumerate(cells) if cell.best)
    names = comparison.labels
    columns = [
        VALUES[name]["vector" if name.startswith("none") else "vector_reranked"]["ndcg_at_10"]
        for name in names
    ]
    matrix = np.array([[column[query] for query in sorted(column)] for column in columns]).T
    expected = to_chosen(best, matrix.mean(axis=0), resampled_means(matrix))
    found = [cell.to_best for i, cell in enumerate(cells) if i != best]
    assert found == [pytest.approx(ends) for i, ends in enumerate(expected) if i != best]
    assert [cell.as_good for cell in cells] == [False] * 5
    assert isnan(cells[best].to_best[0])
    # Wider than each alone would be, as the best was chosen by its value.
    first = 0 if best else 1
    ((low, high),) = intervals(matrix[:, [first]] - matrix[:, [best]])
    assert found[0][1] - found[0][0] > high - low


def test_a_rival_within_its_interval_is_marked() -> None:
    best, other = RECORDS[0], RECORDS[3]
    near = {
        column: {
            m: {q: v - 0.01 * (q in ("q1", "q2")) for q, v in of.items()} for m, of in p.items()
        }
        for column, p in VALUES[best.name].items()
    }
    runs = [best, replace(other, metrics=best.metrics)]
    compared = compare(runs, lambda run_id: near if run_id == other.run_id else read(run_id))
    cells = [row["vector_reranked"] for row in compared.qualities[0].rows]
    rival = next(cell for cell in cells if not cell.best)
    assert rival.as_good and rival.to_best[0] < 0 <= rival.to_best[1] < 0.001


def test_without_a_control_run_the_searches_still_are_the_baseline() -> None:
    alone = compare(RECORDS[:1], read).qualities[0]
    assert set(alone.half_width) == set(SEARCHES)
    assert alone.rows[0]["vector_reranked"].significant


def test_a_run_that_failed_early_stays_with_its_data_set() -> None:
    tags = RECORDS[0].tags | {"dataset": "my data"}
    whole = replace(RECORDS[0], tags=tags, params={"data.fingerprint": "f" * 64})
    failed = replace(whole, run_id="failed", params={})
    assert by_search([failed, whole]) == {"my data ffffffff": [whole, failed]}


@pytest.mark.parametrize(
    ("param", "value"),
    [
        ("search.depth", "50"),
        ("machine.embedder_precision", "bf16"),
        ("index.fts.tokenizer", "icu"),
        ("index.fts.stop_words", "['a']"),
    ],
)
def test_runs_of_another_search_have_a_table_of_their_own(param: str, value: str) -> None:
    first = replace(RECORDS[0], params={"data.fingerprint": "f" * 64, param: "as before"})
    other = replace(first, run_id="other", params=first.params | {param: value})
    titles = list(by_search([first, other]))
    assert titles == [f"pydocs ffffffff, {param}={v}" for v in ("as before", value)]
