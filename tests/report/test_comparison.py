"""The comparison: order of the rows, figures, tests, and what it does with gaps."""

from math import isnan

import pytest

from pipeline.evaluation.significance import holm
from pipeline.records import SEARCHES
from pipeline.report.comparison import Comparison, compare, natural
from pipeline.report.uncertainty import COLUMNS
from tests.report.sample import RECORDS, VALUES, p_value, read, whole


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
    raw, found = [], []
    for i in others:
        for column, search in COLUMNS.items():
            # the control's row shows the search alone
            stage = search if against.labels[i].startswith("none") else column
            theirs = VALUES[against.labels[i]][stage]["ndcg_at_10"]
            raw.append(p_value(theirs, VALUES[name][column]["ndcg_at_10"]))
            found.append(against.qualities[0].rows[i][column].p_baseline)
    assert found == pytest.approx(holm(raw))
    row = against.labels.index(name)
    assert isnan(against.qualities[0].rows[row]["fts_fused"].p_baseline)


def test_p_values_are_corrected_over_the_column(comparison: Comparison) -> None:
    quality = comparison.qualities[0]
    assert (quality.measure, quality.cutoff) == ("ndcg", 10)
    names = comparison.labels[1:]
    raw = [
        p_value(VALUES[name][column]["ndcg_at_10"], VALUES[name][search]["ndcg_at_10"])
        for name in names
        for column, search in COLUMNS.items()
    ]
    cells = [row["fts_fused"] for row in quality.rows]
    assert isnan(cells[0].p_value)  # the control is not tested against itself
    tested = [cell.p_value for row in quality.rows[1:] for cell in row.values()]
    assert tested == holm(raw)  # one family: the table
    assert [cell.significant for cell in cells] == [False, True, True, False, True]
    assert [cell.best for cell in cells] == [False, False, False, False, True]


def test_marks_what_a_test_cannot_tell_from_the_best(comparison: Comparison) -> None:
    cells = [row["vector_reranked"] for row in comparison.qualities[0].rows]
    metric = "ndcg_at_10"
    names = comparison.labels
    raw = {}
    for column, search in COLUMNS.items():
        best = next(i for i, row in enumerate(comparison.qualities[0].rows) if row[column].best)
        for i, name in enumerate(names):
            if i != best:
                stage = search if i == 0 else column
                raw[column, i] = p_value(
                    VALUES[name][stage][metric], VALUES[names[best]][column][metric]
                )
    corrected = dict(zip(raw, holm([*raw.values()]), strict=True))
    expected = [corrected.get(("vector_reranked", i), 0) >= 0.05 for i in range(5)]
    assert [cell.as_good for cell in cells] == expected


def test_without_a_control_run_the_searches_still_are_the_baseline() -> None:
    alone = compare(RECORDS[:1], read).qualities[0]
    assert set(alone.half_width) == set(SEARCHES)
    assert alone.rows[0]["vector_reranked"].significant
