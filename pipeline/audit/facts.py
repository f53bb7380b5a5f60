"""Compute the figures of an audit, as values that can be written as JSON."""

from collections import Counter

import numpy as np

from pipeline.audit.counts import Counts
from pipeline.audit.lengths import Lengths, histogram, percentiles


def facts(seen: Counts, lengths: Lengths | None) -> dict[str, object]:
    """Return counts and the distributions of labels and lengths; ``Report`` lists the keys."""
    splits: dict[str, Counter[str]] = {}
    labels: Counter[int] = Counter()
    for (split, label), rows in sorted(seen.labels.items()):
        labels[label] += rows
        splits.setdefault(split, Counter())[str(label)] += rows
    positives = Counter(query for (query, _), pair in seen.pairs.items() if pair.label > 0)
    counts = Counter(positives[query] for query in range(len(seen.queries)))
    return {
        "rows": seen.rows + sum(fault.count for fault in seen.faults.values()),
        "usable_rows": seen.rows,
        "pairs": len(seen.pairs),
        "queries": len(seen.queries),
        "passages": len(seen.passages),
        "labels": {str(label): rows for label, rows in sorted(labels.items())},
        "splits": {split: dict(rows) for split, rows in splits.items() if split},
        "positives_per_query": {str(n): queries for n, queries in sorted(counts.items())},
        "tokens": _tokens(seen, lengths) if lengths is not None else None,
    }


def _tokens(seen: Counts, lengths: Lengths) -> dict[str, object]:
    pair_lengths = lengths.pair_lengths(seen)
    return {
        "max_length": lengths.max_length,
        "queries": percentiles(lengths.queries),
        "passages": percentiles(lengths.passages),
        "pairs": percentiles(pair_lengths),
        "cut_share": share(int(np.sum(pair_lengths > lengths.max_length)), len(pair_lengths)),
        "positives_behind_cut_share": share(lengths.behind_cut.count, lengths.positives)
        if lengths.sees_cut
        else None,
        "histogram": histogram(pair_lengths, lengths.max_length),
    }


def share(part: int, whole: int) -> float:
    """Divide ``part`` by ``whole``, to four digits; 0 if ``whole`` is 0."""
    return round(part / whole, 4) if whole else 0.0
