"""The command that makes a run again, from what the run logged."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, fields
from functools import cache

from pipeline.config import SCHEMAS, conf_dir
from pipeline.config.compose import compose, quoted
from pipeline.infra.redact import flatten

GROUPS = ("dataset", "embedder", "mining.embedder", "base", "arch")
ALWAYS = ("negatives", "epochs", "seed")
# Where a run was recorded and what called it, not what it computed.
ELSEWHERE = ("tracking.", "report.", "output_dir", "cache_uri", "grid", "run_name", *ALWAYS)
PLAIN = re.compile(r"[\w.+/:-]+")


def command(params: Mapping[str, str]) -> str | None:
    """A line for the shell; None if the run logged no configuration.

    Options are named by their group; every other value that differs from what those compose to
    is written out, so it does not matter which experiment the run was part of.
    """
    if any(f"{group}.name" not in params for group in GROUPS):
        return None
    words = []
    for group in GROUPS:
        option = _option(group, params)
        key = f"embedder@{group}" if group == "mining.embedder" else group
        if option is not None:
            words.append(f"{key}={option}")
    if params.get("dataset.path", "null") != "null":
        words.append(f"dataset.path={_value(params['dataset.path'])}")
    defaults = _flat(tuple(words))
    words += [f"{key}={params[key]}" for key in ALWAYS if key in params]
    differing = [
        f"{key}={_value(text)}"
        for key, text in sorted(params.items())
        if key in defaults
        and defaults[key] != text
        and not key.startswith(ELSEWHERE)
        and "***" not in text
    ]
    return shlex.join(["python", "-m", "pipeline", *words, *differing])


@cache
def _flat(words: tuple[str, ...]) -> dict[str, str]:
    return flatten(asdict(compose([*words, "negatives=0", "epochs=0"])))


def _option(group: str, params: Mapping[str, str]) -> str | None:
    """The group's option that the run's values come from; None: the default, values written out."""
    name = params[f"{group}.name"]
    if (conf_dir() / group.removeprefix("mining.") / f"{name}.yaml").is_file():
        return name
    if group == "base" and params.get("base.dedicated") == "true":  # by reference
        return _value(params["base.path"])
    if group == "dataset":  # renamed: it has the fields of one of them
        options = {
            key.partition("/")[2]: kind for key, kind in SCHEMAS.items() if "dataset/" in key
        }
        logged = {key.split(".")[1] for key in params if key.startswith("dataset.")}
        return min(
            options, key=lambda o: len(logged ^ {field.name for field in fields(options[o])})
        )
    return None


def _value(text: str) -> str:
    """As Hydra reads it back: quoted, unless it is plain, a list, a mapping or null."""
    return text if PLAIN.fullmatch(text) or text[:1] in ("[", "{") else quoted(text)
