"""Make a run's model the champion: ``python -m pipeline promote RUN [name=NAME] [force=true]``."""

from collections.abc import Sequence

from pipeline.commands.arguments import Parser, check_choice, names_and_overrides, own_keys
from pipeline.records import SEARCHES, InputError

EPILOG = """\
The model is copied to the artifacts of its run and registered in MLflow. The alias champion moves
to it if what will be served beats what the present champion serves: NDCG over the same test queries
and candidates, p < 0.05. Then models:/NAME@champion names it wherever a model is named.

RUN is the name of a finished run (the newest of that name), its id, or models:/NAME/VERSION.

keys, of which search and order say what will be served:
  search=SEARCH  vector, fts or hybrid
  order=ORDER    reranked: the model's order; fused: the model's mixed with the search's
  cutoff=10      number of results, one of eval.top_k
  name=NAME      of the registered model; default: the name of the run's data set
  force=true     promote the model without a test
  tracking.uri=..., output_dir=..., any other key of the configuration

examples:
  python -m pipeline promote cross_encoder_minilm_l6_2neg_1ep search=vector order=reranked
  python -m pipeline promote 0123456789abcdef0123456789abcdef search=fts order=fused name=support
"""
CHOICES = {"search": SEARCHES, "order": ("reranked", "fused"), "force": ("true", "false")}
OWN = ("name", "cutoff", *CHOICES)


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
    own, rest = own_keys(parser.parse_args(words).words, OWN)
    names, overrides = names_and_overrides(rest)
    if len(names) != 1:
        raise InputError(f"give one run, not {len(names)}: python -m pipeline promote RUN")
    own.setdefault("force", "false")
    for key, values in CHOICES.items():
        if key not in own:
            raise InputError(f"say what will be served: {key}={' or '.join(values)}")
        own[key] = own[key].lower()
        check_choice(key, own[key], values)
    cutoff = own.get("cutoff", "10")
    if not cutoff.isdecimal() or int(cutoff) < 1:
        raise InputError(f"cutoff={cutoff}: must be a number from 1")

    from pipeline.config.compose import compose
    from pipeline.infra.stage_cache import StageCache
    from pipeline.tracking.promotion import ServedAs, promote

    config = compose(overrides)
    cache = StageCache.of(config)
    system = ServedAs(own["search"], own["order"], int(cutoff))
    force = own["force"] == "true"
    print(promote(config.tracking, cache, names[0], system, own.get("name", ""), force))
