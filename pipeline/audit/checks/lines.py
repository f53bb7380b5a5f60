"""Find lines that cannot be read, ids and splits that training refuses, and columns not read."""

import re
from collections.abc import Iterator

from pipeline.audit.counts import Counts
from pipeline.audit.findings import Finding, Sightings
from pipeline.data.readers.labels import EXPECTED

STOPS = "training refuses the file"
DROPPED = "the rows are dropped"
WHOLE = "use 0 for irrelevant and 1, 2, ... for relevant"
FILL_IN = "fill it in or delete the lines"
# Names that look as if they were meant to be read.
MEANT = re.compile(r"query|question|text|passage|label|score|split|group|pos|neg", re.IGNORECASE)

REFUSED = {
    "broken_json": (
        "lines that are not a JSON object",
        'repair or delete them; a line looks like {"query": "...", "text": "...", "label": 1}',
    ),
    "broken_csv": (
        "rows that do not fit the header, or with a quote left open",
        "quote texts that hold a separator, and double the quotes in them",
    ),
    "not_utf8": (
        "lines with bytes that are not UTF-8",
        "save the file as UTF-8, e.g. iconv -f WINDOWS-1252 -t UTF-8",
    ),
    "missing_column": (
        "lines without a needed column",
        "rename the column in these lines; if it has another name everywhere, pass "
        "--column text=NAME (training: dataset.columns.text=NAME)",
    ),
    "not_text": (
        "lines where the query or text is not a string",
        "write it in quotes, or delete the lines",
    ),
    "bad_label": (f"labels that are not {EXPECTED}", WHOLE),
    "negative_label": ("negative labels", WHOLE),
}
"""Kind of fault -> message and advice."""

SUSPECT = {
    "row_in_quotes": (
        "rows with a quoted field that begins and ends within what look like rows",
        "a quote that was left open swallows rows",
        "look at these lines, and double the quotes within texts",
    ),
}
"""Kind of fault -> message, cost and advice."""

EMPTY = {
    "empty_query": ("lines with an empty query", FILL_IN),
    "empty_text": ("lines with an empty text", FILL_IN),
}


def findings(counts: Counts) -> Iterator[Finding]:
    """Find broken lines, ids of two texts, missing or unknown splits, and unread columns."""
    ids = {
        f"ambiguous_{name}_id": (
            texts.ambiguous,
            f"rows whose {name}_id stands for another text on an earlier line",
            f"{STOPS}: one of the two labels would be wrong",
            "give every text its own id, or leave the ids out",
        )
        for name, texts in (("query", counts.queries), ("doc", counts.passages))
    }
    splits = (
        counts.unknown_splits,
        "rows of a split that is none of train, dev (validation, val) and test",
        STOPS,
        "rename the split, or ignore the column with dataset.columns.split=none",
    )
    none = Sightings()
    refused = {
        kind: (counts.faults.get(kind, none), message, STOPS, advice)
        for kind, (message, advice) in REFUSED.items()
    }
    empty = {
        kind: (counts.faults.get(kind, none), message, DROPPED, advice)
        for kind, (message, advice) in EMPTY.items()
    }
    suspect = {kind: (counts.faults.get(kind, none), *words) for kind, words in SUSPECT.items()}
    table = {"unusable": refused | ids | {"unknown_split": splits}, "warning": empty | suspect}
    for severity, kinds in table.items():
        for kind, (seen, message, cost, advice) in kinds.items():
            if seen.count:
                yield seen.finding(
                    kind, severity=severity, message=message, cost=cost, advice=advice
                )
    yield from _rows_without_split(counts)
    yield from _unread(counts)


def _rows_without_split(counts: Counts) -> Iterator[Finding]:
    if "" in counts.span and counts.split_names:
        yield Finding(
            kind="rows_without_split",
            severity="unusable",
            count=sum(n for (split, _), n in counts.labels.items() if not split),
            message="rows without a split, while others have one",
            cost=STOPS,
            advice="fill in the split of all rows or of none",
            examples=[f"line {line}" for line in dict.fromkeys(counts.span[""])],
        )


def _unread(counts: Counts) -> Iterator[Finding]:
    seen = Sightings()
    for name in sorted(counts.unread):
        seen.add(f'"{name}"')
    if seen.count:
        yield seen.finding(
            "unread_columns",
            severity="warning" if any(map(MEANT.search, counts.unread)) else "info",
            message="columns that nothing reads: " + ", ".join(seen.examples),
            cost="their contents have no effect",
            advice="nothing if that is meant; else name the column, e.g. --column split=NAME "
            "(training: dataset.columns.split=NAME)",
        )
