"""Find too few pairs, labels that teach nothing, and judgments that are missing or at odds."""

from collections import Counter
from collections.abc import Iterator

from pipeline.audit.counts import Counts
from pipeline.audit.findings import Finding, Sightings

FEW_PAIRS = 500


def findings(counts: Counts) -> Iterator[Finding]:
    """Find what is wrong with the labels of the file, of its splits, queries and pairs."""
    yield from _amount(counts)
    if counts.rows:
        yield from _splits(counts)
        yield from _queries(counts)
        yield from _pairs(counts)
        yield from _shared_passages(counts)


def _amount(counts: Counts) -> Iterator[Finding]:
    pairs = len(counts.pairs)
    if pairs == 0:
        yield Finding(
            kind="no_pairs",
            severity="unusable",
            count=0,
            message="no usable pair of query and passage",
            cost="there is nothing to train on",
            advice="repair the lines named above",
            examples=[],
        )
    elif pairs < FEW_PAIRS:
        yield Finding(
            kind="few_pairs",
            severity="warning",
            count=pairs,
            message=f"only {pairs} usable pair{'s' * (pairs != 1)}, fewer than {FEW_PAIRS}",
            cost="a fine-tuned reranker is likely no better than its base, and a test split of "
            "so few queries cannot show whether it is",
            advice="label more pairs, or use a reranker as it is",
            examples=[],
        )


def _splits(counts: Counts) -> Iterator[Finding]:
    """Find splits without a positive, and splits with one label only."""
    without, constant = Sightings(), Sightings()
    for split, (first, last) in counts.span.items():
        labels = {label: n for (name, label), n in counts.labels.items() if name == split}
        where = f"split {split}" if split else "the file"
        if max(labels) == 0 and split != "dev":
            without.add(f"{where}, lines {first} to {last}")
        if counts.labels_given and len(labels) == 1 and first != last:
            ((label, rows),) = labels.items()
            constant.add(f"{where}: all {rows} labels are {label}, lines {first} to {last}")
    if counts.split_names and "test" not in counts.span:
        without.add("split test: no row")
    if without.count:
        yield without.finding(
            "no_positive",
            severity="unusable",
            message="no passage with a label above 0",
            cost="there is nothing to learn or to measure: training refuses the file",
            advice="label at least one relevant passage for each query with 1 or more; in a file "
            "with splits, for train and test",
        )
    if constant.count:
        yield constant.finding(
            "constant_labels",
            severity="warning",
            message="splits or files with the same label on all rows",
            cost="they teach nothing: only mined negatives tell relevant from irrelevant, and "
            "reranking just the labelled passages of a query always looks perfect",
            advice="check how the labels were exported, and add judged negatives (label 0)",
        )
    if not counts.labels_given and not any(label == 0 for _, label in counts.labels):
        yield Finding(
            kind="no_labelled_negatives",
            severity="info",
            count=counts.rows,
            message="pairs without negatives",
            cost="none: hard negatives are mined",
            advice="nothing; judged negatives (columns negative, negative_1...) would be used",
            examples=[],
        )


def _queries(counts: Counts) -> Iterator[Finding]:
    """Find queries that lack a kind of label which others have."""
    positive = {query for (query, _), pair in counts.pairs.items() if pair.label > 0}
    negative = {query for (query, _), pair in counts.pairs.items() if pair.label == 0}
    if positive and (lacking := _lacking(counts, positive)).count:
        yield lacking.finding(
            "queries_without_positive",
            severity="warning",
            message="queries without a passage labelled above 0",
            cost="they are dropped, with their negatives",
            advice="label a relevant passage for them, or delete them",
        )
    if negative and (lacking := _lacking(counts, negative)).count:
        yield lacking.finding(
            "queries_without_negative",
            severity="info",
            message="queries without a passage labelled 0",
            cost="none in training, where negatives are mined; reranking just their "
            "labelled passages always looks perfect",
            advice="judge some wrong passages for them (label 0) if you measure that way",
        )


def _lacking(counts: Counts, having: set[int]) -> Sightings:
    lacking = Sightings()
    for query, (line, name) in enumerate(
        zip(counts.queries.lines, counts.queries.names, strict=True)
    ):
        if query not in having:
            lacking.add(f"line {line}: {name}")
    return lacking


def _pairs(counts: Counts) -> Iterator[Finding]:
    if counts.repeated.count:
        yield counts.repeated.finding(
            "repeated_pairs",
            # Triplets repeat a pair with every other negative.
            severity="warning" if counts.labels_given else "info",
            message="rows that repeat a pair with the same label",
            cost="they are dropped; counted twice, a pair would weigh twice",
            advice="delete the later lines",
        )
    if counts.conflicting.count:
        yield counts.conflicting.finding(
            "conflicting_labels",
            severity="warning",
            message="rows that label a pair differently than an earlier row",
            cost="label noise: the larger label is kept, right or not",
            advice="decide for one of the two labels",
        )


def _shared_passages(counts: Counts) -> Iterator[Finding]:
    times = Counter(passage for (_, passage), pair in counts.pairs.items() if pair.label > 0)
    shared = Sightings()
    for passage, queries in times.items():
        if queries > 1:
            where = f"line {counts.passages.lines[passage]}"
            shared.add(f"{where}: {counts.passages.names[passage]}, relevant to {queries} queries")
    if shared.count:
        yield shared.finding(
            "shared_passages",
            severity="info",
            message="passages that are relevant to several queries",
            cost="none; a split by training keeps these queries together, so few passages with "
            "very many queries make it uneven",
            advice="nothing, unless they are boilerplate",
        )
