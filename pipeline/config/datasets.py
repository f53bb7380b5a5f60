"""Define the settings of data sets, a dataclass per source."""

from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import MISSING, DictConfig, OmegaConf

from pipeline.config.bounds import at_least, one_of, require


@dataclass
class DatasetConfig:
    """Settings of every data set; a limit of null means all."""

    name: str = MISSING
    seed: int = 0  # of all sampling while the data set is built
    max_corpus: int | None = None  # passages
    max_train_queries: int | None = None
    max_dev_queries: int | None = 200  # for checkpoint selection and fusion weights
    max_eval_queries: int | None = 2000

    def __post_init__(self) -> None:
        at_least("dataset.max_corpus", self.max_corpus, 1)
        at_least("dataset.max_train_queries", self.max_train_queries, 0)
        at_least("dataset.max_dev_queries", self.max_dev_queries, 0)
        at_least("dataset.max_eval_queries", self.max_eval_queries, 1)


@dataclass
class PydocsConfig(DatasetConfig):
    """Docstrings of installed packages: the first paragraph searches for the rest."""

    packages: list[str] = field(default_factory=list)  # distribution names
    query_words: list[int] = field(default_factory=lambda: [4, 40])  # fewest, most
    min_passage_words: int = 15


def _path_name(*, _parent_: DictConfig) -> str:
    """The name of the folder or file at ``path`` beside this key, up to the first dot."""
    if OmegaConf.is_missing(_parent_, "path"):  # reported where the configuration is checked
        return ""
    path = Path(_parent_.path)
    if path.name in ("", ".."):
        path = path.resolve()
    name = path.name if path.is_dir() else path.name.partition(".")[0]
    return name or path.name


# At import, because a launcher's worker reads a composed configuration and composes none.
OmegaConf.register_new_resolver("path_name", _path_name, replace=True)

DISJOINT = ("query", "passage")


@dataclass
class GivenSplitConfig(DatasetConfig):
    """Settings of sources that come with a split."""

    # What two splits may not share. query: the text of a query. passage: nor that of a relevant
    # passage, which can cost most of the training queries.
    disjoint: str = "query"

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("dataset.disjoint", self.disjoint, DISJOINT)


@dataclass
class GooaqConfig(GivenSplitConfig):
    """Question-answer rows in published order, cut by row number."""

    path: str | None = None  # a local file or folder of parquet or JSONL instead of the hub
    hub_id: str = "sentence-transformers/gooaq"
    train_rows: list[int] = field(default_factory=lambda: [0, 2_000_000])  # from, to (excluded)
    index_rows: list[int] = field(default_factory=lambda: [2_000_000, 2_100_000])

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("train_rows", "index_rows"):
            rows = getattr(self, key)
            valid = len(rows) == 2 and 0 <= rows[0] < rows[1]
            require(valid, f"dataset.{key}", rows, "must be [from, to] with 0 <= from < to")


@dataclass
class BeirConfig(GivenSplitConfig):
    """A folder with corpus.jsonl, queries.jsonl and qrels/{train,dev,test}.tsv, or .gz."""

    path: str = MISSING


@dataclass
class ColumnsConfig:
    """The column names of a labelled file.

    A column that is named must exist; ``none`` leaves it out. null: the usual names are tried,
    see ``pipeline.data.labelled.rows``.
    """

    query: str | None = None
    text: str | None = None
    label: str | None = None
    query_id: str | None = None
    doc_id: str | None = None
    split: str | None = None
    group: str | None = None


@dataclass
class LabelledConfig(GivenSplitConfig):
    """A file of (query, text, label), split by query unless it has a split column.

    Splits that are drawn share neither a query nor a relevant passage, whatever ``disjoint`` is.
    """

    path: str = MISSING  # JSON Lines, CSV, TSV or Parquet
    corpus: str | None = None  # passages to search beside those of path; id and text
    columns: ColumnsConfig = field(default_factory=ColumnsConfig)
    test_share: float = 0.2  # of the queries
    dev_share: float = 0.1  # of the queries that are not test; at most max_dev_queries
    folds: int | None = None  # number of equal parts, instead of test_share
    fold: int = 0  # the part that is test, from 0
    # Jaccard similarity of word triples from which queries stay in one split; null: equal ones.
    near_duplicate: float | None = 0.8

    def __post_init__(self) -> None:
        super().__post_init__()
        between = "must be above 0 and below 1"
        require(0 < self.test_share < 1, "dataset.test_share", self.test_share, between)
        require(0 <= self.dev_share < 1, "dataset.dev_share", self.dev_share, "must be in [0, 1)")
        at_least("dataset.folds", self.folds, 2)
        last = (self.folds or 1) - 1
        valid = 0 <= self.fold <= last
        require(valid, "dataset.fold", self.fold, f"must be 0 to dataset.folds - 1 = {last}")
        if self.near_duplicate is not None:
            valid = 0 < self.near_duplicate <= 1
            require(valid, "dataset.near_duplicate", self.near_duplicate, "above 0, up to 1")
