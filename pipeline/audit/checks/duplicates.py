"""Find texts that occur twice: under two ids, nearly equal, or in two splits."""

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

from pipeline.audit.counts import Counts, TextCounts, place
from pipeline.audit.findings import Finding, Sightings

COPIES = "a copy of a relevant passage counts as a miss and may be mined as a negative"


class Where(NamedTuple):
    """A text in a split and its first line there."""

    number: int
    split: str
    line: int


def findings(counts: Counts) -> Iterator[Finding]:
    """Find repeated queries and passages, then those that splits share."""
    kinds = {"queries": counts.queries, "passages": counts.passages}
    leaders = {name: kind.texts.leaders(counts.near_duplicate) for name, kind in kinds.items()}
    for name, texts in kinds.items():
        yield from _repeated(name, texts)
        yield from _merged(name, texts)
        yield from _similar(name, texts, leaders[name])
    for name, texts in kinds.items():
        yield from _leaked(name, texts, leaders[name])


def _repeated(name: str, texts: TextCounts) -> Iterator[Finding]:
    unjoined = (
        "their labels are not put together: what is relevant to one counts as irrelevant to "
        "the other"
    )
    if texts.renamed.count:
        yield texts.renamed.finding(
            f"duplicate_{name}",
            severity="warning",
            message=f"{name} with the text of another one, but another id",
            cost=COPIES if name == "passages" else unjoined,
            advice="give equal texts the same id, or leave the ids out",
        )


def _merged(name: str, texts: TextCounts) -> Iterator[Finding]:
    if texts.merged.count:
        yield texts.merged.finding(
            f"merged_{name}",
            severity="info",
            message=f"{name} that differ from an earlier one only in case, compatibility forms "
            "(such as full-width letters) or white space",
            cost="training takes them for the same text and keeps the first spelling",
            advice="nothing, if they mean the same",
        )


def _similar(name: str, texts: TextCounts, leaders: list[int]) -> Iterator[Finding]:
    seen = Sightings()
    for number, leader in enumerate(leaders):
        if number != leader:
            where = f"{place(texts.lines[leader])} and {place(texts.lines[number])}"
            seen.add(f"{where}: {texts.names[leader]} and {texts.names[number]}")
    if seen.count and name == "passages":
        yield seen.finding(
            "near_duplicate_passages",
            severity="warning",
            message="passages that nearly repeat another one",
            cost=COPIES,
            advice="keep one of each group, or label all of them",
        )
    elif seen.count:
        yield seen.finding(
            "near_duplicate_queries",
            severity="info",
            message="queries that nearly repeat another one",
            cost="each adds little to the first; a split by training keeps them together",
            advice="nothing, unless there are many",
        )


def _leaked(name: str, texts: TextCounts, leaders: list[int]) -> Iterator[Finding]:
    """Find queries or relevant passages in two splits, equal or nearly."""
    by_number: dict[int, list[Where]] = {}
    by_leader: dict[int, list[Where]] = {}
    for (number, split), line in texts.splits.items():
        by_number.setdefault(number, []).append(Where(number, split, line))
        by_leader.setdefault(leaders[number], []).append(Where(number, split, line))
    same, near = Sightings(), Sightings()
    for places in by_number.values():
        if len(places) > 1:
            same.add(_both(texts, places[0], places[1]))
    for places in by_leader.values():
        # Most groups are in one split; their pairs need not be tried.
        if len({where.split for where in places}) == 1:
            continue
        for one, other in combinations(places, 2):
            if one.number != other.number and one.split != other.split:
                near.add(_both(texts, one, other))
                break
    relevant = "relevant passages" if name == "passages" else "queries"
    then = "they are dropped from dev and train"
    if name == "passages":
        then = "they stay unless dataset.disjoint=passage, and the report shows other queries apart"
    if same.count:
        yield same.finding(
            f"leaked_{name}",
            severity="warning",
            message=f"{relevant} that occur in two splits",
            cost=f"the test would contain training data; {then}",
            advice="keep each in one split, or leave the column split out and let training split",
        )
    if near.count:
        yield near.finding(
            f"near_leaked_{name}",
            severity="warning",
            message=f"groups of {relevant} that nearly repeat each other across splits",
            cost="the test looks better than new queries will: given splits are kept, only equal "
            "texts are dropped",
            advice="move each group into one split, or leave the column split out and let "
            "training split",
        )


def _both(texts: TextCounts, one: Where, other: Where) -> str:
    places = [f"line {where.line} ({where.split or 'no split'})" for where in (one, other)]
    names = dict.fromkeys((texts.names[one.number], texts.names[other.number]))
    return f"{' and '.join(places)}: {' and '.join(names)}"
