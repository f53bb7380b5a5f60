"""Group queries that belong together, and share the groups out over splits.

scikit-learn's StratifiedGroupKFold is not used, because it only makes folds of equal size and
places groups of an even mix of labels last, however large they are: with one group of 30 among
70 single queries its test split of 20% holds 15% to 40% of them.
"""

import hashlib
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

Group = list[str]
"""Ids of queries that must be in the same split."""

QUERY = -1  # counts the queries beside the labels, which are 0 and more


def linked(keys: Mapping[str, Iterable[Hashable]]) -> list[Group]:
    """Group the ids that share a key, directly or through other ids.

    Groups are in the order of their first ids. The ids of a group keep their order.
    """
    # Imported here, because commands that split nothing need not wait for it.
    from scipy.cluster.hierarchy import DisjointSet

    nodes = DisjointSet(("id", text_id) for text_id in keys)
    for text_id, shared in keys.items():
        for key in shared:
            nodes.add(("key", key))
            nodes.merge(("id", text_id), ("key", key))
    groups: dict[Hashable, Group] = {}
    for text_id in keys:
        groups.setdefault(nodes["id", text_id], []).append(text_id)
    return list(groups.values())


@dataclass
class _Part:
    """The groups that one split has so far."""

    share: float
    groups: list[Group] = field(default_factory=list)
    counts: Counter[int] = field(default_factory=Counter)

    def growth(self, counts: Mapping[int, int], totals: Mapping[int, int]) -> float:
        """How much the distance from the share grows if a group with ``counts`` is added."""
        growth = 0.0
        for label, count in counts.items():
            added = count / totals[label]
            missing = self.share - self.counts[label] / totals[label]
            growth += added * (added - 2 * missing) / self.share
        return growth


def share_out(
    groups: Sequence[Group],
    labels: Mapping[str, Mapping[int, int]],
    shares: Sequence[float],
    seed: int,
) -> list[list[Group]]:
    """Divide the groups into parts of the given ``shares`` (each > 0, 1 in sum).

    ``labels`` maps a query id to its number of pairs per label. Each group goes where it lowers
    the distance from the shares most. The distance is Pearson's chi-squared: the sum over labels
    and parts of (part's share of the label - share)^2 / share. The number of queries counts
    like a label. Groups that hold much of a label are placed first, so that later ones can make
    up for them; the seed orders groups that hold as much.

    A part can still lack a label in small data, or where one group holds most of it.
    """
    counts = {group[0]: _counts(group, labels) for group in groups}
    totals: Counter[int] = Counter()
    for counted in counts.values():
        totals.update(counted)

    def turn(group: Group) -> tuple[float, bytes]:
        held = max(count / totals[label] for label, count in counts[group[0]].items())
        # By its lowest id: the first one is a matter of the order of the rows.
        return -held, hashlib.sha256(f"{seed}:{min(group)}".encode()).digest()

    parts = [_Part(share) for share in shares]
    for group in sorted(groups, key=turn):
        counted = counts[group[0]]
        best = min(parts, key=lambda part: part.growth(counted, totals))
        best.groups.append(group)
        best.counts.update(counted)
    return [part.groups for part in parts]


def _counts(group: Group, labels: Mapping[str, Mapping[int, int]]) -> dict[int, int]:
    """Pairs per label, and queries, in ascending order so that sums repeat exactly."""
    counts = Counter({QUERY: len(group)})
    for query_id in group:
        counts.update(labels[query_id])
    return dict(sorted(counts.items()))
