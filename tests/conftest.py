"""What several test files share: stores, models and one small real experiment."""

import gc
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock
from mlflow import MlflowClient

from pipeline.config import Config
from pipeline.config.stages import HardwareConfig, TrackingConfig
from pipeline.infra.stage_cache import StageCache
from tests.pair_runs import record_runs
from tests.points import BRIEF, SMALL, compose_config

if TYPE_CHECKING:  # A test of pure functions must not wait for torch and transformers.
    from pipeline.experiment.shared import Shared
    from pipeline.infra.hardware import Hardware
    from pipeline.protocols import Scorer
    from tests.scorers import Watched

Compose = Callable[..., Config]
NewStore = Callable[..., TrackingConfig]
Prepare = Callable[..., Path]
Saved = Callable[[str], Path]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the files with slow tests first, so that no worker ends alone with one of them."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """Spare the garbage collector the imported libraries: it would search them all the time."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def handler_of_sigterm() -> Iterator[None]:
    """What a test that calls ``exit_code`` changes in this process is put back."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of pytest-xdist share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def outputs(common: Path, new_store: NewStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder, whose stages are computed once for all tests in all processes."""
    from pipeline.infra import quiet

    quiet.silence()
    folder = tmp_path_factory.mktemp("outputs")
    (common / "stages").mkdir(exist_ok=True)
    (folder / "cache").symlink_to(common / "stages")
    new_store(folder)
    return folder


@pytest.fixture(scope="session")
def pair_store(tmp_path_factory: pytest.TempPathFactory, new_store: NewStore) -> TrackingConfig:
    """A store with the runs of ``tests.pair_runs``."""
    folder = tmp_path_factory.mktemp("pair")
    return record_runs(new_store(folder, "points"), folder)


@pytest.fixture(scope="session")
def new_store(common: Path) -> NewStore:
    """Make a tracking store without runs in a folder: ``new_store(folder, experiment="e")``.

    It is a copy, as MLflow takes seconds to create one.
    """
    file = common / "empty.db"
    with FileLock(common / ".empty.lock"):
        if not file.exists():
            MlflowClient(f"sqlite:///{file}").search_experiments(max_results=1)

    def copied(folder: Path, experiment: str = "pydocs") -> TrackingConfig:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder / "mlflow.db")
        return TrackingConfig(uri=f"sqlite:///{folder}/mlflow.db", experiment=experiment)

    return copied


@pytest.fixture(scope="session")
def small(outputs: Path) -> Compose:
    """Compose a configuration of the small experiment: ``small("arch=colbert", ...)``."""
    return lambda *overrides: compose_config([*SMALL, f"output_dir={outputs}", *overrides])


@pytest.fixture(scope="session")
def machine() -> "Hardware":
    from pipeline.infra import hardware

    return hardware.resolve(HardwareConfig(precision="fp32"))


@pytest.fixture(scope="session")
def shared(small: Compose, machine: "Hardware") -> "Shared":
    """Data set, index, candidates and negatives of the small experiment, all real."""
    from pipeline.experiment.shared import prepare_shared

    config = small("epochs=1")
    return prepare_shared(config, machine, StageCache.of(config))


@pytest.fixture(scope="session")
def prepare(outputs: Path, machine: "Hardware", new_store: NewStore) -> Prepare:
    """Put what points share, and a store without runs, into a folder to run a command in.

    ``prepare(folder, *words)`` returns ``folder / "outputs"``.
    """
    from pipeline.experiment.shared import prepare_shared
    from pipeline.infra.model_files import prepare_base

    def fill(folder: Path, *words: str) -> Path:
        config = compose_config([*words, f"output_dir={outputs}"])
        cache = StageCache.of(config)
        prepare_base(config.base, cache)
        prepare_shared(config, machine, cache)
        for name in cache.used:
            shutil.copytree(cache.folder / name, folder / "outputs" / "cache" / name)
        new_store(folder / "outputs")
        return folder / "outputs"

    return fill


@pytest.fixture(scope="session")
def saved(small: Compose, machine: "Hardware", tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """The folder of a tiny reranker with random weights: ``saved("colbert")``."""
    from pipeline.infra.model_files import prepare_base
    from pipeline.rerankers import load_reranker

    @cache
    def save(arch: str) -> Path:
        config = small("base=modernbert_tiny", f"arch={arch}")
        base = prepare_base(config.base, StageCache.of(config))
        reranker = load_reranker(base, config.arch, machine, 32, seed=3)
        assert reranker is not None
        folder = tmp_path_factory.mktemp("saved") / arch
        reranker.save(folder)
        return folder

    return save


@pytest.fixture(scope="session")
def loaded(saved: Saved, machine: "Hardware") -> "Callable[[str], Scorer]":
    """The saved model as a scorer: ``loaded("colbert")``."""
    from pipeline.rerankers.saved import load_saved

    return cache(lambda arch: load_saved("model", saved(arch), machine, 32))


@pytest.fixture
def watched(loaded: "Callable[[str], Scorer]") -> "Watched":
    """A cross-encoder whose gate is open."""
    from tests.scorers import Watched

    model = Watched(loaded("cross_encoder"))
    model.gate.set()
    return model


@dataclass(frozen=True)
class Trained:
    """A finished run of the small experiment and where it left its model."""

    run_id: str
    config: Config
    folder: Path


@pytest.fixture(scope="session")
def trained(small: Compose) -> Callable[[str], Trained]:
    """One run per architecture, a few steps long: ``trained("colbert")``."""

    @cache
    def run(arch: str) -> Trained:
        from pipeline.experiment import recipe

        config = small(f"arch={arch}", *BRIEF)
        folder = Path(config.output_dir) / "runs" / config.run_name
        return Trained(recipe.run(config, folder), config, folder / "model")

    return run
