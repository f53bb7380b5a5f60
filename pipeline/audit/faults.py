"""Findings about lines that cannot be read, and about ids and splits that training refuses."""

from collections.abc import Iterator
from typing import NamedTuple

from pipeline.audit.census import Census
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
        *("unusable", "lines that are not a JSON object", STOPS),
        advice="repair or delete them; a line looks like "
        '{"query": "...", "text": "...", "label": 1}',
    ),
    "broken_csv": Text(
        *("unusable", "rows that do not fit the header, or with a quote left open", STOPS),
        advice="quote texts that hold a separator, and double the quotes in them",
    ),
    "not_utf8": Text(
        *("unusable", "lines with bytes that are not UTF-8", STOPS),
        advice="save the file as UTF-8, e.g. iconv -f WINDOWS-1252 -t UTF-8",
    ),
    "missing_column": Text(
        *("unusable", "lines without a needed column", STOPS),
        advice="rename the column in these lines; if it has another name everywhere, say so with "
        "--column text=NAME (training: dataset.columns.text=NAME)",
    ),
    "not_text": Text(
        *("unusable", "lines where the query or text is no string", STOPS),
        advice="write it in quotes, or delete the lines",
    ),
    "bad_label": Text(
        *("unusable", "labels that are not whole numbers", STOPS),
        advice="use 0 for irrelevant and 1, 2, ... for relevant",
    ),
    "negative_label": Text(
        *("unusable", "negative labels", STOPS),
        advice="use 0 for irrelevant and 1, 2, ... for relevant",
    ),
    "empty_query": Text(
        *("warning", "lines with an empty query", DROPPED), advice="fill it in or delete the lines"
    ),
    "empty_text": Text(
        *("warning", "lines with an empty text", DROPPED), advice="fill it in or delete the lines"
    ),
}


def faults(census: Census) -> Iterator[Finding]:
    """What is wrong with single lines, ids and split names."""
    for kind, text in FAULTS.items():
        if seen := census.faults.get(kind):
            yield Finding(
                *(kind, text.severity, seen.count, text.message, text.cost, text.advice),
                examples=seen.examples,
            )
    for name, texts in (("query", census.queries), ("doc", census.passages)):
        if texts.ambiguous.count:
            yield Finding(
                *(f"ambiguous_{name}_id", "unusable", texts.ambiguous.count),
                message=f"rows whose {name}_id stands for another text on an earlier line",
                cost=f"{STOPS}: one of the two labels would be wrong",
                advice="give every text its own id, or leave the ids out",
                examples=texts.ambiguous.examples,
            )
    if census.unknown_splits.count:
        yield Finding(
            *("unknown_split", "unusable", census.unknown_splits.count),
            message="rows of a split that is none of train, dev (validation, val) and test",
            cost=STOPS,
            advice="rename the split, or ignore the column with dataset.columns.split=none",
            examples=census.unknown_splits.examples,
        )
    if "" in census.span and census.split_names:
        first, last = census.span[""]
        yield Finding(
            *("rows_without_split", "unusable"),
            count=sum(n for (split, _), n in census.labels.items() if not split),
            message="rows without a split, while others have one",
            cost=STOPS,
            advice="fill in the split of all rows or of none",
            examples=[f"line {first}", f"line {last}"][: 1 + (first != last)],
        )
