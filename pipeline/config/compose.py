"""Compose a configuration from overrides; rewrite for Hydra what it would read otherwise."""

import re
from collections.abc import Sequence
from pathlib import Path

import hydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig

from pipeline.config import TEXT_KEYS, Config, conf_dir, register_schemas, typed
from pipeline.config.saved_models import MODEL, detect_arch
from pipeline.config.suggestions import BY_REFERENCE

RUN_ID = re.compile("[0-9a-f]{32}")


def compose(overrides: Sequence[str]) -> Config:
    """Compose the typed configuration, for commands that are not Hydra jobs.

    Raises:
        InputError, HydraException, OmegaConfBaseException: an override is wrong.
    """
    return typed(compose_untyped(overrides))


def compose_untyped(overrides: Sequence[str]) -> DictConfig:
    """Compose the configuration without checking its bounds.

    Raises:
        HydraException, OmegaConfBaseException: an override is wrong.
    """
    register_schemas()
    with hydra.initialize_config_dir(str(conf_dir().resolve()), version_base="1.3"):
        return hydra.compose("config", with_named_base(overrides))


def with_named_base(words: Sequence[str]) -> list[str]:
    """Rewrite ``base=REFERENCE`` as keys that Hydra knows, and quote texts that look like numbers.

    A reference is a value with a ``:`` or ``/``, or an existing folder, that is not an option
    of ``conf/base``: ``base=run:NAME`` becomes ``base=model base.path='run:NAME'
    base.name='NAME'``. A folder that holds no reranker is not dedicated, because its head or
    projection starts random. ``run_name=1e5`` becomes ``run_name='1e5'``, which Hydra would read
    as 100000.0. Several values at once stay, because ``pipeline.sweep.grid.expand`` separates
    them first.
    """
    rewritten: list[str] = []
    for word in words:
        reference = _reference(word)
        if reference is None:
            rewritten.append(_as_text(word))
        else:
            slug = name_of(reference)
            rewritten += [
                f"base={BY_REFERENCE}",
                f"base.path={quoted(reference)}",
                f"base.name='{slug}'",
            ]
            if _is_encoder(Path(reference)):
                rewritten.append("base.dedicated=false")
    return rewritten


def _as_text(word: str) -> str:
    """Quote the value of a key that holds a text, if Hydra would read a number or a truth value."""
    key, _, text = word.partition("=")
    if key.lstrip("+") not in TEXT_KEYS:
        return word
    try:
        override = OverridesParser.create().parse_override(word)
    except HydraException:  # reported by Hydra, with what to write instead
        return word
    if override.is_sweep_override() or not isinstance(override.value(), bool | int | float):
        return word
    return f"{key}={quoted(text.strip())}"


def quoted(text: str) -> str:
    """Quote ``text`` as the value of an override, so that Hydra reads back the same text."""
    return QuotedString(text, Quote.single).with_quotes()


def name_of(reference: str) -> str:
    """Shorten a reference for run names and folders: letters, digits, ``_``, ``.``, ``-``.

    ``run:NAME`` gives NAME, a run id its first 8 digits, a folder its last part (its parent's,
    without date and number, if that is ``model``), anything else all of its parts.
    """
    text = reference.removeprefix("run:").removeprefix("models:/").rstrip("/")
    if RUN_ID.fullmatch(text):
        text = text[:8]
    # A hub id has two parts; a text with more parts, or an existing path, is a folder.
    if text.count("/") > 1 or Path(reference).is_dir():
        path = Path(reference).resolve()
        run = re.sub(r"^(\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(-\d{6})?|\d+)_", "", path.parent.name)
        text = run if path.name == MODEL else path.name
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", text).strip("_.") or MODEL


def _reference(word: str) -> str | None:
    if not word.startswith("base="):
        return None
    override = OverridesParser.create().parse_override(word)
    if override.is_sweep_override():
        return None
    value = override.value()
    text = value.text if isinstance(value, QuotedString) else str(value)
    if (conf_dir() / "base" / f"{text}.yaml").is_file():
        return None
    return text if re.search("[:/]", text) or Path(text).is_dir() else None


def _is_encoder(folder: Path) -> bool:
    return (folder / "config.json").is_file() and detect_arch(folder) is None
