"""Section "How to reproduce each row": the command of every run, from what the run logged."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, fields
from functools import cache

from pipeline.config import SCHEMAS, conf_dir
from pipeline.config.compose import compose, quoted
from pipeline.infra.redact import flatten
from pipeline.report.blocks import Commands, Section
from pipeline.report.study import Study

GROUPS = ("dataset", "embedder", "mining.embedder", "base", "arch")
ALWAYS = ("negatives", "epochs", "seed")
# Parameters that say where a run was recorded and what started it, not what it computed.
ELSEWHERE = ("tracking.", "report.", "output_dir", "cache_uri", "grid", "run_name", *ALWAYS)
PLAIN = re.compile(r"[\w.+/:-]+")


def section(study: Study) -> Section:
    """Show the command of every run, and the commits of the code."""
    labels, points = study.comparison.labels, study.comparison.points
    runs = [run for point in points for run in point.runs]
    commands = []
    for label, point in zip(labels, points, strict=True):
        for run in point.runs:
            line = command(run.params)
            commands.append((label, line or "not known: the run logged no configuration"))
    texts = ["Each command makes one row again, from the root of a checkout."]
    commits = sorted({run.params["git.commit"] for run in runs if "git.commit" in run.params})
    if known := [commit[:12] for commit in commits if commit != "unknown"]:
        texts.append(f"Code: commit {', '.join(known)}.")
    if "unknown" in commits:
        texts.append("Code whose commit is unknown made some rows: it was no git checkout.")
    if any(run.params.get("git.dirty") == "True" for run in runs):
        texts.append("The checkout had changes that no commit holds.")
    if not commands:
        return Section("How to reproduce each row", ["No run has finished."])
    return Section("How to reproduce each row", [*texts, Commands(commands)])


def command(params: Mapping[str, str]) -> str | None:
    """Return a line for the shell; None if the run logged no configuration.

    Options are named by their group. Every other value that differs from what those compose to
    is written out, so that it does not matter which experiment the run was part of.
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
    """Return the group's option that the run's values come from.

    None if it is the default, and differing values are written out.
    """
    name = params[f"{group}.name"]
    if (conf_dir() / group.removeprefix("mining.") / f"{name}.yaml").is_file():
        return name
    if group == "base":  # by reference
        return _value(params["base.path"])
    if group == "dataset":  # renamed: the option with the most similar fields
        logged = {key.split(".")[1] for key in params if key.startswith("dataset.")}
        differing = {
            key.removeprefix("dataset/"): len(logged ^ {field.name for field in fields(schema)})
            for key, schema in SCHEMAS.items()
            if key.startswith("dataset/")
        }
        return min(differing, key=differing.__getitem__)
    return None


def _value(text: str) -> str:
    """Write a value as Hydra reads it back: quoted, unless it is plain, a list or a mapping."""
    return text if PLAIN.fullmatch(text) or text[:1] in ("[", "{") else quoted(text)
