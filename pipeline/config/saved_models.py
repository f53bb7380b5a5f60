"""Read from a model's JSON files what it is and how many tokens it reads; no weights are loaded."""

import importlib.util
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.config.models import ArchConfig, ColbertConfig, CrossEncoderConfig
from pipeline.records import InputError

MODEL = "model"  # in the folder of a run, in that of a trained model and among artifacts

OFFSET_POSITIONS = (
    *("camembert", "data2vec-text", "esm", "ibert", "longformer", "luke", "markuplm", "mpnet"),
    *("roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod"),
)
"""Types of models whose first position is ``pad_token_id`` + 1, so they read fewer tokens."""

COUNT_POSITIONS_AS_N = ("codegen", "ctrl", "gpt2", "gptj", "openai-gpt")


LIBRARY_CLASS = re.compile(r"(sentence_transformers|pylate)(\.\w+){2,}")
"""A class of the libraries; ``pylate.Name`` would be looked for in the model's folder first."""

TORCH_NN = "torch.nn."


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
    return "cross_encoder" if label_count(folder) == 1 else None


def label_count(folder: Path) -> int | None:
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


def check_lengths(folder: Path, lengths: Mapping[str, int]) -> None:
    """Check that the model in ``folder`` can read texts of these lengths, by configuration key.

    Raises:
        InputError: it can't; the message names the key and the most that the model reads.
    """
    most = most_tokens(folder)
    for key, length in lengths.items():
        if most is not None and length > most:
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


def check_modules(folder: Path) -> None:
    """Check that the JSON files of a sentence-transformers folder name no foreign code.

    The libraries import the classes that these files name, from beside the files too, whatever
    ``trust_remote_code`` is; and they load pickled weights where a module has no others.

    Raises:
        InputError: one names other code, files outside the folder, or has pickled weights only.
    """
    _check_pickled(folder)
    for module in _modules(folder):
        kind, path = str(module.get("type")), str(module.get("path", ""))
        if not LIBRARY_CLASS.fullmatch(kind):
            raise InputError(
                f"{folder}/modules.json: {kind} is no module of sentence-transformers or PyLate; "
                "other code is not run"
            )
        place = (folder / path).resolve()
        if not place.is_relative_to(folder.resolve()):
            raise InputError(f"{folder}/modules.json: {path} is outside the model's folder")
        activation = read_json(place / "config.json").get("activation_function", TORCH_NN)
        if not str(activation).startswith(TORCH_NN):
            raise InputError(
                f"{place}/config.json: activation_function={activation}: none of {TORCH_NN}"
            )
        _check_pickled(place)


def _check_pickled(place: Path) -> None:
    pickled = [file.name for file in place.glob("pytorch_model*.bin")]
    if pickled and not any(place.glob("*.safetensors")):
        raise InputError(
            f"{place}: {pickled[0]} can run code and is not read; save the model as safetensors"
        )


def lengths_of(arch: ArchConfig) -> dict[str, int]:
    """The tokens that a reranker reads at most, in use and while training, by configuration key."""
    if isinstance(arch, CrossEncoderConfig):
        names = ["max_length"]
    elif isinstance(arch, ColbertConfig):
        names = ["query_length", "document_length"]
    else:
        names = []
    return {f"arch.{name}": getattr(arch, name) for name in names}


def read_json(file: Path) -> dict[str, Any]:
    """The object in a JSON file; empty if there is no such file.

    Raises:
        InputError: the file is not valid JSON.
    """
    content = _read(file)
    return content if isinstance(content, dict) else {}


def _read(file: Path) -> Any:
    if not file.is_file():
        return None
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{file}: not valid JSON ({error})") from error


def transformer_folder(folder: Path) -> Path:
    """The folder of the transformer, which sentence-transformers may keep in a folder below."""
    if (folder / "config.json").is_file():
        return folder
    modules = _modules(folder)
    return folder / modules[0].get("path", "") if modules else folder


def _modules(folder: Path) -> list[dict[str, Any]]:
    """What ``modules.json`` lists; empty without one."""
    found = _read(folder / "modules.json")
    return [module for module in found if isinstance(module, dict)] if found else []
