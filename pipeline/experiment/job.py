"""One grid point as Hydra's launchers call it; the traceback of a failure goes to its log."""

import logging
import os
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from pipeline.config import typed
from pipeline.infra.errors import one_line
from pipeline.records import InputError

MODEL = "model"  # in the folder of a run

log = logging.getLogger("pipeline")


def job(config: DictConfig) -> str:
    """One grid point from its composed configuration; returns the MLflow run id.

    What fails is run again up to ``retries`` times, each attempt a run of its own. Of several
    processes that torchrun has started all but the first return an empty id, and nothing is run
    again, as the others have ended.
    """
    point = typed(config)
    from pipeline.experiment import recipe as experiment
    from pipeline.infra import (
        distributed,
        quiet,  # MOVED  # heavy; --help must be fast
    )
    from pipeline.infra import stage_cache as artifacts

    quiet.silence()
    artifacts.share_stages(point.cache_uri)
    if distributed.rank() > 0:  # rank 0 says and records everything
        logging.disable()
        os.environ["TQDM_DISABLE"] = "1"
        experiment.assist(point)
        return ""
    folder = Path(HydraConfig.get().runtime.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    if point.tracking.parent_run_id is None:
        check_unused(folder)
    retries = point.retries if distributed.world_size() == 1 else 0
    for left in range(retries, -1, -1):
        try:
            return experiment.run(point, folder)
        except InputError:
            raise
        except Exception as error:
            log.debug("%s failed", point.run_name, exc_info=True)  # to the log file only
            if left == 0:
                raise
            log.warning("%s failed and is run again: %s", point.run_name, one_line(error))
    raise AssertionError("the last attempt returns or raises")


def check_unused(folder: Path) -> None:
    """See that a run of its own does not replace the model of another, which ``run:ID`` loads.

    Raises:
        InputError: there is a model in the folder, which ``hydra.run.dir`` must have named.
    """
    if (folder / MODEL).exists():
        raise InputError(f"hydra.run.dir={folder}: holds the model of another run, name another")
