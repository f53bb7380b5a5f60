"""Find out which reranker a folder holds, with which lengths it was saved, and load it.

To find out, only JSON files are read.
"""

import json
import logging
from pathlib import Path
from typing import Any

from pipeline.config.models import ArchConfig, ColbertConfig, CrossEncoderConfig
from pipeline.config.stages import RerankConfig
from pipeline.infra.hardware import Hardware
from pipeline.infra.precision import scored_at_a_time, settled
from pipeline.infra.stage_cache import StageCache
from pipeline.protocols import Scorer
from pipeline.records import InputError
from pipeline.rerankers import load_reranker
from pipeline.rerankers.windows import WindowedScorer

log = logging.getLogger(__name__)

LENGTHS = ("max_length", "query_length", "document_length")


def detect_arch(folder: Path) -> str | None:
    """Return ``cross_encoder``, ``colbert``, or None for anything else, such as a plain encoder.

    A cross-encoder is a transformer for sequence classification with one label. A ColBERT was
    saved by PyLate, or is a checkpoint of Stanford's (``HF_ColBERT``).
    """
    transformer = _read(folder / "config.json")
    architectures = transformer.get("architectures") or []
    sentence_transformer = _read(folder / "config_sentence_transformers.json")
    if "document_length" in sentence_transformer or "HF_ColBERT" in architectures:
        return "colbert"
    if any(name.endswith("ForSequenceClassification") for name in architectures):
        return "cross_encoder" if len(transformer.get("id2label", ())) == 1 else None
    return None


def saved_arch(folder: Path) -> ArchConfig | None:
    """Read the architecture and its lengths (in tokens) from the folder; None if it is neither."""
    arch = detect_arch(folder)
    if arch == "cross_encoder":
        # A tokenizer without a limit names 1e30 or nothing, but the position embeddings end.
        limits = [
            _read(folder / "tokenizer_config.json").get("model_max_length"),
            _read(folder / "config.json").get("max_position_embeddings"),
        ]
        known = [int(limit) for limit in limits if limit]
        return CrossEncoderConfig(name=arch, max_length=min(known, default=512))
    if arch == "colbert":
        saved = _read(folder / "config_sentence_transformers.json")
        stanford = _read(folder / "artifact.metadata")
        return ColbertConfig(
            name=arch,
            query_length=saved.get("query_length") or stanford.get("query_maxlen") or 32,
            document_length=saved.get("document_length") or stanford.get("doc_maxlen") or 180,
        )
    return None


def load_saved(
    key: str,
    folder: Path,
    hardware: Hardware,
    batch_size: int,
    rerank: RerankConfig | None = None,
    cache: StageCache | None = None,
) -> Scorer:
    """Load the reranker in ``folder`` as it was saved: head, lengths and query expansion.

    With ``rerank.windows`` long passages are read in windows. ``cache`` keeps the precision that
    is chosen for the model.

    Raises:
        InputError: the folder holds no reranker (names ``key`` and what it holds), or the windows
            are wider than what the model reads.
    """
    arch = saved_arch(folder)
    if arch is None:
        architectures = _read(folder / "config.json").get("architectures")
        raise InputError(
            f"{key}: {folder} holds no cross-encoder with one label and no ColBERT, but "
            f"{', '.join(architectures) if architectures else 'no transformer'}"
            + (f"; {folder / 'model'} exists" if (folder / "model").is_dir() else "")
        )
    if rerank is not None:
        rerank.must_fit(arch)
    hardware = settled(hardware, folder, scored_at_a_time(arch, batch_size), cache=cache)
    reranker = load_reranker(folder, arch, hardware, batch_size, dedicated=True)
    assert reranker is not None
    if rerank is None or rerank.windows is None:
        return reranker
    return WindowedScorer(reranker, reranker.model.tokenizer, rerank)


def check_base(folder: Path, name: str, arch: ArchConfig) -> None:
    """Refuse a base of another architecture; warn about a missing head or other lengths.

    Raises:
        InputError: the reranker in ``folder`` is a ColBERT and ``arch`` is not, or vice versa.
    """
    saved = saved_arch(folder)
    if arch.name == "none":
        return
    if saved is None:
        log.warning("base %s: a plain encoder, its head starts random", name)
        return
    if saved.name != arch.name:
        raise InputError(f"arch={arch.name}: {name} is a {saved.name}, use arch={saved.name}")
    for key in LENGTHS:
        own, asked = getattr(saved, key, None), getattr(arch, key, None)
        if own != asked:
            log.warning("arch.%s=%s: %s was made for %s tokens", key, asked, name, own)


def _read(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{file}: not valid JSON ({error})") from error
    return content if isinstance(content, dict) else {}
