"""Make a data set from the docstrings of installed packages; no download.

A query has one relevant passage, the rest of its docstring. The same locked packages give the same
data on every machine.
"""

from collections import Counter
from dataclasses import asdict
from pathlib import Path

from pipeline.config.bounds import require
from pipeline.config.datasets import PydocsConfig
from pipeline.data.corpus import Corpus, CorpusWriter
from pipeline.data.docstrings import distribution, read_pairs
from pipeline.data.judgments import NeverNegative, passage_keys
from pipeline.data.splits import Splits, limit_corpus, limited, sample, without_leaks
from pipeline.records import InputError, QuerySet


def inputs(config: PydocsConfig) -> dict[str, object]:
    """Return what determines the content: the configuration and the packages' versions.

    Raises:
        InputError: no package is named, or one is not installed.
    """
    require(bool(config.packages), "dataset.packages", "[]", "needs one or more names")
    require(
        len(config.query_words) == 2 and 1 <= config.query_words[0] <= config.query_words[1],
        "dataset.query_words",
        config.query_words,
        "must be [fewest, most]",
    )
    for key in ("max_eval_queries", "max_dev_queries"):
        require(
            getattr(config, key) is not None,
            f"dataset.{key}",
            "null",
            "one pool is divided among test, dev and train, give a number",
        )
    versions = {name: distribution(name).version for name in sorted(set(config.packages))}
    return {**asdict(config), "packages": versions}


def build(config: PydocsConfig, folder: Path) -> Splits:
    """Write ``folder/corpus`` and return the splits.

    Raises:
        InputError: nothing is left for training, or the corpus limit is too small.
    """
    dropped: Counter[str] = Counter()
    pairs = {pair.place: pair for pair in read_pairs(config, dropped)}
    with CorpusWriter(folder / "full") as writer:
        for pair in pairs.values():
            writer.add(pair.place, pair.passage)

    def query_set(chosen: list[str]) -> QuerySet:
        return QuerySet(
            {f"q:{place}": pairs[place].query for place in chosen},
            {f"q:{place}": {place: 1} for place in chosen},
        )

    test_count, dev_count = config.max_eval_queries or 0, config.max_dev_queries or 0
    places = sample(pairs, None, config.seed)
    test = query_set(places[:test_count])
    dev = query_set(places[test_count : test_count + dev_count])
    train = query_set(places[test_count + dev_count :])
    given_train = len(train)
    # No text occurs twice in the pool, but two may differ by punctuation or symbols alone.
    passages = Corpus(folder / "full")
    dev = without_leaks(dev, "dev", passages, {"test": test}, dropped)
    train = without_leaks(train, "train", passages, {"test": test, "dev": dev}, dropped)
    kept_train = len(train)
    train = limited(train, config.max_train_queries, config.seed)
    if not train and config.max_train_queries != 0:
        raise InputError(
            f"dataset.max_eval_queries={test_count}: with dataset.max_dev_queries={dev_count} no "
            f"training query is left, dataset.packages give {len(pairs)}; lower it or add packages"
        )

    never = NeverNegative(passage_keys((dev, test), passages), {})
    splits = Splits(train, dev, test, dict(dropped), never, given_train, kept_train)
    limit_corpus(
        folder / "full",
        folder / "corpus",
        config.max_corpus,
        config.seed,
        (splits.test, splits.dev, splits.train),
    )
    return splits
