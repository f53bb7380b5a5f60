"""The head of the tables says how many tokens each part reads."""

from pipeline.report.reads import reads
from pipeline.tracking.reader import RunRecord


def run(arch: str, **params: str) -> RunRecord:
    named = {key.replace("__", "."): value for key, value in params.items()}
    return RunRecord("id", arch, "FINISHED", {"arch": arch}, named, {})


def test_lengths_of_every_part_are_named_once() -> None:
    runs = [
        run("none", embedder__max_length="128", arch__max_length="null"),
        run("cross_encoder", embedder__max_length="128", arch__max_length="96"),
        run("cross_encoder", embedder__max_length="128", arch__max_length="256"),
        run("colbert", arch__query_length="32", arch__document_length="112"),
    ]
    assert reads(runs) == (
        "tokens read: search 128 of a passage; cross-encoder 96 or 256 of query and passage; "
        "ColBERT 32 of a query, 112 of a passage"
    )
    assert reads(runs[:1]) == "tokens read: search 128 of a passage"
    assert reads([run("none")]) == ""


def test_shorter_texts_in_training_are_named() -> None:
    def pair(training: str, epochs: str = "1") -> RunRecord:
        lengths = {"arch__max_length": "128", "arch__training_max_length": training}
        return run("cross_encoder", epochs=epochs, **lengths)

    in_use = "tokens read: cross-encoder 128 of query and passage"
    assert reads([pair("96"), pair("48")]) == f"{in_use} (48 or 96 in training)"
    as_in_use = [pair("null"), pair("128"), pair("200"), pair("96", epochs="0")]
    assert reads(as_in_use) == in_use
