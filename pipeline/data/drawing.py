"""Draw a split from the queries of another one, in groups that must stay together."""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence

from pipeline.data.splits import query_set
from pipeline.data.stratify import Group, linked, share_out
from pipeline.data.text import leak_key
from pipeline.records import QuerySet


def groups_of(
    queries: QuerySet,
    corpus: Mapping[str, str],
    same_query: Mapping[str, Hashable],
    others: Mapping[str, Iterable[Hashable]],
) -> list[Group]:
    """Group the queries that share a relevant passage, by text, or a key.

    ``same_query`` has one key for each query id, ``others`` any number for some of them.
    """
    return linked(
        {
            query_id: [
                ("query", same_query[query_id]),
                *(("group", key) for key in others.get(query_id, ())),
                *(("passage", leak_key(corpus[doc_id])) for doc_id in gains),
            ]
            for query_id, gains in queries.qrels.items()
        }
    )


def divide(
    groups: Sequence[Group], queries: QuerySet, shares: Sequence[float], seed: int
) -> list[list[Group]]:
    """Divide groups of these queries into parts with the same mix of labels (``share_out``)."""
    labels = {
        query_id: Counter(gains.values()) + Counter({0: len(queries.irrelevant.get(query_id, ()))})
        for query_id, gains in queries.qrels.items()
    }
    return share_out(groups, labels, shares, seed)


def split_off_dev(
    groups: Sequence[Group], queries: QuerySet, share: float, seed: int
) -> tuple[QuerySet, QuerySet]:
    """Divide the queries of these groups into train and dev; ``share`` (0 to 1) is that of dev."""
    if share == 0:
        return subset(groups, queries), QuerySet({}, {})
    dev, train = divide(groups, queries, [share, 1 - share], seed)
    return subset(train, queries), subset(dev, queries)


def subset(groups: Sequence[Group], queries: QuerySet) -> QuerySet:
    """Select the queries of these groups, with their judgments."""
    chosen = (query_id for group in groups for query_id in group)
    return query_set(chosen, queries.queries, queries.qrels, queries.irrelevant)
