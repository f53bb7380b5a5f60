"""The small points that tests run: their settings, and how they are composed and called."""

import os
import subprocess
import sys
from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path

from hydra import compose, initialize_config_dir

from pipeline import data
from pipeline.config import Config, conf_dir, register_schemas, typed
from pipeline.config.datasets import DatasetConfig
from pipeline.config.stages import TrackingConfig
from pipeline.infra.stage_cache import StageCache
from pipeline.records import Dataset

SMALL = (
    "dataset.seed=0",  # some tests look at single queries, whatever the default split is
    "dataset.packages=[hydra-core,omegaconf,networkx]",
    "dataset.max_corpus=500",
    "dataset.max_train_queries=48",
    "dataset.max_dev_queries=20",
    "dataset.max_eval_queries=60",
    "mining.last_rank=60",
    "max_length=48",
    "hardware.precision=fp32",
)

CHILD = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(Path.cwd())}
"""The environment of commands that run in another folder."""

TINY = (  # for sweeps from the command line: what takes time is their start
    "dataset.packages=[hydra-core,omegaconf]",
    "dataset.max_corpus=120",
    "dataset.max_train_queries=8",
    "dataset.max_dev_queries=4",
    "dataset.max_eval_queries=10",
    "mining.last_rank=40",
    "max_length=48",
    "eval.overfetch=1",
    "latency.enabled=false",
    "hardware.precision=fp32",
)

QUIET = ("hydra/job_logging=none", "hydra/hydra_logging=none")
"""In this process Hydra must not replace the log handlers of the tests."""

BRIEF = (  # random weights, four steps, half the candidates
    "base=modernbert_tiny",
    "train.max_steps=4",
    "eval.overfetch=2",
    "latency.enabled=false",
)


def command(*words: str, cwd: Path, to: str = "run") -> subprocess.CompletedProcess[str]:
    """``python -m pipeline TO WORDS`` in ``cwd``, as a user runs it."""
    return subprocess.run(
        [sys.executable, "-m", "pipeline", to, *words],
        cwd=cwd,
        env=os.environ | CHILD,
        capture_output=True,
        text=True,
        check=False,
    )


def tracked(folder: Path) -> TrackingConfig:
    """The tracking store of what ran in ``folder``."""
    return TrackingConfig(uri=f"sqlite:///{folder / 'outputs' / 'mlflow.db'}", experiment="pydocs")


def load(config: DatasetConfig, cache: Path) -> Dataset:
    """The data set of ``config``, cached in the folder ``cache``."""
    return data.load(config, StageCache(cache))


def compose_config(overrides: Sequence[str]) -> Config:
    """Compose a configuration; a copy, so that a test may change it."""
    return deepcopy(_composed(tuple(overrides)))


@cache
def _composed(overrides: tuple[str, ...]) -> Config:
    """Compose once per process: Hydra takes a fifth of a second."""
    register_schemas()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return typed(compose("config", overrides=list(overrides)))
