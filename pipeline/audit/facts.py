"""The figures of an audit, as values that JSON can hold."""

from collections import Counter

import numpy as np

from pipeline.audit.census import Census
from pipeline.audit.lengths import Lengths, histogram, percentiles


def facts(census: Census, lengths: Lengths) -> dict[str, object]:
    """Counts, label and length distributions; see ``Report`` for the keys."""
    splits: dict[str, Counter[str]] = {}
    labels: Counter[int] = Counter()
    for (split, label), rows in sorted(census.labels.items()):
        labels[label] += rows
        splits.setdefault(split, Counter())[str(label)] += rows
    positives = Counter(query for (query, _), pair in census.pairs.items() if pair.label > 0)
    counts = Counter(positives[query] for query in range(len(census.queries)))
    pair_lengths = lengths.pair_lengths(census)
    return {
        "rows": census.rows + sum(seen.count for seen in census.faults.values()),
        "usable_rows": census.rows,
        "pairs": len(census.pairs),
        "queries": len(census.queries),
        "passages": len(census.passages),
        "labels": {str(label): rows for label, rows in sorted(labels.items())},
        "splits": {split: dict(rows) for split, rows in splits.items() if split},
        "positives_per_query": {str(n): queries for n, queries in sorted(counts.items())},
        "tokens": {
            "max_length": lengths.max_length,
            "queries": percentiles(lengths.queries),
            "passages": percentiles(lengths.passages),
            "pairs": percentiles(pair_lengths),
            "cut_share": share(int(np.sum(pair_lengths > lengths.max_length)), len(pair_lengths)),
            "positives_behind_cut_share": share(lengths.behind_cut.count, lengths.positives),
            "histogram": histogram(pair_lengths, lengths.max_length),
        },
    }


def share(part: int, whole: int) -> float:
    """``part`` of ``whole``, to four digits; nothing of nothing is 0."""
    return round(part / whole, 4) if whole else 0.0
