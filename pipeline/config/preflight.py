"""What a point needs of the disk and of its own settings, told before anything heavy is loaded.

Commands that read what is there already, as the report, ask for less than the schema checks.
"""

import os
from pathlib import Path

from pipeline.config import Config
from pipeline.config.bounds import require


def check_point(config: Config) -> None:
    """Whether this point can start.

    Raises:
        InputError: its data is not there, its output can't be written, or its windows are
            wider than what its model reads.
    """
    config.rerank.must_fit(config.arch)
    check_files(config)


def check_files(config: Config) -> None:
    """Whether the data is there and ``output_dir`` can be written.

    Raises:
        InputError: not so; names the key.
    """
    for dataset in (config.dataset, config.forgetting.dataset):
        for key in ("path", "corpus"):
            path = getattr(dataset, key, None)
            there = path is None or Path(path).exists()
            require(there, f"dataset.{key}", path, "no such file or folder")
    folder = Path(config.output_dir).absolute()
    nearest = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not nearest.is_dir():
        problem = "is a file" if nearest.exists() else "is a broken link"
    else:
        problem = "" if os.access(nearest, os.W_OK | os.X_OK) else "no permission"
    why = f"can't be written to ({nearest}: {problem})"
    require(not problem, "output_dir", config.output_dir, why)
