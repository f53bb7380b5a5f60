"""What full-text search takes for a term, by its settings."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.config.index import FtsConfig, IndexConfig
from pipeline.records import InputError
from pipeline.retrieval.index import PassageTable, build_table
from tests.embedders import Cosines

Find = Callable[[dict[str, str], FtsConfig, str], list[str]]


@pytest.fixture
def find(tmp_path: Path) -> Find:
    """The ids that ``find(corpus, settings, query)`` finds, best first."""

    def search(corpus: dict[str, str], fts: FtsConfig, query: str) -> list[str]:
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        build_table(folder / "table", corpus, Cosines(), IndexConfig(fts=fts), folder / "vectors")
        folder /= "table"
        return [hit.doc_id for hit in PassageTable(folder).search_fts(query, 10)]

    return search


VITAMINS = {
    "e": "vitamin e protects cells",
    "k": "vitamin k helps blood to clot",
    "d": "vitamin d comes with the sun",
}


@pytest.mark.parametrize("letter", "dt")
def test_a_single_letter_is_a_term(find: Find, letter: str) -> None:
    """LanceDB's English stop words hold a, d, i, m, o, s, t and y."""
    corpus = VITAMINS | {"t": "the T-cell of the immune system", "b": "the B-cell of the same"}
    assert find(corpus, FtsConfig(), letter) == [letter]
    assert find(VITAMINS, FtsConfig(stop_words=["d"]), "d") == []


def test_other_english_stop_words_are_none(find: Find) -> None:
    assert find(VITAMINS, FtsConfig(), "with the to") == []
    assert find(VITAMINS, FtsConfig(remove_stop_words=False), "with the to") == ["d", "k"]


def test_stemming_is_of_a_language(find: Find) -> None:
    corpus = {"one": "ein Haus am See", "two": "viele Häuser"}
    assert find(corpus, FtsConfig(language="German"), "Hauses") == ["two", "one"]
    assert find(corpus, FtsConfig(language="German", stem=False), "Hauses") == []


CHINESE = {
    "shredder": "清洁碎纸机的排水阀时，请先拔掉电源",
    "fan": "更换吊扇的滤网时，请先拔掉电源",
}


def test_chinese_needs_a_tokenizer_that_knows_its_words(find: Find) -> None:
    assert find(CHINESE, FtsConfig(), "吊扇") == []
    assert find(CHINESE, FtsConfig(tokenizer="icu"), "吊扇的滤网应该怎样更换？")[0] == "fan"


def test_ngrams_find_parts_of_words(find: Find) -> None:
    corpus = {"join": "os.path.joinpath", "split": "shlex.split"}
    assert find(corpus, FtsConfig(), "oinpa") == []
    assert find(corpus, FtsConfig(tokenizer="ngram", ngram_min=4, ngram_max=5), "oinpa") == ["join"]


@pytest.mark.parametrize(
    ("key", "value"),
    [("tokenizer", "bpe"), ("language", "Chinese"), ("ngram_min", 0), ("ngram_max", 2)],
)
def test_bad_settings(key: str, value: object) -> None:
    with pytest.raises(InputError, match=rf"^index\.fts\.{key}={value}: "):
        FtsConfig(**{key: value})  # type: ignore[arg-type]
