"""Faults of a BEIR folder: one line with file, line number and what would be right."""

import gzip
import shutil
from pathlib import Path

import pytest

from pipeline.records import InputError
from tests.data.beir_folder import CORPUS, QUERIES, config, jsonl, write
from tests.points import load

HEAD = "query-id\tcorpus-id\tscore\n"
LAYOUT = "ROOT must hold corpus.jsonl, queries.jsonl and qrels/test.tsv"
PASSAGE = '{"_id": "d1", "title": "optional", "text": "..."}'


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"corpus": ""}, f"corpus.jsonl: no such file (nor corpus.jsonl.gz); {LAYOUT}"),
        ({"queries": ""}, f"queries.jsonl: no such file (nor queries.jsonl.gz); {LAYOUT}"),
        ({"test": ""}, f"qrels/test.tsv: no such file (nor test.tsv.gz); {LAYOUT}"),
        ({"corpus": "\n"}, f"corpus.jsonl: no passage with a text; a line looks like {PASSAGE}"),
        (
            {"corpus": jsonl(CORPUS) + '{"_id": "d9", "te\n'},
            "corpus.jsonl:7: broken JSON (Unterminated string starting at, column 15), "
            f"like {PASSAGE}",
        ),
        ({"corpus": "[1]\n"}, f"corpus.jsonl:1: a JSON object is needed, like {PASSAGE}"),
        (
            {"corpus": jsonl(CORPUS) + '\n{"_id": "d9"}\n'},
            f'corpus.jsonl:8: no "text", a line looks like {PASSAGE}',
        ),
        (
            {"corpus": '{"_id": 7, "text": "x"}\n'},
            f'corpus.jsonl:1: "_id" must be a string, a line looks like {PASSAGE}',
        ),
        (
            {"corpus": '{"_id": "d", "text": "\\ud800"}\n'},
            'corpus.jsonl:1: "text" holds half a surrogate pair, which is no character',
        ),
        (
            {"corpus": jsonl([*CORPUS, CORPUS[1]])},
            'corpus.jsonl:7: the _id "d2" is on line 2 already; give another',
        ),
        (
            {"queries": jsonl([*QUERIES, QUERIES[0]])},
            'queries.jsonl:8: the _id "q1" is on an earlier line already; give another',
        ),
        (
            {"train": HEAD + "q1\td1\t1\nq99\td1\t1\n"},
            'qrels/train.tsv:3: query-id "q99" is not in queries.jsonl; add it there or delete '
            "this line",
        ),
        (
            {"test": HEAD + "q1\td99\t1\n"},
            'qrels/test.tsv:2: corpus-id "d99" is not in corpus.jsonl; add it there or delete '
            "this line",
        ),
        *(
            (
                {"test": f"q1\td1\t{score}\n"},
                "qrels/test.tsv:1: not the header, which is query-id<TAB>corpus-id<TAB>score",
            )
            for score in ("1", "-1", "1.0", "0.5", ".5")
        ),
        (
            {"test": HEAD + "q1 0 d1 1\n"},
            "qrels/test.tsv:2: 1 columns instead of query-id<TAB>corpus-id<TAB>score",
        ),
        *(
            (
                {"test": HEAD + f"q1\td1\t{score}\n"},
                f'qrels/test.tsv:2: the score "{score}" must be a whole number of at most '
                "1,000,000",
            )
            for score in ("yes", "0.5", "1_0", "٣", 2**31)
        ),
        (
            {"test": HEAD + "q1\td1\t1\nq1\td1\t2\n"},
            'qrels/test.tsv:3: "q1" and "d1" have the score 1 already',
        ),
        ({"test": HEAD}, "qrels/test.tsv: no query has a passage with a score above 0"),
    ],
)
def test_bad_input(changed: dict[str, str], message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "in", **changed)
    with pytest.raises(InputError) as error:
        load(config(path), tmp_path / "cache")
    assert str(error.value) == f"{path}/{message.replace('ROOT', str(path))}"
    assert not [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]


@pytest.mark.parametrize("line", ["[" * 100_000, '{"_id": %s}' % ("1" * 5000)])
def test_json_that_python_can_not_read(line: str, tmp_path: Path) -> None:
    path = write(tmp_path / "in", queries=line)
    with pytest.raises(InputError, match=r"queries\.jsonl:1: broken JSON \("):
        load(config(path), tmp_path / "cache")


def test_folder_without_qrels(tmp_path: Path) -> None:
    path = write(tmp_path / "in")
    shutil.rmtree(path / "qrels")
    with pytest.raises(InputError) as error:
        load(config(path), tmp_path / "cache")
    assert str(error.value).startswith(f"{path}/qrels/test.tsv: no such file")


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^dataset\.path=.*nowhere: is not a folder; give one"):
        load(config(tmp_path / "nowhere"), tmp_path / "cache")


def test_text_that_is_not_utf8_or_not_gzip(tmp_path: Path) -> None:
    path = write(tmp_path / "in")
    (path / "queries.jsonl").write_bytes(b'{"_id": "q1", "text": "ok"}\n{"_id": "q2\xff"}\n')
    with pytest.raises(InputError, match=r"queries\.jsonl:2: not UTF-8 \(invalid start byte\)"):
        load(config(path), tmp_path / "cache")

    (path / "queries.jsonl").rename(path / "queries.jsonl.gz")
    with pytest.raises(InputError, match=r"queries\.jsonl\.gz:1: broken gzip file"):
        load(config(path), tmp_path / "cache")

    whole = gzip.compress(jsonl(QUERIES).encode())
    (path / "queries.jsonl.gz").write_bytes(whole[:-20])
    with pytest.raises(InputError, match=r"queries\.jsonl\.gz:\d: broken gzip file"):
        load(config(path), tmp_path / "cache")
