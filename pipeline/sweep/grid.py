"""Compose and check all points of a grid before the first one runs."""

import itertools
from collections.abc import Mapping, Sequence
from typing import cast

from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from pipeline.config import Config, conf_dir, register_schemas, typed
from pipeline.config.compose import with_named_base
from pipeline.config.identity import settings_of_result
from pipeline.config.preflight import check_point


def expand(lines: Sequence[str], overrides: Sequence[str]) -> list[list[str]]:
    """Return the points of a grid: the product of each line, with ``overrides`` on top.

    Duplicates are dropped. An override leaves alone what makes a line the control or an untrained
    base: its ``arch=none`` with base, negatives and epochs, or its ``epochs=0`` with negatives.

    ``expand(["a=1,2 b=3"], ["c=4"])`` is ``[["a=1", "b=3", "c=4"], ["a=2", "b=3", "c=4"]]``.
    """
    given = _choices(overrides)
    points: dict[tuple[str, ...], None] = {}
    for line in lines or [""]:
        own = _choices(line.split())
        kept = _kept(own)
        applied = {key: words for key, words in given.items() if key.partition(".")[0] not in kept}
        for point in itertools.product(*(own | applied).values()):
            points[point] = None
    return [list(point) for point in points]


def _choices(words: Sequence[str]) -> dict[str, list[str]]:
    """Map the key of each override to an override for each of its values."""
    found = {}
    for override in OverridesParser.create().parse_overrides(list(words)):
        key = override.get_key_element()
        values = (
            override.sweep_string_iterator()
            if override.is_sweep_override()
            else [override.get_value_element_as_str()]
        )
        found[key] = [f"{key}={value}" for value in values]
    return found


def _kept(line: Mapping[str, Sequence[str]]) -> set[str]:
    """Return the keys of a line that no override replaces."""
    kept: set[str] = set()
    if line.get("epochs") == ["epochs=0"]:
        kept = {"negatives", "epochs"}
    if line.get("arch") == ["arch=none"]:
        kept = {"arch", "base", "negatives", "epochs"}
    return kept & line.keys()


class Grid:
    """The composed grid: every point, its overrides, and the configuration of the launcher.

    Of points with the same result only the first is kept: ``train.queries=100,200`` makes no second
    control.
    Overrides of ``hydra`` apply to the launcher alone. ``config`` is that of the whole sweep.
    It has the first of several data sets, which names the experiment unless that is set.
    """

    def __init__(self, overrides: Sequence[str]) -> None:
        """Compose every point.

        Raises:
            InputError, HydraException, OmegaConfBaseException: a point is not valid, or a file
                that it needs is missing.
        """
        register_schemas()
        self.hydra = Hydra.create_main_hydra2(
            "pipeline", create_config_search_path(str(conf_dir()))
        )
        GlobalHydra.instance().clear()  # Hydra allows one at a time, and hydra.compose needs it.
        fixed = with_named_base([word for given in overrides for word in _fixed(given)])
        self.master = self._compose(fixed, RunMode.MULTIRUN)
        self.config = typed(self._compose(fixed, RunMode.RUN))
        of_points = [word for word in overrides if not word.lstrip("+~").startswith("hydra")]
        # As written: ${train.queries} in a line stands for the value of each point.
        lines = cast(list[str], OmegaConf.to_container(self.master.grid, resolve=False))
        distinct: dict[str, tuple[list[str], Config]] = {}
        for words in map(with_named_base, expand(lines, of_points)):
            point = typed(self._compose(words, RunMode.RUN))
            distinct.setdefault(str(settings_of_result(point)), (words, point))
        self.overrides = [words for words, _ in distinct.values()]
        self.points: list[Config] = [point for _, point in distinct.values()]
        for point in self.points:
            check_point(point)

    def _compose(self, overrides: Sequence[str], mode: RunMode) -> DictConfig:
        loader = self.hydra.config_loader
        config = loader.load_configuration("config", list(overrides), mode, from_shell=False)
        if mode is RunMode.RUN:
            with open_dict(config):
                del config["hydra"]
        return config


def check_references(points: Sequence[Config]) -> None:
    """Check that the runs and promoted models exist which the points start from or learn from.

    Raises:
        InputError: one does not, or the tracking store can't be read.
    """
    from pipeline.tracking.references import find_model, is_reference  # imports MLflow

    for point in points:
        for name in (point.base.path, point.train.teacher, point.mining.filter):
            if name is not None and is_reference(name):
                find_model(point.tracking, name)


def _fixed(word: str) -> list[str]:
    """Drop an override with several values; of several data sets keep the first."""
    (override,) = OverridesParser.create().parse_overrides([word])
    if not override.is_sweep_override():
        return [word]
    key = override.get_key_element()
    if key.partition(".")[0] != "dataset":
        return []
    return [f"{key}={next(override.sweep_string_iterator())}"]
