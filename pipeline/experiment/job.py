"""Run one grid point as Hydra's launchers call it; a traceback goes only to the log file."""

import logging
import os
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from pipeline.config import typed
from pipeline.config.saved_models import MODEL
from pipeline.infra.errors import one_line
from pipeline.infra.imports import importing
from pipeline.records import InputError

log = logging.getLogger("pipeline")


def job(config: DictConfig) -> str:
    """Run one grid point from its composed configuration and return its MLflow run id.

    A point that fails is run again up to ``retries`` times, each attempt a run of its own.
    Of the processes that torchrun starts only rank 0 has a run id; the others return "". With
    several processes nothing is run again, as the others have ended.
    """
    point = typed(config)
    # Heavy libraries are imported here, as --help must be fast.
    with importing():
        from pipeline.experiment import recipe
        from pipeline.infra import distributed, quiet

        quiet.silence()
    if distributed.rank() > 0:  # Rank 0 logs and records everything.
        logging.disable()
        os.environ["TQDM_DISABLE"] = "1"
        recipe.assist(point)
        return ""
    folder = Path(HydraConfig.get().runtime.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    if point.tracking.parent_run_id is None:
        check_unused(folder)
    retries = point.retries if distributed.world_size() == 1 else 0
    while True:
        try:
            return recipe.run(point, folder)
        except InputError:
            raise
        except Exception as error:
            log.debug("%s failed", point.run_name, exc_info=True)
            if retries == 0:
                raise
            log.warning("%s failed and is run again: %s", point.run_name, one_line(error))
            retries -= 1


def check_unused(folder: Path) -> None:
    """Refuse a folder with the model of another run, which ``run:ID`` would then load.

    Raises:
        InputError: there is a model in the folder, which ``hydra.run.dir`` must have named.
    """
    if (folder / MODEL).exists():
        raise InputError(f"hydra.run.dir={folder}: holds the model of another run, name another")
