"""Split a file of (query, text, label) into train, dev and test so that nothing leaks.

A label of 0 means "judged irrelevant"; greater labels are gains. All passages of the file, and
of the corpus file if there is one, are searched.

A ``split`` column is respected: queries in test are dropped from dev and train, queries in dev
from train; with ``disjoint=passage`` relevant passages too. Without such a column, 20% of the
queries become test queries (or one of k folds) and 10% of the others dev queries. Queries that
nearly repeat each other, have a group in common or share the text of a relevant passage stay
together, and every split gets the same mix of labels.
"""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from pipeline.config.bounds import require
from pipeline.config.datasets import LabelledConfig
from pipeline.data import near_duplicates
from pipeline.data.corpus import Corpus
from pipeline.data.drawing import divide, groups_of, split_off_dev, subset
from pipeline.data.labelled.judged import ALL, Judged, read_judged
from pipeline.data.readers.lines import file_facts
from pipeline.data.readers.tables import name_end
from pipeline.data.splits import Splits, limit_corpus, within_limits, without_leaks
from pipeline.data.stratify import Group
from pipeline.data.text import leak_key
from pipeline.records import InputError, QuerySet

NOTHING = QuerySet({}, {})


def inputs(config: LabelledConfig) -> dict[str, object]:
    """Return what determines the content: settings and files, not where the files are.

    Raises:
        InputError: a file is missing.
    """
    settings = asdict(config)
    for key in ("path", "corpus"):
        if settings[key] is not None:
            path = Path(settings[key])
            beir = "is a folder; a folder in BEIR layout is read by dataset=beir"
            require(not path.is_dir(), f"dataset.{key}", path, beir)
            require(path.is_file(), f"dataset.{key}", path, "no such file")
            # The rest of the name means nothing.
            (facts,) = file_facts(path.parent, [path]).values()
            settings[key] = {name_end(path): facts}
    return settings


def build(config: LabelledConfig, folder: Path) -> Splits:
    """Write ``folder/corpus`` and return the splits.

    Raises:
        InputError: a line is broken, an id stands for two texts, no query has a relevant
            passage, the queries cannot be split, or a limit is too small; the message names
            file and line, or the key.
    """
    dropped: Counter[str] = Counter()
    judged = read_judged(config, folder / "full", dropped)
    given = {split: judged.query_set(split, dropped) for split in judged.labels}
    if not any(map(len, given.values())):
        raise InputError(f"{config.path}: no query has a passage with a label above 0")

    corpus = Corpus(folder / "full")
    if ALL in given:
        disjoint = "passage"
        train, dev, test = _drawn(given[ALL], judged, config, corpus)
        given_train = len(train)
    else:
        disjoint = config.disjoint
        train, dev, test = _given(given, judged, config, corpus, dropped)
        given_train = len(given.get("train", NOTHING)) - (0 if "dev" in given else len(dev))
    # Drawn splits share no query and no relevant passage, but a passage that is relevant in
    # one can be judged irrelevant in another.
    dev = without_leaks(dev, "dev", corpus, {"test": test}, dropped, disjoint)
    train = without_leaks(train, "train", corpus, {"test": test, "dev": dev}, dropped, disjoint)
    whole = {"train": train, "dev": dev, "test": test}
    splits = within_limits(whole, given, config, corpus, dropped, given_train)
    limit_corpus(folder / "full", folder / "corpus", config.max_corpus, config.seed, splits[:3])
    return splits


def _given(
    given: dict[str, QuerySet],
    judged: Judged,
    config: LabelledConfig,
    corpus: Corpus,
    dropped: Counter[str],
) -> tuple[QuerySet, QuerySet, QuerySet]:
    """Return train, dev and test as in the file; without dev it is drawn from train."""
    column = config.columns.split or "split"
    ignore = f"leave the column {column} out with dataset.columns.split=none"
    if config.folds is not None:
        raise InputError(f"dataset.folds={config.folds}: the file has splits; or {ignore}")
    test, train = given.get("test", NOTHING), given.get("train", NOTHING)
    if not test:
        raise InputError(
            f"{config.path}: no test query with a relevant passage, but a column "
            f"{column}; mark some rows as test, or {ignore}"
        )
    if "dev" in given:
        return train, given["dev"], test
    train = without_leaks(train, "train", corpus, {"test": test}, dropped, config.disjoint)
    return *_split_off_dev(_groups(train, judged, corpus, config), train, config), test


def _drawn(
    whole: QuerySet, judged: Judged, config: LabelledConfig, corpus: Corpus
) -> tuple[QuerySet, QuerySet, QuerySet]:
    """Draw train, dev and test with no query and no relevant passage in common."""
    groups = _groups(whole, judged, corpus, config)
    shares = [config.test_share, 1 - config.test_share]
    if config.folds is not None:
        shares = [1 / config.folds] * config.folds
    parts = divide(groups, whole, shares, config.seed)
    test = parts.pop(config.fold)
    rest = [group for part in parts for group in part]
    if not test or not rest:
        key = "test_share" if config.folds is None else "folds"
        raise InputError(
            f"dataset.{key}={getattr(config, key)}: the {len(whole)} queries with a relevant "
            f"passage form only {len(groups)} groups that can be split (near duplicates, same "
            f"group or same relevant passage); more queries are needed"
        )
    return *_split_off_dev(rest, whole, config), subset(test, whole)


def _split_off_dev(
    groups: Sequence[Group], whole: QuerySet, config: LabelledConfig
) -> tuple[QuerySet, QuerySet]:
    """Divide the queries of these groups into train and dev of at most max_dev_queries."""
    share, count = config.dev_share, sum(map(len, groups))
    if config.max_dev_queries is not None and count:
        share = min(share, config.max_dev_queries / count)
    return split_off_dev(groups, whole, share, config.seed)


def _groups(
    queries: QuerySet, judged: Judged, corpus: Corpus, config: LabelledConfig
) -> list[Group]:
    """Group the queries that must be in the same split."""
    texts = queries.queries.items()
    same: Mapping[str, Hashable]
    if config.near_duplicate is None:
        same = {query_id: leak_key(text) for query_id, text in texts}
    else:
        same = near_duplicates.groups(texts, config.near_duplicate, config.seed)
    return groups_of(queries, corpus, same, judged.groups)
