"""Say how many tokens the search and each architecture read, for the head of the tables."""

from collections.abc import Sequence

from pipeline.tracking.reader import RunRecord

SEARCH = {"embedder.max_length": "of a passage"}
BY_ARCH = {
    "cross_encoder": ("cross-encoder", {"arch.max_length": "of query and passage"}),
    "colbert": (
        "ColBERT",
        {"arch.query_length": "of a query", "arch.document_length": "of a passage"},
    ),
}
"""Architecture -> its name in a text, and its lengths by configuration key."""


def reads(runs: Sequence[RunRecord]) -> str:
    """Return one line, such as ``tokens read: search 128 of a passage; ...``; "" if unknown.

    Lengths that differ among the runs of an architecture are joined by "or".
    """
    parts = [_lengths("search", SEARCH, runs)]
    for arch, (name, keys) in BY_ARCH.items():
        parts.append(_lengths(name, keys, [run for run in runs if run.tags.get("arch") == arch]))
    known = [part for part in parts if part]
    return f"tokens read: {'; '.join(known)}" if known else ""


def _lengths(name: str, keys: dict[str, str], runs: Sequence[RunRecord]) -> str:
    found = []
    for key, of_what in keys.items():
        values = {int(run.params[key]) for run in runs if run.params.get(key, "null").isdigit()}
        if values:
            found.append(f"{' or '.join(map(str, sorted(values)))} {of_what}")
    return f"{name} {', '.join(found)}" if found else ""
