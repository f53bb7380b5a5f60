import gzip
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.data.text import bare
from pipeline.records import InputError
from tests.data.gooaq_file import ROWS, config, jsonl, parquet
from tests.data.labelled.labelled_file import break_page
from tests.points import load


def test_slices_ids_and_judgments(tmp_path: Path) -> None:
    dataset = load(config(parquet(tmp_path / "in.parquet", ROWS)), tmp_path / "cache")

    assert list(dataset.train_corpus) == [f"a{n:07d}" for n in range(60)]
    assert list(dataset.corpus) == [f"a{n:07d}" for n in range(60, 100)]
    assert dataset.corpus["a0000075"] == "answer number 75"
    assert list(dataset.train.queries) == [f"q{n:07d}" for n in range(60)]
    assert (len(dataset.dev), len(dataset.test)) == (5, 10)
    assert not dataset.dev.queries.keys() & dataset.test.queries.keys()
    for split in (dataset.train, dataset.dev, dataset.test):
        for query_id, text in split.queries.items():
            assert text == f"question number {int(query_id[1:])}"
            assert split.qrels[query_id] == {f"a{query_id[1:]}": 1}
    assert dataset.dropped == {}


def test_every_local_form_gives_the_same_data(tmp_path: Path) -> None:
    zipped = tmp_path / "zip" / "rows.jsonl.gz"
    zipped.parent.mkdir()
    zipped.write_bytes(gzip.compress(jsonl(tmp_path / "j" / "rows.jsonl", ROWS).read_bytes()))
    parquet(tmp_path / "folder" / "1.parquet", ROWS[:33])
    jsonl(tmp_path / "folder" / "2" / "rows.jsonl", ROWS[33:62])
    parquet(tmp_path / "folder" / "3.parquet", ROWS[62:])
    (tmp_path / "folder" / "README.md").write_text("not rows")
    forms = [
        parquet(tmp_path / "in.parquet", ROWS),
        tmp_path / "j",
        zipped,
        tmp_path / "folder",
    ]
    found = {load(config(path), tmp_path / "cache").fingerprint for path in forms}
    assert len(found) == 1
    assert len(list((tmp_path / "cache" / "dataset").glob("[!.]*"))) == len(forms)


def test_hub_rows_are_read_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hub")
    rows = parquet(tmp_path / "data" / "train.parquet", [*ROWS[:99], ("last", None)])
    local = load(config(rows), tmp_path / "cache")
    # `datasets` takes a folder for a hub id as well, and reads it by the same code
    hub = load(config(None, hub_id=str(rows.parent)), tmp_path / "cache")
    assert hub.fingerprint == local.fingerprint
    assert hub.dropped == {"blank_index_row": 1}


def test_planted_leaks_are_dropped_and_counted(tmp_path: Path) -> None:
    clean = load(config(parquet(tmp_path / "clean.parquet", ROWS)), tmp_path / "cache")
    test_row = int(next(iter(clean.test.queries))[1:])
    dev_row = int(next(iter(clean.dev.queries))[1:])
    other = next(
        n for n in range(60, 100) if f"q{n:07d}" not in clean.dev.queries | clean.test.queries
    )
    rows = list(ROWS)
    rows[3] = (f"Question  number {test_row}?", "something else")
    rows[4] = (f"QUESTION number {dev_row}", "another")
    rows[5] = ("a new question", f"Answer number {test_row}.")
    rows[6] = ("a newer question", f"answer: number {dev_row}")
    rows[7] = ("fine", f"answer number {other}")  # indexed, but no test or dev query asks for it
    rows[8] = ("blank", "  ")
    rows[9] = (None, "blank")

    path = parquet(tmp_path / "in.parquet", rows)
    dataset = load(config(path, disjoint="passage"), tmp_path / "cache")

    assert dataset.test == clean.test
    assert dataset.dropped == {
        "train_query_in_test": 1,
        "train_query_in_dev": 1,
        "train_passage_in_test": 1,
        "train_passage_in_dev": 1,
        "blank_train_row": 2,
    }
    gone = {f"a{n:07d}" for n in (3, 4, 5, 6, 8, 9)}
    assert not gone & set(dataset.train_corpus)
    assert "a0000007" in dataset.train_corpus
    held = {
        bare(dataset.corpus[f"a{q[1:]}"]) for q in [*dataset.test.queries, *dataset.dev.queries]
    }
    assert not held & {bare(text) for text in dataset.train_corpus.values()}


def test_repeated_answers_are_indexed_once(tmp_path: Path) -> None:
    rows = list(ROWS)
    rows[90] = ("question number 90", " ANSWER number 61")
    path = parquet(tmp_path / "in.parquet", rows)
    dataset = load(config(path, max_eval_queries=40, max_dev_queries=0), tmp_path / "cache")

    assert "a0000090" not in dataset.corpus
    assert dataset.test.qrels["q0000090"] == {"a0000061": 1}
    assert dataset.dropped == {"repeated_index_passage": 1}


def test_dev_query_that_shares_its_answer_with_a_test_query_goes(tmp_path: Path) -> None:
    rows = [*ROWS[:60], *((f"question {n}", "one answer") for n in range(60, 100))]
    path = parquet(tmp_path / "in.parquet", rows)
    dataset = load(config(path, disjoint="passage"), tmp_path / "cache")
    assert (len(dataset.dev), len(dataset.test)) == (0, 10)
    assert dataset.dropped["dev_passage_in_test"] == 5


def test_limits(tmp_path: Path) -> None:
    path = parquet(tmp_path / "in.parquet", ROWS)
    dataset = load(config(path, max_train_queries=8, max_corpus=20), tmp_path / "cache")
    assert (len(dataset.train), len(dataset.train_corpus), len(dataset.corpus)) == (8, 20, 20)
    for split, corpus in (
        (dataset.train, dataset.train_corpus),
        (dataset.dev, dataset.corpus),
        (dataset.test, dataset.corpus),
    ):
        assert all(doc_id in corpus for docs in split.qrels.values() for doc_id in docs)
    with pytest.raises(InputError, match=r"^dataset\.max_corpus=14: .* 15 relevant"):
        load(config(path, max_train_queries=8, max_corpus=14), tmp_path / "cache")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"index_rows": [60, 101]},
            "dataset.index_rows=[60, 101]: there are 100 rows, end at 100 or before",
        ),
        (
            {"train_rows": [200, 300]},
            "dataset.train_rows=[200, 300]: there are 100 rows, end at 100 or before",
        ),
        (
            {"max_eval_queries": None},
            "dataset.max_eval_queries=null: give a number: both share a pool",
        ),
    ],
)
def test_bad_slices(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    path = parquet(tmp_path / "in.parquet", ROWS)
    with pytest.raises(InputError) as error:
        load(config(path, **changes), tmp_path / "cache")
    assert str(error.value) == message


def test_bad_files(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with pytest.raises(InputError, match=r"^dataset\.path=.*nowhere: no file there ends with"):
        load(config(tmp_path / "nowhere"), cache)

    path = jsonl(tmp_path / "bad.jsonl", ROWS)
    path.write_text(path.read_text().replace('{"question": "question number 41"', '{"q": "x"'))
    expected = '{"question": "...", "answer": "..."}'
    with pytest.raises(InputError) as error:
        load(config(path), cache)
    assert str(error.value) == f'{path}:42: no "question", a line looks like {expected}'

    path = tmp_path / "columns.parquet"
    pq.write_table(pa.table({"question": ["a"], "answers": ["b"]}), path)
    with pytest.raises(InputError) as error:
        load(config(path), cache)
    assert str(error.value) == (
        f"{path}: no text column \"answer\" among ['question', 'answers']; "
        '"question" and "answer" are needed'
    )

    path = tmp_path / "doubled.parquet"
    pq.write_table(pa.table([["a"], ["b"], ["c"]], names=["question", "answer", "answer"]), path)
    with pytest.raises(InputError, match=r'columns 2 and 3 are named "answer"'):
        load(config(path), cache)

    path = parquet(tmp_path / "broken.parquet", ROWS)
    for wrong in (b"PAR1 not really", break_page(path.read_bytes())):
        path.write_bytes(wrong)
        with pytest.raises(InputError, match=r"broken\.parquet: not a Parquet file, or a broken"):
            load(config(path), cache)


def test_only_blank_rows_to_index(tmp_path: Path) -> None:
    path = parquet(tmp_path / "in.parquet", [*ROWS[:60], *[("q", " ")] * 40])
    with pytest.raises(InputError, match=r"^dataset\.index_rows=\[60, 100\]: no row has question"):
        load(config(path), tmp_path / "cache")


@pytest.mark.slow
def test_unreachable_hub_says_what_to_do(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from pipeline.config import GooaqConfig\n"
        "from pipeline.data import load; from pipeline.records import InputError\n"
        "from pipeline.infra.stage_cache import StageCache\n"
        "try: load(GooaqConfig(name='gooaq'), StageCache(Path(sys.argv[1])))\n"
        "except InputError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "cache")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")},
    )
    assert done.stdout.startswith("dataset.hub_id=sentence-transformers/gooaq: cannot be loaded ")
    assert "dataset.path=DIR" in done.stdout
    assert "dataset=pydocs" in done.stdout
    assert done.stdout.count("\n") == 1
