"""Where errors end: the user's own mistakes are one line and exit code 2, a failed run is one
line and exit code 1, with the traceback in the run's log file.
"""

import logging
import sys
from collections.abc import Callable
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from pipeline.config import typed
from pipeline.records import InputError

log = logging.getLogger("pipeline")


def job(config: DictConfig) -> str:
    """One grid point from its composed configuration; returns the MLflow run id."""
    point = typed(config)
    from pipeline import experiment, quiet  # heavy, and --help must be fast

    quiet.silence()
    folder = Path(HydraConfig.get().runtime.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return experiment.run(point, folder)
    except InputError:
        raise
    except Exception:
        log.debug("%s failed", point.run_name, exc_info=True)  # to the log file only
        raise


def exit_code(command: Callable[[], object]) -> int:
    """Run ``command``: 0 if it returns, 2 for the user's mistake, 1 for a failed run."""
    try:
        command()
    except (InputError, HydraException, OmegaConfBaseException) as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        print(f"failed: {type(error).__name__}: {one_line(error)}", file=sys.stderr)
        return 1
    return 0


def one_line(error: BaseException) -> str:
    """The message of an error with what its cause adds, on one line."""
    text = str(error)
    cause = error.__cause__
    if isinstance(cause, OmegaConfBaseException) and str(cause) not in text:
        text = f"{text}: {cause}"
    lines = [line.strip() for line in text.splitlines()]
    # Hydra's search path and OmegaConf's object types are for the authors, not the users.
    useful = []
    for line in lines:
        if line.startswith(("Config search path", "reference_type", "object_type")):
            break
        if line:
            useful.append(line)
    return " ".join(useful)
