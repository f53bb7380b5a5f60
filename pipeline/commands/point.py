"""The command line of one grid point: ``python -m pipeline arch=colbert negatives=2``.

With ``--multirun`` the grid is spanned by the overrides and run by ``pipeline.sweep.run``.
"""

import os
import sys

import hydra
from omegaconf import DictConfig

from pipeline.config import conf_dir, register_schemas
from pipeline.config.compose import compose, with_named_base
from pipeline.config.preflight import check_point
from pipeline.experiment.job import job
from pipeline.infra.errors import exit_code


def main() -> None:
    """Console script and ``python -m pipeline``."""
    register_schemas()
    if {"-m", "--multirun"} & set(sys.argv):
        from pipeline.sweep import run as sweep

        sys.argv = [word for word in sys.argv if word not in ("-m", "--multirun")]
        sweep.main()
        return
    # Without this Hydra prints errors its own way and exits 1 for all of them.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    errors: list[Exception] = []

    def task(config: DictConfig) -> None:
        try:
            job(config)
        except Exception as error:  # out of Hydra's sight, which prints a line of its own
            errors.append(error)

    def run() -> None:
        sys.argv[1:] = with_named_base(sys.argv[1:])
        if not any(word.startswith("-") for word in sys.argv[1:]):  # a flag may ask for no run
            check_point(compose(sys.argv[1:]))  # before Hydra makes a folder for it
        if os.environ.get("RANK", "0") != "0":  # of torchrun: has nothing to write
            sys.argv += ["hydra.run.dir=.", "hydra/job_logging=none"]
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")(task)()
        if errors:
            raise errors[0]

    sys.exit(exit_code(run))


if __name__ == "__main__":
    main()
