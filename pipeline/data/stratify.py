"""Queries in groups that stay together, shared out so that every part has the same labels."""

import hashlib
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence

Group = list[str]
"""Ids of queries that belong into one split."""

QUERY = -1  # counted beside the labels, which are 0 and more


def linked(keys: Mapping[str, Iterable[Hashable]]) -> list[Group]:
    """The ids in groups: two that share a key, directly or through others, are in one.

    Groups are in the order of their first ids, and the ids of a group in theirs.
    """
    parents: dict[Hashable, Hashable] = {}

    def root(node: Hashable) -> Hashable:
        while (parent := parents.setdefault(node, node)) != node:
            parents[node] = node = parents[parent]  # halves the path for the next caller
        return node

    for text_id, shared in keys.items():
        for key in shared:
            parents[root(("key", key))] = root(("id", text_id))
    groups: dict[Hashable, Group] = {}
    for text_id in keys:
        groups.setdefault(root(("id", text_id)), []).append(text_id)
    return list(groups.values())


def share_out(
    groups: Sequence[Group],
    labels: Mapping[str, Mapping[int, int]],
    shares: Sequence[float],
    seed: int,
) -> list[list[Group]]:
    """The groups in as many parts as there are ``shares`` (each > 0, 1 in sum).

    ``labels`` maps a query id to how many of its pairs have which label. Groups are placed
    one by one, each where it lowers most the distance from the shares asked for: Pearson's
    chi-squared, the sum over labels and parts of (part's share of the label - share)^2 / share,
    with the number of queries counted like a label. A group that holds much of a label comes
    early, so that later ones can make up for it; the seed orders those that hold as much.
    A label or a part can still be missing in small data, or where one group holds most.
    """
    histograms = {group[0]: _histogram(group, labels) for group in groups}
    totals: Counter[int] = Counter()
    for histogram in histograms.values():
        totals.update(histogram)

    def turn(group: Group) -> tuple[float, bytes]:
        held = max(count / totals[label] for label, count in histograms[group[0]].items())
        return -held, hashlib.sha256(f"{seed}:{group[0]}".encode()).digest()

    parts: list[list[Group]] = [[] for _ in shares]
    got: list[Counter[int]] = [Counter() for _ in shares]

    def cost(part: int, histogram: Mapping[int, int]) -> float:
        """How much the distance grows if the group comes to this part."""
        growth = 0.0
        for label, count in histogram.items():
            added, missing = count / totals[label], shares[part] - got[part][label] / totals[label]
            growth += added * (added - 2 * missing) / shares[part]
        return growth

    for group in sorted(groups, key=turn):
        histogram = histograms[group[0]]
        best = min(range(len(shares)), key=lambda part: cost(part, histogram))
        parts[best].append(group)
        got[best].update(histogram)
    return parts


def _histogram(group: Group, labels: Mapping[str, Mapping[int, int]]) -> dict[int, int]:
    counts = Counter({QUERY: len(group)})
    for text_id in group:
        counts.update(labels[text_id])
    return dict(sorted(counts.items()))
