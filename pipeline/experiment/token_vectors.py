"""Store the token vectors of all passages, or find them in the stage cache.

A model encodes the passages once. Vectors that take fewer bytes are made of those.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from pipeline.config import Config
from pipeline.config.stages import RerankConfig
from pipeline.experiment.start import Start
from pipeline.infra.code_version import code_version
from pipeline.infra.console import live_line
from pipeline.infra.hardware import measured
from pipeline.infra.model_files import content_hash
from pipeline.protocols import Reranker, Scorer
from pipeline.rerankers.served import as_served, computed
from pipeline.rerankers.stored_colbert import StoredColbert, TokenEmbedder
from pipeline.rerankers.token_codec import Vectors

FULL = RerankConfig(vectors="fp16")  # what all other kinds are made of
COST = "cost.json"


def served(start: Start, reranker: Reranker, model: Path) -> tuple[Scorer, dict[str, float]]:
    """The reranker in ``model`` as it is evaluated and served, and the metrics ``vectors/...``.

    These are the seconds that encoding all passages took, those of making this table, and the
    megabytes (10^6 bytes) on disk per 1,000 passages. There are none without ``rerank.vectors``.
    """
    rerank = start.config.rerank
    if rerank.vectors == "none":
        return as_served(reranker, rerank), {}
    # Whatever computes the queries, torch encodes the passages.
    by_torch = replace(rerank, variant="torch")
    assert isinstance(reranker, TokenEmbedder)
    folder = _stored(start, by_torch, reranker, model)
    costs = _cost(folder)
    embedder = computed(reranker, rerank)
    assert isinstance(embedder, TokenEmbedder)
    return _open(folder, start.config, rerank, embedder, model), costs


def inputs(start: Start, rerank: RerankConfig, model: Path) -> dict[str, object]:
    """What determines the vectors, for the key of the stage output."""
    config = start.config
    return {
        "model": content_hash(model),
        "arch": config.arch.in_use(),
        "dedicated": config.base.dedicated or config.epochs > 0,
        "seed": config.seed,  # of a projection that the model lacks
        "rerank": asdict(rerank),
        "corpus": start.shared.dataset.corpus_fingerprint,
        "batch_size": config.eval.batch_size,
        "machine": start.machine.scoring(),
        "code": code_version("token vectors"),
    }


def _stored(start: Start, rerank: RerankConfig, reranker: TokenEmbedder, model: Path) -> Path:
    """The folder of the table whose vectors are stored as ``rerank`` says."""
    corpus, full, encoding = start.shared.dataset.corpus, None, None
    if rerank != FULL:
        of_full = _stored(start, FULL, reranker, model)
        full = _open(of_full, start.config, FULL, reranker, model).table
        encoding = _cost(of_full)["vectors/seconds"]
    determined_by = inputs(start, rerank, model)
    partial = start.cache.unfinished("token_vectors", determined_by)

    def build(folder: Path) -> None:
        stored = _open(partial, start.config, rerank, reranker, model)
        table = stored.table
        assert table is not None

        def embed(doc_ids: Sequence[str]) -> list[Vectors]:
            passages = {doc_id: corpus[doc_id] for doc_id in doc_ids}
            if full is None:
                return stored.vectors(list(passages.values()), bar)
            found = full.read(passages)
            bar.update(len(found))
            return stored.pooled([found[doc_id] for doc_id in doc_ids])

        bar = live_line("encode passages", "passage", total=len(corpus), done=len(table))
        with bar, measured(start.machine.device) as usage:
            table.add(corpus, embed)
            table.index(alone=True)
        partial.rename(folder)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        metrics = {
            "vectors/seconds": usage.seconds,
            "vectors/encoding_seconds": usage.seconds if encoding is None else encoding,
            "vectors/mb_per_1000_passages": size / 1e6 / len(corpus) * 1000,
        }
        (folder / COST).write_text(json.dumps(metrics))

    return start.cache.get("token_vectors", determined_by, build)


def _cost(folder: Path) -> dict[str, float]:
    found: dict[str, float] = json.loads((folder / COST).read_text())
    return found


def _open(
    folder: Path, config: Config, rerank: RerankConfig, reranker: TokenEmbedder, model: Path
) -> StoredColbert:
    reads = {name: str(value) for name, value in config.arch.in_use().items()}
    made_by = {"model": content_hash(model), **reads}
    return StoredColbert.open(folder, reranker, rerank, made_by)
