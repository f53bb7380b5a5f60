"""``make report``: which runs it reads, what it writes, and what it says of a mistake."""

import csv
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.commands.report import main
from pipeline.config.stages import TrackingConfig
from pipeline.records import InputError
from pipeline.tracking import artifacts, reader, writer
from pipeline.tracking.reader import RunRecord
from tests.commands.conftest import code_of
from tests.conftest import NewStore
from tests.report.sample import RECORDS, read


def store_run(config: TrackingConfig, run: RunRecord, **tags: str) -> str:
    with (
        suppress(ValueError),
        writer.run(config, run.name, {"kind": "point", **run.tags, **tags}) as active,
    ):
        active.log_params(run.params)
        active.log_metrics(run.metrics)
        artifacts.log_per_query(active, read(run.run_id))
        if run.status == "FAILED":
            raise ValueError("out | of memory")
    return active.run_id


def store_sweep(config: TrackingConfig) -> str:
    with writer.run(config, "sweep", {"kind": "sweep"}) as parent:
        child = replace(config, parent_run_id=parent.run_id)
        for run in RECORDS[:4]:
            store_run(child, run)
    return parent.run_id


@pytest.fixture
def config(tmp_path: Path, new_store: NewStore) -> TrackingConfig:
    return new_store(tmp_path, "e")


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """The overrides that lead to ``config``."""
    return [f"output_dir={tmp_path}", "tracking.experiment=e"]


def test_nothing_yet(
    tmp_path: Path, words: list[str], new_store: NewStore, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    message = f"no finished run in experiment e of {uri}; "
    with pytest.raises(InputError, match=f"^{re.escape(message)}make sweep makes some$"):
        main(words)
    assert list(tmp_path.iterdir()) == []
    config = new_store(tmp_path, "e")
    with writer.run(config, "sweep", {"kind": "sweep"}) as empty:
        store_run(replace(config, parent_run_id=empty.run_id), RECORDS[1])  # which fails
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.md").write_text("of yesterday")
    with pytest.raises(InputError, match=f"^{re.escape(message)}make sweep makes some$"):
        main(words)
    store_run(replace(config, experiment="q"), RECORDS[0])
    elsewhere = "there are some in q: tracking.experiment=q"
    with pytest.raises(InputError, match=f"^{re.escape(message)}{elsewhere}$"):
        main(words)
    with writer.run(config, "sweep", {"kind": "sweep"}) as empty:
        pass
    main([*words, empty.run_id])
    assert "no run to compare" in capsys.readouterr().out
    (kept,) = (tmp_path / "report").iterdir()
    assert kept.read_text() == "of yesterday"


def rows(folder: Path) -> list[str]:
    """The run ids of a report."""
    with (folder / "report" / "report.csv").open() as file:
        return [row["run_id"] for row in csv.DictReader(file)]


@pytest.mark.slow
def test_runs_that_are_no_sweeps_are_compared_together(
    tmp_path: Path, words: list[str], config: TrackingConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [store_run(config, run, fingerprint=run.name) for run in RECORDS[:4]]
    finished = {i for i, run in zip(ids, RECORDS, strict=False) if run.status == "FINISHED"}
    assert len(finished) == 3
    main(words)
    shown = capsys.readouterr().out
    assert shown.startswith(f"no finished sweep in experiment e of {config.uri}: its single runs")
    assert f"compared, {len(finished)} in all\n3 runs on pydocs" in shown
    assert set(rows(tmp_path)) == finished
    again = store_run(config, RECORDS[0], fingerprint=RECORDS[0].name)
    main(words)  # each point once, as in a sweep
    assert set(rows(tmp_path)) == {again} | finished - {ids[0]}

    main([*words, ids[0], again, f"run:{RECORDS[2].name}", ids[2], again])
    assert sorted(rows(tmp_path)) == sorted([ids[0], again, ids[2]])
    with pytest.raises(InputError, match=rf"^run:{ids[1]}: is FAILED"):
        main([*words, ids[1]])

    sweep = store_sweep(config)
    capsys.readouterr()
    main(words)
    assert "no finished sweep" not in capsys.readouterr().out
    assert not set(rows(tmp_path)) & {*ids, again}
    main([*words, sweep, ids[0], ids[2]])
    assert set(rows(tmp_path)) == {ids[0], ids[2]}
    assert len(rows(tmp_path / "sweeps" / sweep)) == 4


def test_a_run_of_another_kind(words: list[str], config: TrackingConfig) -> None:
    with writer.run(config, "other", {}) as run:
        pass
    with pytest.raises(InputError, match=f"^run:{run.run_id}: other is neither a sweep nor a"):
        main([*words, run.run_id])


@pytest.mark.slow
def test_the_command_reads_the_latest_sweep_or_one_by_its_run_id(
    tmp_path: Path, words: list[str], config: TrackingConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = store_sweep(config)
    assert code_of(["report", *words]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert "NDCG@10" in shown.out
    assert "FAILED cross_encoder_bad|name: ValueError: out | of memory" in shown.out
    files = shown.out.splitlines()[-3:]
    assert files == [f"{tmp_path}/report/report.{kind}" for kind in ("html", "md", "csv")]
    assert "colbert_minilm_l6_1neg_10ep" in Path(files[0]).read_text()
    assert "colbert_minilm_l6_1neg_10ep" in Path(files[1]).read_text()
    assert reader.read_runs(config, sweep)[0].run_id in Path(files[2]).read_text()

    main([words[0], sweep])  # whatever the experiment
    assert capsys.readouterr().out == shown.out
    with pytest.raises(InputError, match="nosuchrun"):
        main([words[0], "nosuchrun"])


@pytest.mark.parametrize(
    "word", ["trackin.uri=x", "dataset=nope", "epochs=two", "negatives=-1", "grid=[a=b]"]
)
def test_a_wrong_override_is_one_line(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(["report", word]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert word.split("=")[0] in shown.err
