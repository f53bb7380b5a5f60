"""Find lines that cannot be read, ids and splits that training refuses, and columns not read."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from pipeline.audit.counts import Counts
from pipeline.audit.findings import Finding, Sightings
from pipeline.data.readers.labels import EXPECTED

STOPS = "training refuses the file"
DROPPED = "the rows are dropped"
WHOLE = "use 0 for irrelevant and 1, 2, ... for relevant"
FILL_IN = "fill it in or delete the lines"
AMBIGUOUS = "rows whose {} stands for another text on an earlier line"
WRONG = f"{STOPS}: one of the two labels would be wrong"
OWN_ID = "give every text its own id, or leave the ids out"
# Names that look as if they were meant to be read.
MEANT = re.compile(r"query|question|text|passage|label|score|split|group|pos|neg", re.IGNORECASE)


class Problem(NamedTuple):
    """One kind of finding, without its count and examples."""

    kind: str
    severity: str
    message: str
    cost: str
    advice: str


PROBLEMS = (
    Problem(
        "broken_json",
        "unusable",
        "lines that are not a JSON object",
        STOPS,
        'repair or delete them; a line looks like {"query": "...", "text": "...", "label": 1}',
    ),
    Problem(
        "broken_csv",
        "unusable",
        "rows that do not fit the header, or with a quote left open",
        STOPS,
        "quote texts that hold a separator, and double the quotes in them",
    ),
    Problem(
        "not_utf8",
        "unusable",
        "lines with bytes that are not UTF-8",
        STOPS,
        "save the file as UTF-8, e.g. iconv -f WINDOWS-1252 -t UTF-8",
    ),
    Problem(
        "missing_column",
        "unusable",
        "lines without a needed column",
        STOPS,
        "rename the column in these lines; if it has another name everywhere, pass "
        "--column text=NAME (training: dataset.columns.text=NAME)",
    ),
    Problem(
        "not_text",
        "unusable",
        "lines where the query or text is not a string",
        STOPS,
        "write it in quotes, or delete the lines",
    ),
    Problem("bad_label", "unusable", f"labels that are not {EXPECTED}", STOPS, WHOLE),
    Problem("negative_label", "unusable", "negative labels", STOPS, WHOLE),
    Problem("ambiguous_query_id", "unusable", AMBIGUOUS.format("query_id"), WRONG, OWN_ID),
    Problem("ambiguous_doc_id", "unusable", AMBIGUOUS.format("doc_id"), WRONG, OWN_ID),
    Problem(
        "unknown_split",
        "unusable",
        "rows of a split that is none of train, dev (validation, val) and test",
        STOPS,
        "rename the split, or ignore the column with dataset.columns.split=none",
    ),
    Problem("empty_query", "warning", "lines with an empty query", DROPPED, FILL_IN),
    Problem("empty_text", "warning", "lines with an empty text", DROPPED, FILL_IN),
    Problem(
        "row_in_quotes",
        "warning",
        "rows with a quoted field that begins and ends within what look like rows",
        "a quote that was left open swallows rows",
        "look at these lines, and double the quotes within texts",
    ),
)


def findings(counts: Counts) -> Iterator[Finding]:
    """Find broken lines, ids of two texts, missing or unknown splits, and unread columns."""
    seen = counts.faults | {
        "ambiguous_query_id": counts.queries.ambiguous,
        "ambiguous_doc_id": counts.passages.ambiguous,
        "unknown_split": counts.unknown_splits,
    }
    for problem in PROBLEMS:
        if problem.kind in seen and seen[problem.kind].count:
            yield seen[problem.kind].finding(**problem._asdict())
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
