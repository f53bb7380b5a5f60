"""Read from a model's JSON files what it is and how many tokens it reads; no weights are loaded."""

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.config.models import ArchConfig, ColbertConfig, CrossEncoderConfig
from pipeline.records import InputError

OFFSET_POSITIONS = (
    *("camembert", "data2vec-text", "esm", "ibert", "longformer", "luke", "markuplm", "mpnet"),
    *("roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod"),
)
"""Types of models whose first position is ``pad_token_id`` + 1, so they read fewer tokens."""

COUNT_POSITIONS_AS_N = ("codegen", "ctrl", "gpt2", "gptj", "openai-gpt")


def local_folder(name: str) -> Path | None:
    """The folder of a model that is here: a folder or ``package:MODULE``; None for any other."""
    if name.startswith("package:"):
        return package_folder(name.removeprefix("package:"))
    return Path(name) if Path(name).is_dir() else None


def package_folder(module: str) -> Path | None:
    """The folder of the model in the package ``module``; None if that is not installed."""
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):  # of a parent that is not installed; of an empty name
        return None
    return Path(found.origin).parent / "model" if found and found.origin else None


def detect_arch(folder: Path) -> str | None:
    """Return ``cross_encoder``, ``colbert``, or None for anything else, such as a plain encoder.

    A cross-encoder is a transformer for sequence classification with one label. A ColBERT was
    saved by PyLate, or is a checkpoint of Stanford's (``HF_ColBERT``).

    Raises:
        InputError: a file is not valid JSON.
    """
    transformer = read_json(folder / "config.json")
    architectures = transformer.get("architectures") or []
    sentence_transformer = read_json(folder / "config_sentence_transformers.json")
    if "document_length" in sentence_transformer or "HF_ColBERT" in architectures:
        return "colbert"
    return "cross_encoder" if labels(folder) == 1 else None


def labels(folder: Path) -> int | None:
    """How many labels the model's classification head has; None if it has no such head."""
    config = read_json(folder / "config.json")
    architectures = config.get("architectures") or []
    if not any(name.endswith("ForSequenceClassification") for name in architectures):
        return None
    # The library leaves out the names of two labels, which are its default.
    return len(config.get("id2label") or ()) or 2


def most_tokens(folder: Path) -> int | None:
    """The most tokens that the model has positions for; None if it has no limit of its own.

    Raises:
        InputError: a file is not valid JSON.
    """
    config = read_json(transformer_folder(folder) / "config.json")
    kind = config.get("model_type")
    if config.get("relative_attention") and not config.get("position_biased_input", True):
        return None
    key = "n_positions" if kind in COUNT_POSITIONS_AS_N else "max_position_embeddings"
    positions = config.get(key)
    if not positions or positions < 0:
        return None
    offset = (config.get("pad_token_id") or 0) + 1 if kind in OFFSET_POSITIONS else 0
    return int(positions) - offset


def check_lengths(folder: Path, lengths: Mapping[str, int | None]) -> None:
    """Check that the model in ``folder`` can read texts of these lengths, by configuration key.

    Raises:
        InputError: it can't; the message names the key and the most that the model reads.
    """
    most = most_tokens(folder)
    for key, length in lengths.items():
        if most is not None and length is not None and length > most:
            raise InputError(f"{key}={length}: the model reads at most {most} tokens ({folder})")


def check_weights(folder: Path, key: str) -> None:
    """Check that the model in ``folder`` has weights that are read; pickled ones are not.

    Raises:
        InputError: it has none; the message names ``key``.
    """
    if not any(folder.rglob("*.safetensors")):
        pickled = any(folder.rglob("*.bin"))
        raise InputError(
            f"{key}={folder}: no model.safetensors"
            + ("; a .bin file can run code, save the model with save_pretrained" if pickled else "")
        )


def lengths_of(arch: ArchConfig) -> dict[str, int | None]:
    """The tokens that a reranker reads at a time, by configuration key."""
    if isinstance(arch, CrossEncoderConfig):
        names = ["max_length", "training_max_length"]
    elif isinstance(arch, ColbertConfig):
        names = ["query_length", "document_length", "training_document_length"]
    else:
        names = []
    return {f"arch.{name}": getattr(arch, name) for name in names}


def read_json(file: Path) -> dict[str, Any]:
    """The object in a JSON file; empty if there is no such file.

    Raises:
        InputError: the file is not valid JSON.
    """
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{file}: not valid JSON ({error})") from error
    return content if isinstance(content, dict) else {}


def transformer_folder(folder: Path) -> Path:
    """The folder of the transformer, which sentence-transformers may keep in a folder below."""
    file = folder / "modules.json"
    if (folder / "config.json").is_file() or not file.is_file():
        return folder
    modules = json.loads(file.read_text(encoding="utf-8"))
    return folder / modules[0].get("path", "") if modules else folder
