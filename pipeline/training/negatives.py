"""Hard negatives: passages that an independent embedder ranks high but that are not relevant.

They are mined once per data set and miner, to the largest depth needed. A run with ``negatives=n``
takes the first n, so a run with more negatives sees a superset. Queries are searched in chunks, so
memory does not grow with the training set.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.training import MiningConfig
from pipeline.infra.console import live_line
from pipeline.protocols import Scorer
from pipeline.records import Dataset, Hit, InputError, TrainingRow
from pipeline.retrieval.embedder import Embedder, Vectors
from pipeline.retrieval.index import PassageTable
from pipeline.training.choice import Chooser
from pipeline.training.training_set import FILE, SCHEMA

log = logging.getLogger(__name__)


def mine_negatives(
    folder: Path,
    dataset: Dataset,
    table: PassageTable,
    embedder: Embedder,
    config: MiningConfig,
    seed: int,
    filter_by: Scorer | None = None,
) -> None:
    """Write one row per (training query, relevant passage) with ``config.depth`` negatives.

    Passages that were judged irrelevant to the query come first, mined passages fill up. ``table``
    holds ``dataset.train_corpus``, embedded by ``embedder``. ``filter_by`` throws out mined
    passages, see ``Chooser``. A query with fewer than ``config.depth`` negatives is dropped, for
    every run alike, and counted in the log.

    Never a negative, compared by text: what the data call relevant to the query, in any split;
    what they call relevant to a dev or test query, drawn or not; and the passage with the id or
    the text of the query.

    Raises:
        InputError: no query has enough negatives.
        RuntimeError: a score of ``filter_by`` is not finite.
    """
    chooser = Chooser(dataset, config, seed, filter_by)
    counts: Counter[int] = Counter()  # negatives found -> queries with so many
    query_ids = iter(dataset.train.queries)
    with (
        pq.ParquetWriter(folder / FILE, SCHEMA) as writer,
        live_line("mine negatives", "query", total=len(dataset.train)) as bar,
    ):
        while chunk := list(islice(query_ids, config.chunk_size)):
            negatives = chooser.choose(_windows(chunk, dataset, table, embedder, config))
            counts.update(map(len, negatives.values()))
            rows = sorted(
                TrainingRow(query_id, positive, of_query)
                for query_id, of_query in negatives.items()
                if len(of_query) >= config.depth
                for positive in dataset.train.qrels[query_id]
            )
            writer.write_table(pa.Table.from_pylist([r._asdict() for r in rows], schema=SCHEMA))
            bar.update(len(chunk))
    _report_dropped(counts, len(table), config)


def _report_dropped(counts: Counter[int], passages: int, config: MiningConfig) -> None:
    """Log how many queries have too few negatives; ``counts`` maps negatives to queries.

    Raises:
        InputError: all have too few.
    """
    queries = counts.total()
    dropped = sum(count for negatives, count in counts.items() if negatives < config.depth)
    if dropped == queries:
        raise InputError(
            f"mining.depth={config.depth}: none of the {queries} training queries has that many "
            f"negatives, the most is {max(counts, default=0)} (of {passages} passages, "
            f"{_limits(config)}); lower mining.depth and negatives, or mining.first_rank, or add "
            "passages to search"
        )
    if dropped:
        log.warning(
            "mining: %d of %d training queries dropped, fewer than mining.depth=%d negatives "
            "(%s); lower mining.depth or mining.first_rank to keep them",
            dropped,
            queries,
            config.depth,
            _limits(config),
        )


def _limits(config: MiningConfig) -> str:
    """Name the settings that left too few passages."""
    limits = {
        name: getattr(config, name)
        for name in ("first_rank", "last_rank", "margin", "relative_margin", "filter")
    }
    return ", ".join(
        f"mining.{name}={value}" for name, value in limits.items() if value is not None
    )


def _windows(
    query_ids: Sequence[str],
    dataset: Dataset,
    table: PassageTable,
    embedder: Embedder,
    config: MiningConfig,
) -> dict[str, list[str]]:
    """Search for the queries; return the passages that may be negatives of each, best first."""
    vectors = embedder.encode_queries([dataset.train.queries[q] for q in query_ids])
    found = table.search_vector(vectors, config.last_rank)
    ranked = dict(zip(query_ids, found, strict=True))
    similar = {}
    if config.margin is not None or config.relative_margin is not None:
        similar = _similarity(ranked, vectors, dataset, embedder)
    return {q: _window(hits, similar.get(q), config) for q, hits in ranked.items()}


def _similarity(
    ranked: Mapping[str, Sequence[Hit]], vectors: Vectors, dataset: Dataset, embedder: Embedder
) -> dict[str, float]:
    """Similarity of each query to its most similar relevant passage.

    ``vectors`` are those of the queries, in order. A relevant passage that the search has not
    found is embedded here, because its similarity is not known from the hits.
    """
    qrels = dataset.train.qrels
    similar: dict[str, float] = {}
    for query_id, hits in ranked.items():
        found = [hit.score for hit in hits if hit.doc_id in qrels[query_id]]
        if found:
            similar[query_id] = max(found)
    missing = [query_id for query_id in ranked if query_id not in similar]
    ids = list(dict.fromkeys(doc_id for query_id in missing for doc_id in qrels[query_id]))
    if ids:
        encoded = embedder.encode_passages([dataset.train_corpus[doc_id] for doc_id in ids])
        of_passage = dict(zip(ids, encoded, strict=True))
        of_query = dict(zip(ranked, vectors, strict=True))
        for query_id in missing:
            relevant = [of_passage[doc_id] for doc_id in qrels[query_id]]
            similar[query_id] = max(float(of_query[query_id] @ vector) for vector in relevant)
    return similar


def _window(hits: Sequence[Hit], positive: float | None, config: MiningConfig) -> list[str]:
    """Cut the ranked passages to the ranks and the similarity that negatives may have.

    ``positive`` is the similarity of the most similar relevant passage, None without a margin. A
    relative margin is TopK-PercPos of NV-Retriever (arXiv 2407.15831): 0.05 keeps what is at most
    95% as similar as the relevant passage.
    """
    window = hits[config.first_rank : config.last_rank]
    if positive is None:
        return [hit.doc_id for hit in window]
    margins = [] if config.margin is None else [config.margin]
    if config.relative_margin is not None:
        margins.append(config.relative_margin * abs(positive))
    return [hit.doc_id for hit in window if hit.score <= positive - max(margins)]
