"""Find texts that are cut: how many, where the relevant words are lost, and which are huge."""

from collections.abc import Iterator

from pipeline.audit.counts import Counts, place
from pipeline.audit.findings import Finding, Sightings
from pipeline.audit.lengths import Lengths
from pipeline.config.models import ColbertConfig

MUCH_CUT = 0.5  # share of the pairs longer than max_length that is worth a warning
MUCH_BEHIND = 0.05  # share of the positives that match behind the cut
OVERLONG = 10  # times max_length


def findings(counts: Counts, measured: Lengths) -> Iterator[Finding]:
    """Find cut pairs, positives that match behind the cut, and overlong texts."""
    longest = measured.max_length
    apart = measured.query_length is not None
    key = "arch.document_length" if apart else "max_length"
    pairs = measured.pair_lengths(counts)
    cut = int((pairs > longest).sum())
    if cut:
        share = cut / len(pairs)
        yield Finding(
            kind="cut_passages",
            severity="warning" if share >= MUCH_CUT else "info",
            count=cut,
            message=f"pairs longer than {key}={longest} tokens ({share:.0%})",
            cost="the end of the passage is not read",
            advice=f"raise {key} (slower), split passages, or rerank with windows",
            examples=[],
        )
    if measured.behind_cut.count:
        share = measured.behind_cut.count / measured.positives
        yield measured.behind_cut.finding(
            "positives_behind_cut",
            severity="warning" if share >= MUCH_BEHIND else "info",
            message=f"relevant passages ({share:.0%}) that have at least half of the words they "
            f"share with their query only behind the cut at {key}={longest}",
            cost="the reranker learns from, and is measured on, what it cannot see",
            advice=f"raise {key}, split passages, or rerank with windows",
        )
    yield from _cut_queries(counts, measured)
    yield from _overlong(counts, measured)


def _cut_queries(counts: Counts, measured: Lengths) -> Iterator[Finding]:
    """Find queries that a ColBERT cuts: this one, or one with its usual ``query_length``."""
    length = measured.query_length or ColbertConfig.query_length
    cut = Sightings()
    for number, tokens in enumerate(measured.queries):
        if tokens > length - measured.apart:
            cut.add(f"{place(counts.queries.lines[number])}: {counts.queries.names[number]}")
    if not cut.count:
        return
    share = cut.count / len(measured.queries)
    together = measured.query_length is None
    yield cut.finding(
        "cut_queries",
        severity="warning" if share >= MUCH_BEHIND and not together else "info",
        message=f"queries longer than arch.query_length={length} tokens ({share:.0%})",
        cost="none for a cross-encoder; arch=colbert does not read their end"
        if together
        else "their end is not read",
        advice="raise arch.query_length" + (" if you train arch=colbert" if together else ""),
    )


def _overlong(counts: Counts, measured: Lengths) -> Iterator[Finding]:
    longest = measured.max_length
    overlong = Sightings()
    kinds = [("passage", counts.passages, measured.passages, OVERLONG * longest)]
    if measured.query_length is None:  # else _cut_queries has them
        kinds.append(("query", counts.queries, measured.queries, longest))
    for name, texts, tokens, limit in kinds:
        for number, count in enumerate(tokens):
            if count > limit:
                where = place(texts.lines[number])
                overlong.add(f"{where}: {name} of {count} tokens, {texts.names[number]}")
    if overlong.count:
        yield overlong.finding(
            "overlong_texts",
            severity="warning",
            message=f"passages of more than {OVERLONG * longest} tokens or queries of more than "
            f"{longest}",
            cost="nearly all of such a passage is cut away, and such a query leaves no room for a "
            "passage; often they are whole documents or a broken export",
            advice="split them into passages, or delete them",
        )
