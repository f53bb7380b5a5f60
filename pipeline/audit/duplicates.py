"""Findings about texts that occur twice: under two ids, nearly, or in two splits."""

from collections.abc import Iterator
from itertools import combinations

from pipeline.audit.census import Census, Kind, place
from pipeline.audit.findings import Finding, Sightings

PLURAL = {"query": "queries", "passage": "passages"}
COPIES = "a copy of a relevant passage counts as a miss and may be mined as a negative"


def duplicates(census: Census) -> Iterator[Finding]:
    """Repeated texts of both kinds, then what splits share."""
    kinds = {"query": census.queries, "passage": census.passages}
    leaders = {name: kind.texts.leaders(census.near_duplicate) for name, kind in kinds.items()}
    for name, kind in kinds.items():
        yield from _repeated(name, kind)
        yield from _similar(name, kind, leaders[name])
    for name, kind in kinds.items():
        yield from _shared(name, kind, leaders[name])


def _repeated(name: str, kind: Kind) -> Iterator[Finding]:
    if kind.renamed.count:
        yield Finding(
            *(f"duplicate_{PLURAL[name]}", "warning", kind.renamed.count),
            message=f"{PLURAL[name]} with the text of another one, but another id",
            cost=COPIES
            if name == "passage"
            else "their labels are not put together: what is relevant to one is taken for "
            "irrelevant to the other",
            advice="give equal texts the same id, or leave the ids out",
            examples=kind.renamed.examples,
        )


def _similar(name: str, kind: Kind, leaders: list[int]) -> Iterator[Finding]:
    found = Sightings()
    for number, leader in enumerate(leaders):
        if number != leader:
            where = f"{place(kind.lines[leader])} and {place(kind.lines[number])}"
            found.add(f"{where}: {kind.names[leader]} and {kind.names[number]}")
    if found.count:
        yield Finding(
            *(f"near_duplicate_{PLURAL[name]}", "info" if name == "query" else "warning"),
            count=found.count,
            message=f"{PLURAL[name]} that nearly repeat another one",
            cost=COPIES
            if name == "passage"
            else "each tells little more than one of them; a split by training keeps them together",
            advice="keep one of each group, or label all of them"
            if name == "passage"
            else "nothing, unless there are many",
            examples=found.examples,
        )


def _shared(name: str, kind: Kind, leaders: list[int]) -> Iterator[Finding]:
    """Queries or relevant passages in two splits, the same or nearly."""
    by_number: dict[int, list[Where]] = {}
    by_leader: dict[int, list[Where]] = {}
    for (number, split), line in kind.splits.items():
        by_number.setdefault(number, []).append((number, split, line))
        by_leader.setdefault(leaders[number], []).append((number, split, line))
    same, near = Sightings(), Sightings()
    for places in by_number.values():
        if len(places) > 1:
            same.add(_both(kind, places[0], places[1]))
    for places in by_leader.values():
        if len({split for _, split, _ in places}) == 1:
            continue
        apart = ((a, b) for a, b in combinations(places, 2) if a[0] != b[0] and a[1] != b[1])
        if (pair := next(apart, None)) is not None:
            near.add(_both(kind, *pair))
    relevant = "relevant passages" if name == "passage" else "queries"
    if same.count:
        yield Finding(
            *(f"leaked_{PLURAL[name]}", "warning", same.count),
            message=f"{relevant} that occur in two splits",
            cost="the test would be of what was trained on; they are dropped from dev and train",
            advice="keep each in one split, or leave the column split out and let training split",
            examples=same.examples,
        )
    if near.count:
        yield Finding(
            *(f"near_leaked_{PLURAL[name]}", "warning", near.count),
            message=f"groups of {relevant} that nearly repeat each other across splits",
            cost="the test looks better than new queries will: given splits are kept, only equal "
            "texts are dropped",
            advice="move each group into one split, or leave the column split out and let "
            "training split",
            examples=near.examples,
        )


Where = tuple[int, str, int]  # number of the text, split, first line


def _both(kind: Kind, a: Where, b: Where) -> str:
    where = f"line {a[2]} ({a[1] or 'no split'}) and line {b[2]} ({b[1] or 'no split'})"
    names = [kind.names[a[0]], kind.names[b[0]]]
    return f"{where}: {' and '.join(dict.fromkeys(names))}"
