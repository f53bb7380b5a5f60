"""The command line of one grid point: ``python -m pipeline arch=colbert negatives=2``.

Also the boundary where errors end: the user's own mistakes are one line and exit code 2, a
failed run is one line, its log and exit code 1. With ``--multirun`` the grid is spanned by the
overrides and launched by ``pipeline.sweep``.
"""

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline.config import conf_dir, register_schemas, typed
from pipeline.records import InputError

log = logging.getLogger("pipeline")


def job(config: DictConfig) -> str:
    """One grid point from its composed configuration; returns the MLflow run id."""
    point = typed(config)
    from pipeline import experiment, quiet, tracking  # heavy, and --help must be fast

    quiet.silence()
    resolved = OmegaConf.to_container(config, resolve=True)
    assert isinstance(resolved, dict)
    flat = tracking.flatten({str(key): value for key, value in resolved.items()})
    folder = Path(HydraConfig.get().runtime.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return experiment.run(point, flat, folder)
    except InputError:
        raise
    except Exception:
        log.debug("%s failed", point.run_name, exc_info=True)  # to the log file only
        raise


def main() -> None:
    """Console script and ``python -m pipeline``."""
    register_schemas()
    if {"-m", "--multirun"} & set(sys.argv):
        from pipeline import sweep

        sys.argv = [word for word in sys.argv if word not in ("-m", "--multirun")]
        sweep.main()
        return
    # Without this Hydra prints errors its own way and exits 1 for all of them.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    entry = hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")(job)
    sys.exit(exit_code(entry))


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


if __name__ == "__main__":
    main()
