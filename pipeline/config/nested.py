"""Name keys by their place: ``forgetting.dataset.path``, where a message says ``dataset.path``.

A data set or an embedder does not know where in the configuration it stands, so its messages name
the keys of the usual place.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from omegaconf import DictConfig, OmegaConf

from pipeline.config.suggestions import Keys
from pipeline.records import InputError

NESTED = {"forgetting.dataset": "dataset", "mining.embedder": "embedder"}
"""A place -> the place whose keys the messages name."""


def renamed(message: str, place: str, known: Keys) -> str:
    """Replace the ``known`` keys in ``message`` by those of ``place``."""
    usual = NESTED[place]
    named = re.compile(rf"(?<![\w./-]){usual}(\.\w+)+")

    def key_in_place(found: re.Match[str]) -> str:
        is_key = any(f"{key}.".startswith(f"{found[0]}.") for key in known)
        return place + found[0].removeprefix(usual) if is_key else found[0]

    return named.sub(key_in_place, message)


@contextmanager
def named_in(place: str, known: Keys) -> Iterator[None]:
    """Let an InputError of the block name the keys of ``place``."""
    try:
        yield
    except InputError as error:
        raise InputError(renamed(str(error), place, known)) from error


def place_of(config: DictConfig) -> str | None:
    """Find the nested part whose values are out of bounds, if the usual place has good ones."""
    for place, usual in NESTED.items():
        part = OmegaConf.select(config, place)
        if part is not None and _refused(part) and not _refused(config[usual]):
            return place
    return None


def _refused(part: DictConfig) -> bool:
    try:
        OmegaConf.to_object(part)
    except InputError:
        return True
    return False
