"""Splits of sources that come with a split: apart by query, or by relevant passage as well."""

import logging
from pathlib import Path

import pytest

from pipeline.config.datasets import BeirConfig, LabelledConfig
from pipeline.data import summary, warn_of_loss
from pipeline.records import Dataset, InputError
from tests.data import beir_folder, gooaq_file
from tests.data.labelled.labelled_file import Row, write
from tests.points import compose_config, load

# Train query q2 shares its passage with test query q1, q3 asks what q1 asks.
ROWS: list[Row] = [
    {"query": "When?", "text": "At night.", "label": 1, "split": "test"},
    {"query": "Who?", "text": "The bee.", "label": 1, "split": "test"},
    {"query": "How?", "text": "at night", "label": 1, "split": "train"},
    {"query": "when", "text": "Later.", "label": 1, "split": "train"},
    *({"query": f"Q{n}", "text": f"T{n}", "label": 1, "split": "train"} for n in range(8)),
]


def labelled(folder: Path, disjoint: str) -> Dataset:
    path = write(folder / "own.csv", ROWS)
    config = LabelledConfig(name="own", path=str(path), disjoint=disjoint, max_dev_queries=0)
    return load(config, folder / "cache")


def beir(folder: Path, disjoint: str) -> Dataset:
    ids = {str(row["text"]): f"d{n}" for n, row in enumerate(ROWS)}
    qrels: dict[str, list[tuple[str, str, int]]] = {"test": [], "train": []}
    for n, row in enumerate(ROWS):
        qrels[str(row["split"])].append((f"q{n}", ids[str(row["text"])], 1))
    path = beir_folder.write(
        folder / "own",
        corpus=beir_folder.jsonl([{"_id": key, "text": text} for text, key in ids.items()]),
        queries=beir_folder.jsonl(
            [{"_id": f"q{n}", "text": str(row["query"])} for n, row in enumerate(ROWS)]
        ),
        dev="",
        **{split: beir_folder.tsv(rows) for split, rows in qrels.items()},
    )
    return load(
        BeirConfig(name="own", path=str(path), disjoint=disjoint, max_dev_queries=0),
        folder / "cache",
    )


def gooaq(folder: Path, disjoint: str) -> Dataset:
    rows: gooaq_file.Rows = [(str(row["query"]), str(row["text"])) for row in ROWS]
    path = gooaq_file.parquet(folder / "own.parquet", rows)
    limits = {"max_dev_queries": 0, "max_eval_queries": 2, "disjoint": disjoint}
    slices = {"index_rows": [0, 2], "train_rows": [2, len(ROWS)]}
    return load(gooaq_file.config(path, **limits, **slices), folder / "cache")


@pytest.mark.parametrize("made", [labelled, beir, gooaq])
def test_by_default_only_queries_are_apart(
    made: object, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = made(tmp_path, "query")  # type: ignore[operator]
    assert "How?" in dataset.train.queries.values()
    assert "when" not in dataset.train.queries.values()
    assert (dataset.given_train, dataset.kept_train) == (10, 9)
    assert [dataset.test.queries[q] for q in dataset.trained_passage] == ["When?"]
    assert "1 test queries share a relevant passage with training" in summary(dataset)
    warn_of_loss(dataset)
    assert not warnings(caplog)  # a tenth is lost, not more


@pytest.mark.parametrize("made", [labelled, beir, gooaq])
def test_passages_may_be_kept_apart_too_and_a_great_loss_is_a_warning(
    made: object, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = made(tmp_path, "passage")  # type: ignore[operator]
    assert set(dataset.train.queries.values()) == {f"Q{n}" for n in range(8)}
    assert (dataset.given_train, dataset.kept_train) == (10, 8)
    assert not dataset.trained_passage
    assert "share a relevant passage" not in summary(dataset)
    warn_of_loss(dataset)
    (warning,) = warnings(caplog)
    assert "2 of 10 training queries (20%)" in warning
    assert "dataset.disjoint" in warning


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def test_a_wrong_word_is_refused() -> None:
    with pytest.raises(InputError, match=r"^dataset\.disjoint=text: none of"):
        BeirConfig(name="own", path="x", disjoint="text")


@pytest.mark.slow
def test_data_are_named_after_their_folder_or_file(tmp_path: Path) -> None:
    def named(option: str, path: str, *words: str) -> str:
        config = compose_config([f"dataset={option}", f"dataset.path={path}", *words])
        assert config.tracking.experiment == config.dataset.name
        return config.dataset.name

    assert named("beir", f"{tmp_path}/scifact/") == "scifact"
    assert named("beir", f"{tmp_path}/scifact", "dataset.name=mine") == "mine"
    assert named("beir", f"{tmp_path}/scifact/..") == tmp_path.name
    assert named("labelled", f"{tmp_path}/pairs.jsonl.gz") == "pairs"
    assert named("labelled", f"{tmp_path}/.csv") == ".csv"
    with pytest.raises(InputError, match=r"^dataset\.path: has no value"):
        compose_config(["dataset=beir"])

    one = load(beir_folder.config(beir_folder.write(tmp_path / "a"), name="one"), tmp_path / "c")
    two = load(beir_folder.config(beir_folder.write(tmp_path / "b"), name="two"), tmp_path / "c")
    assert (one.name, two.name) == ("one", "two")
    assert one.fingerprint == two.fingerprint
    assert len(list((tmp_path / "c" / "dataset").glob("[!.]*"))) == 1
