"""Run one point: ``python -m pipeline arch=colbert negatives=2``."""

import os
import sys
from argparse import ArgumentError
from collections.abc import Sequence

import hydra
from hydra._internal.utils import get_args_parser
from omegaconf import DictConfig, OmegaConf

from pipeline.config import conf_dir, register_schemas
from pipeline.config.compose import compose, compose_untyped, with_named_base
from pipeline.config.preflight import check_point
from pipeline.experiment.job import job
from pipeline.records import InputError

HELP = {"-h", "--help"}
MULTIRUN = {"-m", "--multirun"}

TEXT = """\
usage: python -m pipeline [run] [GROUP=OPTION ...] [KEY=VALUE ...] [--multirun]

Train and measure one point. To train and compare many: python -m pipeline sweep

groups:
  arch        none, cross_encoder, colbert;
              cross_encoder_published, colbert_published (values of experiment=report)
  base        none, minilm_l6, minilm_l3, modernbert_tiny (offline);
              minilm, modernbert, answerai_colbert, ms_marco_minilm (hub);
              run:RUN_NAME, a folder, ORG/NAME, models:/NAME@champion
  dataset     pydocs (offline), labelled, beir, gooaq
  embedder    minilm_l6
  experiment  pydocs, pydocs_full, forms, seeds, smoke, finetune, curve, report:
              small changes to the defaults

examples:
  python -m pipeline arch=colbert negatives=2 train.learning_rate=1e-5
  python -m pipeline dataset=beir dataset.path=DIR dataset.max_eval_queries=500
  python -m pipeline --multirun arch=cross_encoder,colbert negatives=1,2
  torchrun --nproc-per-node=4 -m pipeline arch=colbert

--multirun runs a sweep over the values that are separated by commas.
Hydra's own flags, such as --cfg job and --info: python -m pipeline run --hydra-help

keys, with their values for this command:

{keys}"""


def main(words: Sequence[str]) -> None:
    """Run the point that ``words`` describe, or do what a flag of Hydra's asks.

    Raises:
        InputError, HydraException, OmegaConfBaseException: a word is wrong, or what the point
            needs is missing.
        Exception: the point failed.
    """
    if set(words) & HELP:
        overrides = [word for word in words if "=" in word or word.startswith("~")]
        print(TEXT.format(keys=OmegaConf.to_yaml(compose_untyped(overrides))), end="")
        return
    if set(words) & MULTIRUN:
        from pipeline.commands import sweep

        sweep.main([word for word in words if word not in MULTIRUN])
        return
    _check_flags(words)
    words = with_named_base(words)
    # A flag may ask for something else than a run.
    if not any(word.startswith("-") for word in words):
        # Checked here too, as Hydra makes a folder before it calls the job.
        check_point(compose(words))
    # Only the first process of torchrun writes.
    if os.environ.get("RANK", "0") != "0":
        words += ["hydra.run.dir=.", "hydra/job_logging=none"]
    _run_job(words)


def _check_flags(words: Sequence[str]) -> None:
    """Refuse a wrong flag, for which Hydra would print its usage.

    Raises:
        InputError: Hydra has no such flag, or the flag no such value.
    """
    parser = get_args_parser()
    parser.exit_on_error = False
    try:
        _, unknown = parser.parse_known_args(words)
    except ArgumentError as error:
        raise InputError(str(error)) from error
    if unknown:
        key = unknown[0].partition("=")[0].lstrip("-")
        raise InputError(f"{unknown[0]}: no such flag; a key is written {key}=VALUE")


def _run_job(words: Sequence[str]) -> None:
    """Run the job through Hydra, which makes its folder and its log; raise what the job raises."""
    # Otherwise Hydra prints an error itself and exits with 1 for every one.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    errors: list[Exception] = []

    def task(config: DictConfig) -> None:
        try:
            job(config)
        # Hydra would print a line of its own for what it sees raised.
        except Exception as error:
            errors.append(error)

    register_schemas()
    # Hydra reads its words from nowhere else.
    sys.argv[1:] = words
    hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")(task)()
    if errors:
        raise errors[0]
