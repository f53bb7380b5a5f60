"""Find out with which lengths the reranker in a folder was saved, and load it."""

import logging
from pathlib import Path

from pipeline.config.models import ArchConfig, BaseConfig, ColbertConfig, CrossEncoderConfig
from pipeline.config.saved_models import (
    MODEL,
    check_lengths,
    check_weights,
    detect_arch,
    label_count,
    lengths_of,
    most_tokens,
    read_json,
)
from pipeline.config.stages import RerankConfig
from pipeline.infra.hardware import Hardware
from pipeline.protocols import Scorer
from pipeline.records import InputError
from pipeline.rerankers import load_reranker
from pipeline.rerankers.served import as_served

log = logging.getLogger(__name__)

LENGTHS = ("max_length", "query_length", "document_length")


def saved_arch(folder: Path) -> ArchConfig | None:
    """Read the architecture and its lengths (in tokens) from the folder.

    None if it holds no cross-encoder with one label and no ColBERT.
    """
    arch = detect_arch(folder)
    if arch == "cross_encoder":
        # A tokenizer without a limit names 1e30 or nothing, but the position embeddings end.
        limits = [
            read_json(folder / "tokenizer_config.json").get("model_max_length"),
            most_tokens(folder),
        ]
        known = [int(limit) for limit in limits if limit]
        return CrossEncoderConfig(name=arch, max_length=min(known, default=512))
    if arch == "colbert":
        saved = read_json(folder / "config_sentence_transformers.json")
        stanford = read_json(folder / "artifact.metadata")
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
) -> Scorer:
    """Load the reranker in ``folder`` as it was saved: head, lengths and query expansion.

    ``rerank`` says how passages are scored, such as in windows.

    Raises:
        InputError: the folder holds no reranker (names ``key`` and what it holds) or none with
            safetensors, or ``rerank`` does not fit the model or this machine.
    """
    arch = saved_arch(folder)
    if arch is None:
        architectures = read_json(folder / "config.json").get("architectures")
        several = label_count(folder)
        raise InputError(
            f"{key}: {folder} holds no cross-encoder with one label and no ColBERT, but "
            f"{', '.join(architectures) if architectures else 'no transformer'}"
            + (f" with {several} labels; train a new head with base={folder}" if several else "")
            + (f"; {folder / MODEL} exists" if (folder / MODEL).is_dir() else "")
        )
    check_weights(folder, key.partition("=")[0])
    if rerank is not None:
        rerank.must_fit(arch)
        rerank.must_run(hardware.device)
    reranker = load_reranker(folder, arch, hardware, batch_size, dedicated=True)
    assert reranker is not None
    return reranker if rerank is None else as_served(reranker, rerank)


def check_base(folder: Path, base: BaseConfig, arch: ArchConfig) -> None:
    """Refuse a base of another architecture or with too few positions.

    Raises:
        InputError: the reranker in ``folder`` is a ColBERT and ``arch`` is not, or vice versa; or
            ``arch`` reads more tokens than the base can.
    """
    check_lengths(folder, lengths_of(arch))
    saved = saved_arch(folder)
    if saved and base.dedicated and arch.name not in ("none", saved.name):
        raise InputError(f"arch={arch.name}: {base.path} is a {saved.name}, use arch={saved.name}")


def announce_base(folder: Path, base: BaseConfig, arch: ArchConfig) -> None:
    """Log what a base lacks, which starts random, and lengths that it was not made for."""
    if arch.name == "none":
        return
    saved = saved_arch(folder)
    if arch.name == "cross_encoder" and (label_count(folder) or 1) > 1:
        text = "base %s: its head for %d labels is replaced by a new one, which starts random"
        log.warning(text, base.path, label_count(folder))
    elif saved is None and not base.path.startswith(("package:", "random:")):
        log.info("base %s: no %s yet, what it lacks starts random", base.path, arch.name)
    if saved is None or not base.dedicated:
        return
    for key in LENGTHS:
        own, asked = getattr(saved, key, None), getattr(arch, key, None)
        if own != asked:
            log.warning("arch.%s=%s: %s was made for %s tokens", key, asked, base.path, own)
