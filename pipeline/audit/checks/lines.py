"""Find lines that cannot be read, and ids and splits that training refuses."""

from collections.abc import Iterator
from typing import NamedTuple

from pipeline.audit.counts import Counts
from pipeline.audit.findings import Finding

STOPS = "training refuses the file"
DROPPED = "the rows are dropped"


class Text(NamedTuple):
    """The words of a finding."""

    severity: str
    message: str
    cost: str
    advice: str


FAULTS = {
    "broken_json": Text(
        severity="unusable",
        message="lines that are not a JSON object",
        cost=STOPS,
        advice="repair or delete them; a line looks like "
        '{"query": "...", "text": "...", "label": 1}',
    ),
    "broken_csv": Text(
        severity="unusable",
        message="rows that do not fit the header, or with a quote left open",
        cost=STOPS,
        advice="quote texts that hold a separator, and double the quotes in them",
    ),
    "not_utf8": Text(
        severity="unusable",
        message="lines with bytes that are not UTF-8",
        cost=STOPS,
        advice="save the file as UTF-8, e.g. iconv -f WINDOWS-1252 -t UTF-8",
    ),
    "missing_column": Text(
        severity="unusable",
        message="lines without a needed column",
        cost=STOPS,
        advice="rename the column in these lines; if it has another name everywhere, pass "
        "--column text=NAME (training: dataset.columns.text=NAME)",
    ),
    "not_text": Text(
        severity="unusable",
        message="lines where the query or text is not a string",
        cost=STOPS,
        advice="write it in quotes, or delete the lines",
    ),
    "bad_label": Text(
        severity="unusable",
        message="labels that are not whole numbers",
        cost=STOPS,
        advice="use 0 for irrelevant and 1, 2, ... for relevant",
    ),
    "negative_label": Text(
        severity="unusable",
        message="negative labels",
        cost=STOPS,
        advice="use 0 for irrelevant and 1, 2, ... for relevant",
    ),
    "empty_query": Text(
        severity="warning",
        message="lines with an empty query",
        cost=DROPPED,
        advice="fill it in or delete the lines",
    ),
    "empty_text": Text(
        severity="warning",
        message="lines with an empty text",
        cost=DROPPED,
        advice="fill it in or delete the lines",
    ),
}


def findings(counts: Counts) -> Iterator[Finding]:
    """Find broken lines, ids of two texts, and missing or unknown splits."""
    for kind, text in FAULTS.items():
        if seen := counts.faults.get(kind):
            yield seen.finding(kind, **text._asdict())
    for name, texts in (("query", counts.queries), ("doc", counts.passages)):
        if texts.ambiguous.count:
            yield texts.ambiguous.finding(
                f"ambiguous_{name}_id",
                severity="unusable",
                message=f"rows whose {name}_id stands for another text on an earlier line",
                cost=f"{STOPS}: one of the two labels would be wrong",
                advice="give every text its own id, or leave the ids out",
            )
    yield from _splits(counts)


def _splits(counts: Counts) -> Iterator[Finding]:
    if counts.unknown_splits.count:
        yield counts.unknown_splits.finding(
            "unknown_split",
            severity="unusable",
            message="rows of a split that is none of train, dev (validation, val) and test",
            cost=STOPS,
            advice="rename the split, or ignore the column with dataset.columns.split=none",
        )
    if "" in counts.span and counts.split_names:
        first, last = counts.span[""]
        yield Finding(
            kind="rows_without_split",
            severity="unusable",
            count=sum(n for (split, _), n in counts.labels.items() if not split),
            message="rows without a split, while others have one",
            cost=STOPS,
            advice="fill in the split of all rows or of none",
            examples=[f"line {line}" for line in dict.fromkeys((first, last))],
        )
