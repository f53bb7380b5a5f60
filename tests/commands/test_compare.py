"""Two runs side by side, against a real store; figures can be checked by hand."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from math import isnan
from pathlib import Path

import pytest

from pipeline.commands.compare import compare
from pipeline.config.stages import TrackingConfig
from pipeline.records import InputError
from pipeline.report.pair.difference import Stored, differ
from pipeline.report.pair.terminal import header
from pipeline.tracking import artifacts, reader, writer
from pipeline.tracking.artifacts import Text

QUERIES = [f"q{i}" for i in range(8)]
LOW = dict.fromkeys(QUERIES, 0.25)
HIGH = LOW | dict.fromkeys(QUERIES[:6], 1.0) | {"q7": 0.0}  # 6 better, 1 equal, 1 worse
SCRIPT = "<script>alert('x')</script>"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TrackingConfig:
    folder = tmp_path_factory.mktemp("compare")
    config = TrackingConfig(uri=f"sqlite:///{folder}/mlflow.db", experiment="points")
    make_run(config, "low", LOW, {"epochs": "1"})
    make_run(config, "high", HIGH, {"epochs": "2", "run_name": "high"})
    make_run(config, "elsewhere", HIGH, {"data.fingerprint": "b" * 64})
    make_run(config, "control", LOW, {"arch.name": "none"}, group="none")
    return config


def make_run(
    config: TrackingConfig,
    name: str,
    values: Mapping[str, float],
    params: Mapping[str, str],
    group: str = "scratch",
) -> None:
    stage = "vector" if group == "none" else "vector_reranked"
    tags = {"kind": "point", "dataset": "d", "initialisation": group}
    with writer.run(config, name, tags) as run:
        run.log_params({"data.fingerprint": "a" * 64, **params})
        mean = sum(values.values()) / len(values)
        metrics = {"vector/ndcg_at_10": 0.2, f"{stage}/ndcg_at_10": mean}
        run.log_metrics(metrics | {"train/seconds": 10.0 if name == "low" else 25.0})
        artifacts.log_per_query(run, {stage: {"ndcg_at_10": dict(values)}})
        passages = {"relevant": "the answer", stage: f"{name} {SCRIPT}"}
        artifacts.log_texts(
            run, [Text("q0", f"why {SCRIPT}", role, role, text) for role, text in passages.items()]
        )


def stored(config: TrackingConfig, name: str) -> Stored:
    run = reader.find_run(config, name)
    return Stored(
        run, artifacts.read_per_query(config, run.run_id), artifacts.read_texts(config, run.run_id)
    )


def words(store: TrackingConfig, folder: Path) -> list[str]:
    return [f"tracking.uri={store.uri}", f"output_dir={folder}"]


def test_the_figures_of_a_pair(store: TrackingConfig) -> None:
    found = differ(stored(store, "low"), stored(store, "high"), "vector")
    assert found.config == [("epochs", "1", "2")]  # the run's name is no difference
    assert (found.queries, found.unpaired) == (8, "")
    row = found.quality[0]
    assert (row.name, row.a, row.b) == ("vector_reranked/ndcg_at_10", 0.25, 6.25 / 8)
    assert row.difference is not None
    assert row.difference.mean == pytest.approx((6 * 0.75 - 0.25) / 8)
    # all of 2^7 sign flips: the sum is 4.25 or more if no 0.75 is flipped (twice), and as low
    assert row.difference.p_value == pytest.approx(4 / 128)
    assert (row.better_a, row.equal, row.better_b) == (1, 1, 6)
    assert [(r.name, r.a, r.b) for r in found.costs] == [("train/seconds", 10.0, 25.0)]
    assert [case.query_id for case in found.better_a] == ["q7"]
    assert [case.query_id for case in found.better_b] == QUERIES[:6]
    case = found.better_b[0]
    assert (case.query, case.relevant) == (f"why {SCRIPT}", "the answer")
    assert (case.first_a, case.first_b) == (f"low {SCRIPT}", f"high {SCRIPT}")


def test_it_is_said_where_the_search_differs(store: TrackingConfig) -> None:
    a, b = stored(store, "low"), stored(store, "high")
    assert not any("search" in line for line in header(differ(a, b, "vector")))
    longer = replace(b, run=replace(b.run, params={**b.run.params, "embedder.max_length": "128"}))
    told = header(differ(a, longer, "vector"))[-1]
    assert told == "the search differs too: embedder.max_length - and 128"


def test_swapped_runs_give_the_opposite(store: TrackingConfig) -> None:
    one = differ(stored(store, "low"), stored(store, "high"), "vector").quality[0]
    other = differ(stored(store, "high"), stored(store, "low"), "vector").quality[0]
    assert one.difference and other.difference
    assert other.difference.mean == -one.difference.mean
    assert other.difference.p_value == one.difference.p_value
    assert (other.better_a, other.better_b) == (one.better_b, one.better_a)


def test_other_data_are_compared_by_their_means_only(store: TrackingConfig) -> None:
    found = differ(stored(store, "low"), stored(store, "elsewhere"), "vector")
    assert found.unpaired == "the runs are on different data (aaaaaaaa and bbbbbbbb)"
    assert found.quality[0].b - found.quality[0].a == pytest.approx(4.25 / 8)
    assert all(row.difference is None for row in found.quality)
    assert (found.queries, found.better_a, found.better_b) == (0, [], [])


def test_the_search_alone_stands_in_for_the_control(store: TrackingConfig) -> None:
    found = differ(stored(store, "control"), stored(store, "high"), "vector")
    assert (found.quality[0].a, found.quality[0].better_b) == (0.25, 6)
    assert found.better_b[0].first_a == f"control {SCRIPT}"
    assert isnan(found.quality[2].a)  # fts, which neither has


def test_the_page_escapes_and_needs_nothing_else(
    store: TrackingConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = compare(["low", "high", *words(store, tmp_path)])
    assert file == tmp_path / "compare" / "low_vs_high.html"
    page = file.read_text()
    assert "<script" not in page
    assert "why &lt;script&gt;" in page
    assert "http://" not in page and "https://" not in page
    assert page.count("<h1>") == 1 and 'lang="en"' in page
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    for said in ("paired over 8 queries of d aaaaaaaa", "+0.5312", "0.0312", f"why {SCRIPT}"):
        assert said in printed
    file = compare(["low", "elsewhere", *words(store, tmp_path)])
    assert "only means" in capsys.readouterr().out
    assert "only means" in file.read_text()


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (["low"], "give two runs, not 1"),
        (["low", "high", "control"], "give two runs, not 3"),
        (["low", "low"], "low and low are the same run"),
        (["low", "no_such"], "run:no_such: no finished run of this name"),
    ],
)
def test_bad_input_writes_nothing(
    runs: list[str], said: str, store: TrackingConfig, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=said):
        compare([*runs, *words(store, tmp_path)])
    assert list(tmp_path.iterdir()) == []


def test_the_command_ends_with_2_and_one_line(store: TrackingConfig, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pipeline",
        "compare",
        "low",
        "no_such",
        *words(store, tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: run:no_such: ")
    assert len(done.stderr.splitlines()) == 1
