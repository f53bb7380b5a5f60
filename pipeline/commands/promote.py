"""Make a run's model the champion: ``python -m pipeline promote RUN [name=NAME] [force=true]``."""

from collections.abc import Sequence

from pipeline.commands.arguments import Parser, names_and_overrides, own_keys
from pipeline.records import InputError

EPILOG = """\
The model is copied to the artifacts of its run and registered in MLflow. The alias champion moves
to it if it beats the present champion on the same data and candidates. Then models:/NAME@champion
names it wherever a model is named.

RUN is the name of a finished run (the newest of that name), its id, or models:/NAME/VERSION.

keys:
  name=NAME      of the registered model; default: the name of the run's data set
  force=true     promote the model without the comparison
  tracking.uri=..., output_dir=..., any other key of the configuration

examples:
  python -m pipeline promote cross_encoder_minilm_l6_2neg_1ep
  python -m pipeline promote 0123456789abcdef0123456789abcdef name=support force=true
"""


def main(words: Sequence[str]) -> None:
    """Promote the run that ``words`` name and print what happened.

    Raises:
        InputError, HydraException, OmegaConfBaseException: an argument is wrong, or the run
            has no model.
        Refused: the run does not beat the champion, or can't be compared with it.
    """
    description = "Register a run's model and make it the champion if it beats the present one."
    parser = Parser("promote", description, EPILOG)
    parser.add_argument("words", nargs="*", metavar="RUN or KEY=VALUE")
    own, rest = own_keys(parser.parse_args(words).words, ("name", "force"))
    names, overrides = names_and_overrides(rest)
    if len(names) != 1:
        raise InputError(f"give one run, not {len(names)}: python -m pipeline promote RUN")
    force = own.get("force", "false").lower()
    if force not in ("true", "false"):
        raise InputError(f"force={force}: must be true or false")

    from pipeline.config.compose import compose
    from pipeline.infra.stage_cache import StageCache
    from pipeline.tracking.promotion import promote

    config = compose(overrides)
    cache = StageCache.of(config)
    print(promote(config.tracking, cache, names[0], own.get("name", ""), force == "true"))
