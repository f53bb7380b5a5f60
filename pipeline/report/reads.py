"""Say how many tokens the search and each architecture read, for the head of the tables."""

from collections.abc import Collection, Sequence

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
TRAINING = {
    "cross_encoder": ("arch.training_max_length", "arch.max_length"),
    "colbert": ("arch.training_document_length", "arch.document_length"),
}
"""Architecture -> the keys of what it reads of a text while training and in use."""


def reads(runs: Sequence[RunRecord]) -> str:
    """Return one line, such as ``tokens read: search 128 of a passage; ...``; "" if unknown.

    Lengths that differ among the runs of an architecture are joined by "or". What is read while
    training is named if it is less than in use.
    """
    parts = [_lengths("search", SEARCH, runs)]
    for arch, (name, keys) in BY_ARCH.items():
        of_arch = [run for run in runs if run.tags.get("arch") == arch]
        parts.append(_lengths(name, keys, of_arch) + _while_training(*TRAINING[arch], of_arch))
    known = [part for part in parts if part]
    return f"tokens read: {'; '.join(known)}" if known else ""


def _lengths(name: str, keys: dict[str, str], runs: Sequence[RunRecord]) -> str:
    found = []
    for key, of_what in keys.items():
        values = {value for run in runs if (value := _value(run, key)) is not None}
        if values:
            found.append(f"{_joined(values)} {of_what}")
    return f"{name} {', '.join(found)}" if found else ""


def _while_training(training: str, in_use: str, runs: Sequence[RunRecord]) -> str:
    values = set()
    for run in runs:
        trained, used = _value(run, training), _value(run, in_use)
        if run.params.get("epochs") != "0" and trained and used and trained < used:
            values.add(trained)
    return f" ({_joined(values)} in training)" if values else ""


def _value(run: RunRecord, key: str) -> int | None:
    text = run.params.get(key, "null")
    return int(text) if text.isdigit() else None


def _joined(values: Collection[int]) -> str:
    return " or ".join(map(str, sorted(values)))
