"""Score candidates: all at once, against the libraries and the loop of the published study."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

import numpy as np

from benchmarks.bench.results import Result, alternate
from benchmarks.bench.stock import Rankings
from benchmarks.bench.stock import evaluate as one_by_one
from benchmarks.bench.subjects import Subject
from pipeline.config.stages import RerankConfig
from pipeline.evaluation.quality import evaluate
from pipeline.experiment import token_vectors
from pipeline.experiment.start import Start
from pipeline.protocols import Scorer
from pipeline.records import SEARCHES, PairScores
from pipeline.rerankers.scores import score_candidates
from pipeline.retrieval.searches import Searches

NEAR = 1e-4  # of a pair's scores by both in fp32
TIED = 2e-5  # of two passages' scores: several times what both differ by, far below their spread


def pairs(arch: str, target: float) -> Iterator[Result]:
    """Score the candidates of vector search: ours in the fastest precision, theirs as it comes."""
    subject = Subject(arch)
    texts, passages, wanted = _pairs(subject)
    ours, stock = subject.reranker(), subject.stock()
    seconds = alternate(
        {
            "ours": lambda: ours.score_pairs(texts, passages, wanted),
            "stock": lambda: stock.score_pairs(texts, passages, wanted),
        }
    )
    exact = subject.reranker(replace(subject.machine, precision="fp32"))
    here, there = (scorer.score_pairs(texts, passages, wanted) for scorer in (exact, stock))
    apart = float(np.abs(here - there).max())
    yield Result(
        f"scoring, {arch}",
        target,
        seconds["ours"],
        seconds["stock"],
        f"scores in fp32 differ by {apart:.0e} at most",
        apart < NEAR,
        {"pairs": len(wanted), "precision": subject.machine.precision},
    )


def stored(target: float) -> Iterator[Result]:
    """Score candidates of a ColBERT query by query, as served: its vectors stored in fp16."""
    subject = Subject("colbert")
    config = replace(subject.config, rerank=RerankConfig(vectors="fp16"))
    start = Start(config, subject.base, subject.shared, subject.machine, subject.cache)
    scorer, _ = token_vectors.served(start, subject.reranker(), subject.base)
    texts, passages, wanted = _pairs(subject)
    of_query = [[pair for pair in wanted if pair[0] == query_id] for query_id in texts]
    stock = subject.stock()

    def serve(model: Scorer) -> Callable[[], object]:
        return lambda: [model.score_pairs(texts, passages, asked) for asked in of_query]

    seconds = alternate({"ours": serve(scorer), "stock": serve(stock)})
    same = _equal_tops(scorer, stock, texts, passages, of_query)
    yield Result(
        "serving, colbert with stored vectors",
        target,
        seconds["ours"],
        seconds["stock"],
        f"the best 10 overlap by {same:.0%}",
        same >= 0.95,
        {"queries": len(of_query), "passages": len(wanted) // len(of_query)},
    )


def evaluation(arch: str, target: float) -> Iterator[Result]:
    """Evaluate at both cutoffs: once per pair, against once per query, search and cutoff."""
    subject = Subject(arch)
    config, shared = subject.config, subject.shared
    test, corpus = shared.dataset.test, shared.dataset.corpus
    candidates = shared.test_candidates()
    ours, stock = subject.reranker(), subject.stock()
    searches = Searches(shared.table.table)

    def at_once(scorer: Scorer) -> tuple[Rankings, PairScores]:
        scores = score_candidates(scorer, test.queries, corpus, candidates)
        found = evaluate(candidates, test.qrels, config.eval, scores, None).rankings
        rankings = {
            (search, k, query): [hit.doc_id for hit in found[f"{search}_reranked", k][query]][:k]
            for search in SEARCHES
            for k in config.eval.top_k
            for query in test.queries
        }
        return rankings, scores

    def loop() -> Rankings:
        return one_by_one(stock, searches, shared.embedder, test.queries, config.eval)

    seconds = alternate({"ours": lambda: at_once(ours), "stock": loop})
    exact, scores = at_once(subject.reranker(replace(subject.machine, precision="fp32")))
    theirs = loop()
    same = fmean(same_order(scores[key[2]], exact[key], theirs[key]) for key in theirs)
    yield Result(
        f"evaluation, {arch}",
        target,
        seconds["ours"],
        seconds["stock"],
        f"{same:.0%} of {len(theirs)} rankings are the same in fp32, but for ties",
        same >= 0.95,
        {"queries": len(test.queries), "depths": [config.eval.rerank_depth(k) for k in (5, 10)]},
    )


def same_order(scores: Mapping[str, float], one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two rankings of a query are the same; passages that tie may be in either order.

    ``scores`` are in fp32. An untrained head spreads a query's logits over some thousandths only,
    so a tie must be much nearer than that.
    """
    return all(abs(scores[a] - scores[b]) < TIED for a, b in zip(one, other, strict=True))


def _pairs(subject: Subject) -> tuple[dict[str, str], dict[str, str], list[tuple[str, str]]]:
    """Test queries, the passages that vector search found for them, and the pairs."""
    shared = subject.shared
    found = shared.test_candidates()["vector"]
    wanted = [(query, hit.doc_id) for query, hits in found.items() for hit in hits]
    passages = {doc_id: shared.dataset.corpus[doc_id] for _, doc_id in wanted}
    return shared.dataset.test.queries, passages, wanted


def _equal_tops(
    one: Scorer,
    other: Scorer,
    texts: dict[str, str],
    passages: dict[str, str],
    of_query: list[list[tuple[str, str]]],
) -> float:
    """The share of the ten best passages that both have among theirs."""
    shares = []
    for asked in of_query:
        orders = [np.argsort(-s.score_pairs(texts, passages, asked))[:10] for s in (one, other)]
        shares.append(len(set(orders[0]) & set(orders[1])) / len(orders[0]))
    return float(np.mean(shares))
