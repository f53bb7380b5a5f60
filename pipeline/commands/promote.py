"""Make a run's model the champion: ``python -m pipeline promote RUN [name=NAME] [force=true]``.

The model goes to the run's artifacts and into MLflow's model registry, and the alias
``champion`` moves to it, if it beats the present champion on the same data and candidates. Then
``models:/NAME@champion`` names it wherever a model is named.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.infra.errors import exit_code
from pipeline.records import FIRST_STAGE, InputError, Refused

if TYPE_CHECKING:  # MLflow takes a second to import, and --help must be fast
    from pipeline.config.stages import TrackingConfig
    from pipeline.tracking.reader import RunRecord
    from pipeline.tracking.registry import ModelVersion

EPILOG = """\
  RUN is the name of a finished run (the newest of that name) or its id.

keys:
  name=NAME      of the registered model; without it the name of the run's data set
  force=true     promote it without the comparison
  tracking.uri=..., output_dir=..., any other key of the configuration

examples:
  python -m pipeline promote cross_encoder_minilm_l6_2neg_1ep
  python -m pipeline promote 0123456789abcdef0123456789abcdef name=support force=true
"""
STAGE, METRIC = "vector_reranked", "ndcg_at_10"
SAME = ("data.fingerprint", *FIRST_STAGE, "eval.overfetch", "eval.depth")
"""Params on which two runs must agree to have reranked the same candidates."""


def promote(words: Sequence[str]) -> str:
    """Promote the run that ``words`` name; returns one line that says what happened.

    Raises:
        InputError, HydraException, OmegaConfBaseException: an argument is wrong, or the run
            has no model.
        Refused: the run does not beat the champion, or can't be compared with it.
    """
    own = {"force": "false"}
    overrides: list[str] = []
    names: list[str] = []
    for word in words:
        key, equals, value = word.partition("=")
        if key in ("name", "force") and equals:
            own[key] = value
        else:
            (overrides if equals else names).append(word)
    if len(names) != 1:
        raise InputError(f"give one run, not {len(names)}: python -m pipeline promote RUN")
    if own["force"].lower() not in ("true", "false"):
        raise InputError(f"force={own['force']}: must be true or false")

    from pipeline.config.compose import compose

    config = compose(overrides)

    from pipeline.tracking import references, registry

    reference = names[0] if references.is_reference(names[0]) else f"run:{names[0]}"
    run = references.find_model(config.tracking, reference)
    folder = references.model_folder(config.tracking, run, Path(config.output_dir) / "cache")
    name = own.get("name") or run.tags.get("dataset", "")
    current = registry.champion(config.tracking, name)
    if current is not None and current.run_id == run.run_id:
        return f"{run.name} is the champion already: models:/{name}/{current.version}"
    why = "forced"
    if own["force"].lower() == "false":
        why = "the first" if current is None else _better(config.tracking, run, current)
    version = registry.promote(config.tracking, run, folder, name)
    return f"{run.name} is models:/{name}@champion, version {version.version} ({why})"


def _better(config: "TrackingConfig", run: "RunRecord", current: "ModelVersion") -> str:
    """By how much the run beats the champion.

    Raises:
        Refused: it does not, the difference may be chance, or the two can't be compared.
    """
    from pipeline.evaluation.significance import LEVEL, paired_difference
    from pipeline.tracking import artifacts, reader

    held = reader.find_run(config, current.run_id)
    title = f"the champion models:/{current.name}/{current.version} ({held.name})"
    anyway = "force=true promotes it all the same"
    for key in SAME:
        mine, its = run.params.get(key), held.params.get(key)
        if mine != its:
            raise Refused(
                f"{run.name} and {title} can't be compared: {key} is {mine} and {its}; {anyway}"
            )
    metric = f"{STAGE}/{METRIC}"
    if metric not in run.metrics or metric not in held.metrics:
        raise Refused(f"{run.name} or {title} has no {metric}; {anyway}")
    ours, theirs = (artifacts.read_per_query(config, r.run_id) for r in (run, held))
    figures = f"{metric} {run.metrics[metric]:.4f} against {held.metrics[metric]:.4f}"
    gain = run.metrics[metric] - held.metrics[metric]
    chance = False
    if STAGE in ours and STAGE in theirs:
        difference = paired_difference(ours[STAGE][METRIC], theirs[STAGE][METRIC])
        figures += f", p = {difference.p_value:.4f}"
        chance = difference.p_value >= LEVEL
    if gain <= 0 or chance:
        raise Refused(f"{run.name} does not beat {title}: {figures}; {anyway}")
    return figures


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline promote",
        description="Register a run's model and make it the champion, if it beats the present one.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("words", nargs="*", metavar="RUN or KEY=VALUE")
    words = parser.parse_args().words
    return exit_code(lambda: print(promote(words)))


if __name__ == "__main__":
    sys.exit(main())
