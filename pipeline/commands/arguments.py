"""Parse the words after a command: flags, names and ``KEY=VALUE``."""

import argparse
import re
from collections.abc import Collection, Mapping, Sequence
from typing import NoReturn

from pipeline.records import InputError

MODEL_IS_MISSING = (
    "model=REF is missing: a folder, run:NAME, models:/NAME@ALIAS or a hub id, as ORG/NAME"
)
OF_A_SCORER = re.compile(
    r"(?:model|output_dir|eval\.batch_size|(?:hardware|rerank|tracking)\.\w+)=.*", re.S
)
"""The words KEY=VALUE of a command that scores with a saved model."""


class Parser(argparse.ArgumentParser):
    """An argument parser that raises a mistake instead of printing its usage and exiting."""

    def __init__(self, command: str, description: str, epilog: str) -> None:
        super().__init__(
            prog=f"python -m pipeline {command}",
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def add_overrides(self) -> None:
        """Add the positional argument ``overrides``, which takes any number of words."""
        self.add_argument(
            "overrides",
            nargs="*",
            metavar="KEY=VALUE",
            help="keys of the configuration; python -m pipeline run --help lists them",
        )

    def error(self, message: str) -> NoReturn:
        """Raise ``message``.

        Raises:
            InputError: always.
        """
        raise InputError(f"{message}; see {self.prog} --help")


def names_and_overrides(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separate the words without a ``=`` from the overrides of the configuration."""
    names = [word for word in words if "=" not in word]
    return names, [word for word in words if "=" in word]


def own_keys(words: Sequence[str], keys: Collection[str]) -> tuple[dict[str, str], list[str]]:
    """Take the values of a command's own ``keys`` out of ``words``; return them and the rest."""
    own: dict[str, str] = {}
    rest: list[str] = []
    for word in words:
        key, equals, value = word.partition("=")
        if equals and key in keys:
            own[key] = value
        else:
            rest.append(word)
    return own, rest


def model_of(own: Mapping[str, str]) -> str:
    """Return the value of the key ``model``.

    Raises:
        InputError: it is missing or empty.
    """
    if not own.get("model"):
        raise InputError(MODEL_IS_MISSING)
    return own["model"]


def check_choice(key: str, value: str, values: Sequence[str]) -> None:
    """Refuse a ``value`` of ``key`` that is none of ``values``.

    Raises:
        InputError: names the values there are.
    """
    if value not in values:
        raise InputError(f"{key}={value}: must be one of {', '.join(values)}")
