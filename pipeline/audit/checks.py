"""From counts to findings: what each is, what it costs and what to do about it."""

from collections import Counter
from collections.abc import Iterator

from pipeline.audit.census import Census
from pipeline.audit.duplicates import duplicates
from pipeline.audit.faults import faults
from pipeline.audit.findings import SEVERITIES, Finding, Sightings
from pipeline.audit.lengths import Lengths

FEW_PAIRS = 500
MUCH_CUT = 0.5  # share of the pairs longer than max_length that is worth a warning
MUCH_BEHIND = 0.05  # share of the positives that match behind the cut
OVERLONG = 10  # times max_length


def findings(census: Census, lengths: Lengths) -> list[Finding]:
    """All findings, worst first."""
    found = [
        *faults(census),
        *_amount(census),
        *_labels(census),
        *_judgments(census),
        *duplicates(census),
        *_lengths(census, lengths),
    ]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def _amount(census: Census) -> Iterator[Finding]:
    pairs = len(census.pairs)
    if pairs == 0:
        yield Finding(
            *("no_pairs", "unusable", 0, "no usable pair of query and passage"),
            cost="there is nothing to train on",
            advice="repair the lines named above",
            examples=[],
        )
    elif pairs < FEW_PAIRS:
        yield Finding(
            *("few_pairs", "warning", pairs, f"only {pairs} usable pairs, fewer than {FEW_PAIRS}"),
            cost="a fine-tuned reranker is likely no better than its base, and a test split of "
            "so few queries cannot tell",
            advice="label more pairs, or use a reranker as it is",
            examples=[],
        )


def _labels(census: Census) -> Iterator[Finding]:
    if census.rows == 0:
        return
    without = Sightings()
    constant = Sightings()
    for split, (first, last) in census.span.items():
        labels = {label: n for (name, label), n in census.labels.items() if name == split}
        where = f"split {split}" if split else "the file"
        rows = f"{where}: all {sum(labels.values())} labels are {next(iter(labels))}"
        if max(labels) == 0 and split != "dev":
            without.add(f"{where}, lines {first} to {last}")
        if census.labels_given and len(labels) == 1 and first != last:
            constant.add(f"{rows}, lines {first} to {last}")
    if census.split_names and "test" not in census.span:
        without.add("split test: no row")
    if without.count:
        yield Finding(
            *("no_positive", "unusable", without.count, "no passage with a label above 0"),
            cost="there is nothing to learn or to measure: training refuses the file",
            advice="label at least one relevant passage for each query with 1 or more; in a file "
            "with splits, for train and test",
            examples=without.examples,
        )
    if constant.count:
        yield Finding(
            *(
                "constant_labels",
                "warning",
                constant.count,
                "splits or files with the same label on all rows",
            ),
            cost="it says nothing: only mined negatives tell relevant from irrelevant, and "
            "reranking just the labelled passages of a query always looks perfect",
            advice="check how the labels were exported, and add judged negatives (label 0)",
            examples=constant.examples,
        )
    if not census.labels_given and not any(label == 0 for _, label in census.labels):
        yield Finding(
            *("no_labelled_negatives", "info", census.rows, "pairs without negatives"),
            cost="none: hard negatives are mined",
            advice="nothing; judged negatives (columns negative, negative_1...) would be used",
            examples=[],
        )


def _judgments(census: Census) -> Iterator[Finding]:
    with_positive = {query for (query, _), pair in census.pairs.items() if pair.label > 0}
    with_negative = {query for (query, _), pair in census.pairs.items() if pair.label == 0}
    kinds = {"positive": with_positive, "negative": with_negative}
    for kind, those in kinds.items():
        lacking = Sightings()
        for query in range(len(census.queries)):
            if query not in those:
                lacking.add(f"line {census.queries.lines[query]}: {census.queries.names[query]}")
        if lacking.count == 0 or not those:  # none at all is told elsewhere
            continue
        if kind == "positive":
            yield Finding(
                *("queries_without_positive", "warning", lacking.count),
                message="queries without a passage labelled above 0",
                cost="they are dropped, with their negatives",
                advice="label a relevant passage for them, or delete them",
                examples=lacking.examples,
            )
        else:
            yield Finding(
                *("queries_without_negative", "info", lacking.count),
                message="queries without a passage labelled 0",
                cost="none in training, where negatives are mined; reranking just their "
                "labelled passages always looks perfect",
                advice="judge some wrong passages for them (label 0) if you measure that way",
                examples=lacking.examples,
            )
    yield from _pairs(census)
    yield from _shared(census)


def _shared(census: Census) -> Iterator[Finding]:
    times = Counter(passage for (_, passage), pair in census.pairs.items() if pair.label > 0)
    shared = Sightings()
    for passage, queries in times.items():
        if queries > 1:
            where = f"line {census.passages.lines[passage]}"
            shared.add(f"{where}: {census.passages.names[passage]}, relevant to {queries} queries")
    if shared.count:
        yield Finding(
            *("shared_passages", "info", shared.count),
            message="passages that are relevant to several queries",
            cost="none; a split by training keeps these queries together, so few passages with "
            "very many queries make it uneven",
            advice="nothing, unless they are boilerplate",
            examples=shared.examples,
        )


def _pairs(census: Census) -> Iterator[Finding]:
    if census.repeated.count:
        # Triplets repeat a pair with every other negative.
        yield Finding(
            *("repeated_pairs", "warning" if census.labels_given else "info"),
            count=census.repeated.count,
            message="rows that repeat a pair with the same label",
            cost="they are dropped; counted twice, a pair would weigh twice",
            advice="delete the later lines",
            examples=census.repeated.examples,
        )
    if census.conflicting.count:
        yield Finding(
            *("conflicting_labels", "warning", census.conflicting.count),
            message="rows that label a pair differently than an earlier row",
            cost="label noise: the larger label is kept, right or not",
            advice="decide for one of the two labels",
            examples=census.conflicting.examples,
        )


def _lengths(census: Census, lengths: Lengths) -> Iterator[Finding]:
    longest = lengths.max_length
    pairs = lengths.pair_lengths(census)
    cut = int((pairs > longest).sum())
    if cut:
        share = cut / len(pairs)
        yield Finding(
            *("cut_passages", "warning" if share >= MUCH_CUT else "info", cut),
            message=f"pairs longer than max_length={longest} tokens ({share:.0%})",
            cost="the end of the passage is not read",
            advice="raise max_length (slower), split passages, or rerank with windows",
            examples=[],
        )
    if lengths.behind_cut.count:
        share = lengths.behind_cut.count / lengths.positives
        yield Finding(
            *("positives_behind_cut", "warning" if share >= MUCH_BEHIND else "info"),
            count=lengths.behind_cut.count,
            message=f"relevant passages ({share:.0%}) that have at least half of the words they "
            f"share with their query only behind the cut at max_length={longest}",
            cost="the reranker learns from, and is measured on, what it cannot see",
            advice="raise max_length, split passages, or rerank with windows",
            examples=lengths.behind_cut.examples,
        )
    overlong = Sightings()
    limits = {"passage": OVERLONG * longest, "query": longest}
    kinds = (
        (census.passages, lengths.passages, "passage"),
        (census.queries, lengths.queries, "query"),
    )
    for kind, tokens, name in kinds:
        for number, count in enumerate(tokens):
            if count > limits[name]:
                where = f"line {kind.lines[number]}" if kind.lines[number] else "the corpus file"
                overlong.add(f"{where}: {name} of {count} tokens, {kind.names[number]}")
    if overlong.count:
        yield Finding(
            *("overlong_texts", "warning", overlong.count),
            message=f"passages of more than {limits['passage']} tokens or queries of more than "
            f"{limits['query']}",
            cost="nearly all of them is cut away, or of a query all of the passage; often they "
            "are whole documents or a broken export",
            advice="split them into passages, or delete them",
            examples=overlong.examples,
        )
