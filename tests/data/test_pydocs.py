import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path

import pytest

from pipeline.config.datasets import PydocsConfig
from pipeline.data import docstrings
from pipeline.data.text import bare
from pipeline.records import Dataset, InputError
from tests.points import load

PACKAGES = ["omegaconf", "hydra-core", "networkx"]


def config(**changes: object) -> PydocsConfig:
    values: dict[str, object] = {
        "name": "pydocs",
        "packages": PACKAGES,
        "max_corpus": 600,
        "max_train_queries": 100,
        "max_dev_queries": 20,
        "max_eval_queries": 50,
    }
    return PydocsConfig(**{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def dataset(cache: Path) -> Dataset:
    return load(config(), cache)


def test_sizes_and_shape(dataset: Dataset) -> None:
    assert (len(dataset.corpus), len(dataset.train)) == (600, 100)
    assert (len(dataset.dev), len(dataset.test)) == (20, 50)
    assert dataset.train_corpus is dataset.corpus
    for split in (dataset.train, dataset.dev, dataset.test):
        assert split.queries.keys() == split.qrels.keys()
        for query_id, docs in split.qrels.items():
            assert docs == {query_id.removeprefix("q:"): 1}
            assert docs.keys() <= set(dataset.corpus)


def test_no_text_occurs_twice(dataset: Dataset) -> None:
    queries = [
        bare(text)
        for split in (dataset.train, dataset.dev, dataset.test)
        for text in split.queries.values()
    ]
    assert len(set(queries)) == len(queries)
    assert len({bare(text) for text in dataset.corpus.values()}) == len(dataset.corpus)


def test_lengths(dataset: Dataset) -> None:
    assert all(4 <= len(text.split()) <= 40 for text in dataset.train.queries.values())
    assert all(len(text.split()) >= 15 for text in dataset.corpus.values())
    assert not any("\n" in text or "  " in text for text in dataset.corpus.values())


@pytest.mark.slow
def test_a_known_docstring(tmp_path: Path) -> None:
    place = "networkx/algorithms/core.py:k_shell"
    pairs = {pair.place: pair for pair in docstrings.read_pairs(config(), Counter())}
    assert pairs[place].query == "Returns the k-shell of G."
    assert pairs[place].passage.startswith("The k-shell is the subgraph induced by nodes with")
    assert not any("/tests/" in name for name in pairs)


@pytest.mark.slow
def test_same_build_twice_is_byte_identical(dataset: Dataset, tmp_path: Path) -> None:
    again = [load(config(packages=PACKAGES[::-1]), tmp_path / str(n)) for n in range(2)]

    assert {ds.fingerprint for ds in again} == {dataset.fingerprint}
    first, second = (next((tmp_path / str(n) / "dataset").glob("[!.]*")) for n in range(2))
    for path in sorted(first.rglob("*")):
        other = second / path.relative_to(first)
        if path.is_file():
            assert path.read_bytes() == other.read_bytes(), path


@pytest.mark.slow
def test_seed_and_limits(dataset: Dataset, tmp_path: Path) -> None:
    fewer = load(config(max_eval_queries=20), tmp_path)
    assert list(fewer.test.queries) == list(dataset.test.queries)[:20]
    other = load(config(seed=1), tmp_path)
    assert other.fingerprint != dataset.fingerprint
    assert list(other.test.queries) != list(dataset.test.queries)


def test_second_load_only_reads(dataset: Dataset, cache: Path) -> None:
    (folder,) = (cache / "dataset").glob("[!.]*")
    stamp = (folder / "dataset.json").stat().st_mtime_ns
    assert load(config(), cache).fingerprint == dataset.fingerprint
    assert (folder / "dataset.json").stat().st_mtime_ns == stamp


@pytest.mark.slow
def test_nothing_is_imported(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from pipeline.config import PydocsConfig\n"
        "from pipeline.data import load\n"
        "from pipeline.infra.stage_cache import StageCache\n"
        "config = PydocsConfig(name='x', packages=['networkx'], max_eval_queries=9,"
        " max_dev_queries=9)\n"
        f"load(config, StageCache(Path({str(tmp_path)!r})))\n"
        "print([m for m in ('networkx', 'torch', 'datasets', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error::SyntaxWarning", "-c", program],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""


def test_parsing_is_quiet_and_leaves_other_warnings_alone() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        docstrings._parse(b'"""an \\d escape"""\nx = 1 if 1is 1 else 2\n')
        with pytest.raises(UserWarning):
            warnings.warn("mine", UserWarning, stacklevel=1)


SOURCE = '''
"""How a module is described here.

%(rest)s
"""
class Shape:
    """A shape that has an area.

    %(rest)s
    """
    @property
    def area(self):
        """The area of this shape.

        Setters and getters share a name %(rest)s
        """
    @area.setter
    def area(self, value):
        """Change the area to this.

        Setters and getters share a name again %(rest)s
        """
    if True:
        def nested(self):
            """Found below an if statement.

            Nested %(rest)s
            """
    def short(self):
        """Too short

        Short %(rest)s
        """
    def again(self):
        """THE area of this shape.

        Again %(rest)s
        """
''' % {"rest": "one two three four five six seven eight nine ten eleven twelve 13 14 15."}


def test_definitions_of_one_file() -> None:
    pairs = list(docstrings._pairs_of("pkg/m.py", docstrings._parse(SOURCE.encode()), config()))
    assert [(pair.place, pair.query) for pair in pairs] == [
        ("pkg/m.py", "How a module is described here."),
        ("pkg/m.py:Shape", "A shape that has an area."),
        ("pkg/m.py:Shape.area", "The area of this shape."),
        ("pkg/m.py:Shape.area#2", "Change the area to this."),
        ("pkg/m.py:Shape.nested", "Found below an if statement."),
        ("pkg/m.py:Shape.again", "THE area of this shape."),
    ]


def test_repeats_and_broken_files_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"pkg/a.py": SOURCE, "pkg/broken.py": "def", "pkg/tests/b.py": SOURCE}
    info = tmp_path / "pkg_under_test-1.0.dist-info"
    for name, text in {
        **files,
        f"{info.name}/METADATA": "Metadata-Version: 2.1\nName: pkg-under-test\nVersion: 1.0\n",
        f"{info.name}/RECORD": "".join(f"{name},,\n" for name in files),
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    dropped: Counter[str] = Counter()

    places = [
        pair.place for pair in docstrings.read_pairs(config(packages=["pkg-under-test"]), dropped)
    ]

    # "again" repeats the query of "area", the class the passage of the module
    assert places == [
        "pkg/a.py",
        "pkg/a.py:Shape.area",
        "pkg/a.py:Shape.area#2",
        "pkg/a.py:Shape.nested",
    ]
    assert dropped == {"repeated_query": 1, "repeated_passage": 1, "unreadable_file": 1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"packages": ["no-such-thing"]}, "dataset.packages: no-such-thing is not installed"),
        ({"packages": []}, "dataset.packages=[]: needs"),
        ({"query_words": [9, 3]}, r"dataset.query_words=[9, 3]: must be"),
        ({"max_eval_queries": None}, "dataset.max_eval_queries=null: "),
        pytest.param(  # These two read all docstrings.
            {"max_eval_queries": 100_000},
            "dataset.max_eval_queries=100000: with",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"max_corpus": 169},
            "dataset.max_corpus=169: the chosen queries have 170 relevant",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_bad_input(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        load(config(**changes), tmp_path)
    assert str(error.value).startswith(message)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
