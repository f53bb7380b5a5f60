"""The comparison table: figures, marks, order, and what it does with gaps."""

import csv
import io
import random
from functools import partial
from math import isnan, nan
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.evaluation.metrics import PerQuery, means
from pipeline.evaluation.significance import (
    enough_resamples,
    holm,
    interval,
    paired_difference,
    randomisation_test,
)
from pipeline.records import SEARCHES
from pipeline.report import terminal as table
from pipeline.report.comparison import Comparison, compare, natural
from pipeline.report.document import study
from pipeline.report.markdown import markdown
from pipeline.report.sections.queries import Stored
from pipeline.report.uncertainty import COLUMNS
from pipeline.tracking.reader import RunRecord

QUERIES = 60
NOTHING = Stored(lambda *_: {}, lambda _: {}, lambda _: [])
Stages = dict[str, PerQuery]
# As a table of so few tests does.
paired = partial(paired_difference, resamples=enough_resamples(24))
p_value = partial(randomisation_test, resamples=enough_resamples(24))


def stages(seed: int, gain: float, control: bool = False) -> Stages:
    """Per-query values at 5 and 10; the search alone is the same for every run."""
    suffixes = [""] if control else ["", "_reranked", "_fused"]
    per_query: Stages = {}
    for suffix in suffixes:
        for mode in SEARCHES:
            rng, own = random.Random(mode), random.Random(f"{seed}{mode}{suffix}")
            values: PerQuery = {}
            for k in (5, 10):
                base = [rng.random() * 0.5 for _ in range(QUERIES)]
                if suffix:
                    base = [v + gain + own.gauss(0, 0.1) for v in base]
                values[f"ndcg_at_{k}"] = {f"q{i}": v for i, v in enumerate(base)}
                values[f"hit_rate_at_{k}"] = {f"q{i}": float(v > 0.3) for i, v in enumerate(base)}
            per_query[f"{mode}{suffix}"] = values
    return per_query


def record(
    name: str, group: str, per_query: Stages, status: str = "FINISHED", **more: str
) -> RunRecord:
    metrics = {f"{s}/{m}": v for s, p in per_query.items() for m, v in means(p).items()}
    if per_query:
        metrics |= {"vector_ideal/ndcg_at_5": 0.7, "vector_ideal/ndcg_at_10": 0.838}
        metrics |= {"fts_ideal/ndcg_at_10": 0.854, "latency/vector_50/total_p50_ms": 12.34}
    if group in ("scratch", "finetuned"):
        metrics["train/seconds"] = 288.4
    tags = {"initialisation": group, "arch": name.split("_")[0], "dataset": "pydocs", **more}
    params = {
        "data.corpus": "9000",
        "negatives": "1",
        "epochs": "2",
        "seed": "12",
        "eval.overfetch": "4",
    }
    return RunRecord(f"{name}-id", name, status, tags, params, metrics)


VALUES = {
    "none_none_0neg_0ep": stages(0, 0, control=True),
    "colbert_minilm_l6_1neg_10ep": stages(1, 0.1),
    "colbert_minilm_l6_1neg_2ep": stages(2, 0.0),
    "cross_encoder_answerai_colbert_0neg_0ep": stages(3, -0.1),
    "cross_encoder_minilm_l6_0neg_0ep": stages(4, -0.2),
}
RECORDS = [  # in no order
    record("colbert_minilm_l6_1neg_10ep", "scratch", VALUES["colbert_minilm_l6_1neg_10ep"]),
    record("cross_encoder_bad|name", "scratch", {}, "FAILED", failure="ValueError: a|b <c>\nd"),
    record("none_none_0neg_0ep", "none", VALUES["none_none_0neg_0ep"]),
    record("colbert_minilm_l6_1neg_2ep", "scratch", VALUES["colbert_minilm_l6_1neg_2ep"]),
    record("colbert_lost_1neg_1ep", "scratch", {}, "RUNNING", host="box", pid="7"),
    record(
        "cross_encoder_answerai_colbert_0neg_0ep",
        "dedicated",
        VALUES["cross_encoder_answerai_colbert_0neg_0ep"],
    ),
    record(
        "cross_encoder_minilm_l6_0neg_0ep", "untrained", VALUES["cross_encoder_minilm_l6_0neg_0ep"]
    ),
]


def read(run_id: str) -> Stages:
    return VALUES.get(run_id.removesuffix("-id"), {})


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compare(RECORDS, read)


def text(comparison: Comparison, **console: object) -> str:
    out = io.StringIO()
    table.print_tables(comparison, Console(file=out, highlight=False, **console))  # type: ignore[arg-type]
    return out.getvalue()


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
        for run, row in zip(comparison.runs, quality.rows, strict=True):
            for column, cell in row.items():
                stage = column.split("_")[0] if run.name.startswith("none") else column
                assert cell.value == run.metrics[f"{stage}/{name}"]
                assert cell.gain == cell.value - run.metrics[f"{column.split('_')[0]}/{name}"]


def test_a_named_baseline_is_tested_against(comparison: Comparison) -> None:
    name = "cross_encoder_minilm_l6_0neg_0ep"
    against = compare(RECORDS, read, name)
    assert (comparison.baseline, against.baseline) == (None, name)
    assert compare(RECORDS, read, "nobody").baseline is None
    others = [i for i, label in enumerate(against.labels) if label != name]
    raw, found = [], []
    for i in others:
        for column, mode in COLUMNS.items():
            # the control's row shows the search alone
            stage = mode if against.labels[i].startswith("none") else column
            theirs = VALUES[against.labels[i]][stage]["ndcg_at_10"]
            raw.append(p_value(theirs, VALUES[name][column]["ndcg_at_10"]))
            found.append(against.qualities[0].rows[i][column].p_baseline)
    assert found == pytest.approx(holm(raw))
    row = against.labels.index(name)
    assert isnan(against.qualities[0].rows[row]["fts_fused"].p_baseline)
    assert f"†: differs from {name}" in text(against)
    assert "†" in text(against)
    assert "†" not in text(comparison)


def test_p_values_are_corrected_over_the_column(comparison: Comparison) -> None:
    quality = comparison.qualities[0]
    assert (quality.measure, quality.cutoff) == ("ndcg", 10)
    names = comparison.labels[1:]
    raw = [
        p_value(VALUES[name][column]["ndcg_at_10"], VALUES[name][mode]["ndcg_at_10"])
        for name in names
        for column, mode in COLUMNS.items()
    ]
    cells = [row["fts_fused"] for row in quality.rows]
    assert isnan(cells[0].p_value)  # the control is not tested against itself
    tested = [cell.p_value for row in quality.rows[1:] for cell in row.values()]
    assert tested == holm(raw)  # one family: the table
    assert [cell.significant for cell in cells] == [False, True, True, False, True]
    assert [cell.best for cell in cells] == [False, False, False, False, True]


def test_header(comparison: Comparison) -> None:
    first, second, third = table.header(comparison)
    assert first == "5 runs on pydocs: 60 queries over 9,000 passages"
    ceiling = "ceiling (NDCG@10 of the 40 candidates in ideal order)"
    assert second == f"{ceiling}: vector 0.838, fts 0.854"
    assert third == "p50 ms: median of one vector query, 50 passages reranked"
    low, high = interval(VALUES["none_none_0neg_0ep"]["vector"]["ndcg_at_10"])
    assert f"vector ±{(high - low) / 2:.3f}" in table.title(comparison.qualities[0])


def test_in_a_pipe_it_is_plain_aligned_and_whole(comparison: Comparison) -> None:
    shown = text(comparison, width=80)
    assert "\x1b" not in shown
    assert "…" not in shown
    lines = shown.splitlines()
    rows = [line for line in lines if "neg_" in line and "RUNNING" not in line]
    assert len(rows) == 2 * 5  # NDCG and hit rate at 10
    assert len({len(row.rstrip()) for row in rows if "0:04:48" in row}) == 1
    assert all(len(line) <= 120 for line in rows)
    for row, run in zip(rows[:5], comparison.runs, strict=True):
        stage = "hybrid" if run.name.startswith("none") else "hybrid_fused"
        assert f"{run.metrics[f'{stage}/ndcg_at_10']:.3f}" in row
        assert "12.3" in row
    points = {tuple(i for i, c in enumerate(row[:95]) if c == ".") for row in rows[:5]}
    assert len(points) == 1  # the decimal points stand below one another
    assert "FAILED cross_encoder_bad|name: ValueError: a|b <c> d" in lines
    assert "RUNNING colbert_lost_1neg_1ep: on box, pid 7, or lost" in lines


@pytest.mark.parametrize("width", [120, 100, 80, 60])
def test_on_a_terminal_it_fits_and_is_coloured(comparison: Comparison, width: int) -> None:
    shown = text(comparison, width=width, force_terminal=True, color_system="standard")
    assert "\x1b[1;32m" in shown  # best and significantly better: bold green
    assert "\x1b[31m" in shown  # significantly worse
    plain = text(comparison, width=width, force_terminal=True, color_system=None)
    rows = [line for line in plain.splitlines() if line.count(" 0.") > 2]
    assert all(len(row) <= width for row in rows)
    assert len(rows) == 10
    if width >= 80:
        assert all(row.count(" 0.") == 6 for row in rows)  # no number was cut


def test_markdown(comparison: Comparison) -> None:
    document = markdown(study(comparison, NOTHING, 100.0))
    for title in ("## NDCG@10", "## Hit rate@10", "## NDCG@5", "## Hit rate@5"):
        assert title in document
    tables = [part.splitlines() for part in document.split("\n\n") if part.startswith("|")]
    for rows in tables:
        assert len({row.replace(r"\|", "").count("|") for row in rows}) == 1
    figures = [rows for rows in tables if rows[0].startswith("| group | run |")]
    assert [len(rows) for rows in figures] == [7] * 4
    best = next(row for row in figures[0] if "1neg_10ep" in row)
    after, before = (
        means(VALUES["colbert_minilm_l6_1neg_10ep"][stage])["ndcg_at_10"]
        for stage in ("vector_reranked", "vector")
    )
    assert rf"**{after:.3f}**\* ({after / before - 1:+.1%})" in best
    assert document.startswith("# Comparison\n\n**Best quality:** colbert_minilm_l6_1neg_10ep on ")
    assert "## How to reproduce each row" in document
    assert r"| FAILED | cross_encoder_bad\|name | " in document
    assert r"ValueError: a\|b \<c> d" in document


def test_csv_holds_everything(comparison: Comparison, tmp_path: Path) -> None:
    table.write_csv(tmp_path / "report.csv", [comparison])
    with (tmp_path / "report.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["run"] for row in rows[:5]] == comparison.labels
    last = rows[4]
    assert (
        float(last["fts_fused/hit_rate_at_5"])
        == means(VALUES["colbert_minilm_l6_1neg_10ep"]["fts_fused"])["hit_rate_at_5"]
    )
    assert last["train/seconds"] == "288.4"
    assert (last["group"], last["negatives"], last["seed"]) == ("scratch", "1", "12")
    cell = comparison.qualities[0].rows[4]["fts_fused"]
    named = {"gain": cell.relative, "low": cell.low, "high": cell.high, "p": cell.p_value}
    assert {name: float(last[f"{name} fts_fused/ndcg_at_10"]) for name in named} == named
    assert [row["as good fts_fused/ndcg_at_10"] for row in rows[3:5]] == ["0", "1"]
    assert "p baseline fts_fused/ndcg_at_10" not in last
    assert rows[5]["failure"] == "ValueError: a|b <c>\nd"
    assert rows[5]["vector/ndcg_at_10"] == ""


def test_marks_what_a_test_cannot_tell_from_the_best(comparison: Comparison) -> None:
    cells = [row["vector_reranked"] for row in comparison.qualities[0].rows]
    metric = "ndcg_at_10"
    names = comparison.labels
    raw = {}
    for column, mode in COLUMNS.items():
        best = next(i for i, row in enumerate(comparison.qualities[0].rows) if row[column].best)
        for i, name in enumerate(names):
            if i != best:
                stage = mode if i == 0 else column
                raw[column, i] = p_value(
                    VALUES[name][stage][metric], VALUES[names[best]][column][metric]
                )
    corrected = dict(zip(raw, holm([*raw.values()]), strict=True))
    expected = [corrected.get(("vector_reranked", i), 0) >= 0.05 for i in range(5)]
    assert [cell.as_good for cell in cells] == expected


def test_gaps_are_shown_not_fatal() -> None:
    nothing = compare([], read)
    assert text(nothing) == "no run of this sweep has finished\n"
    assert "no run of this sweep" in markdown(study(nothing, NOTHING, 100.0))

    bare = RunRecord("id", "old", "FINISHED", {}, {}, {"vector/ndcg_at_10": nan})
    shown = text(compare([bare], lambda _: {}))
    assert "no per-query values" in shown
    assert "latency was not measured" in shown
    assert "nan" not in shown


def test_without_a_control_run_the_searches_still_are_the_baseline() -> None:
    alone = compare(RECORDS[:1], read).qualities[0]
    assert set(alone.half_width) == set(SEARCHES)
    assert alone.rows[0]["vector_reranked"].significant
