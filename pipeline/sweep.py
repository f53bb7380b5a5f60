"""A whole grid: ``python -m pipeline.sweep experiment=pydocs``.

``grid`` in the configuration is a list of lines, each a product of overrides; their union is
the grid, so controls are lines like any other. Every point is composed and checked before the
first one starts. The points run through Hydra's launcher (``hydra/launcher=``), as children of
one MLflow run; a point that fails is recorded and the others go on. What an earlier attempt
at the same sweep has finished is not run again (pipeline/resume.py), unless ``force=true``.
"""

import itertools
import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from hydra._internal.callbacks import Callbacks
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus, configure_log
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, open_dict

from pipeline.config import Config, conf_dir, register_schemas, typed
from pipeline.config.overrides import with_named_base
from pipeline.errors import exit_code, one_line
from pipeline.progress import Reported

log = logging.getLogger("pipeline")


def expand(lines: Sequence[str], overrides: Sequence[str]) -> list[list[str]]:
    """The points of a grid: each line's product, with ``overrides`` on top, duplicates once.

    ``expand(["a=1,2 b=3"], ["c=4"])`` is ``[["a=1", "b=3", "c=4"], ["a=2", "b=3", "c=4"]]``.
    """
    parser = OverridesParser.create()
    points: dict[tuple[str, ...], None] = {}
    for line in lines or [""]:
        choices: dict[str, list[str]] = {}
        for override in parser.parse_overrides([*line.split(), *overrides]):
            key = override.get_key_element()
            values = (
                override.sweep_string_iterator()
                if override.is_sweep_override()
                else [override.get_value_element_as_str()]
            )
            choices[key] = [f"{key}={value}" for value in values]
        for point in itertools.product(*choices.values()):
            points[point] = None
    return [list(point) for point in points]


class Grid:
    """The composed grid: what is run, and the Hydra objects that run it."""

    def __init__(self, overrides: Sequence[str]) -> None:
        """Compose every point.

        Raises:
            InputError, HydraException, OmegaConfBaseException: a point is not valid.
        """
        register_schemas()
        self._hydra = Hydra.create_main_hydra2(
            "pipeline", create_config_search_path(str(conf_dir()))
        )
        GlobalHydra.instance().clear()  # it is there for hydra.compose, and one at a time
        fixed = with_named_base([word for word in overrides if not _is_sweep(word)])
        self.master = self._compose(fixed, RunMode.MULTIRUN)
        self.config = typed(self._compose(fixed, RunMode.RUN))
        grid = expand(self.config.grid, overrides)
        self.overrides = [with_named_base(point) for point in grid]
        self.points: list[Config] = [
            typed(self._compose(point, RunMode.RUN)) for point in self.overrides
        ]

    def _compose(self, overrides: Sequence[str], mode: RunMode) -> DictConfig:
        loader = self._hydra.config_loader
        config = loader.load_configuration("config", list(overrides), mode, from_shell=False)
        if mode is RunMode.RUN:
            with open_dict(config):
                del config["hydra"]
        return config

    def launch(self, parent_run_id: str, numbers: Sequence[int]) -> list[JobReturn]:
        """Run the points with these numbers, return their results in order.

        With ``fail_fast`` one by one, whatever the launcher, and not beyond the first that fails.
        """
        HydraConfig.instance().set_config(self.master)
        launcher = Plugins.instance().instantiate_launcher(
            config=self.master,
            hydra_context=HydraContext(
                config_loader=self._hydra.config_loader, callbacks=Callbacks(self.master)
            ),
            task_function=Reported(len(numbers), str(self.master.hydra.sweep.dir)),
        )
        parent = f"tracking.parent_run_id={parent_run_id}"
        one_by_one = self.config.fail_fast
        results: list[JobReturn] = []
        for group in [[number] for number in numbers] if one_by_one else [numbers]:
            points = [[*self.overrides[number], parent] for number in group]
            results += launcher.launch(points, initial_job_idx=len(results))
            if one_by_one and results[-1].status is JobStatus.FAILED:
                break
        return results


def _is_sweep(word: str) -> bool:
    return bool(OverridesParser.create().parse_override(word).is_sweep_override())


def run(overrides: Sequence[str]) -> None:
    """Run the grid of ``overrides`` and show the comparison table.

    Raises:
        InputError: a point is not valid; nothing has been run.
        RuntimeError: some points failed; the others are recorded.
        Refused: another process is running this sweep.
    """
    grid = Grid(overrides)
    from pipeline import data, hardware, quiet, resume, tracking
    from pipeline.fingerprint import fingerprints
    from pipeline.report.show import show
    from pipeline.shared import prepare

    quiet.silence()
    config, output = grid.config, Path(grid.config.output_dir)
    known = fingerprints(grid.points)
    earlier = resume.Earlier() if config.force else resume.find(config.tracking, known)
    # Points that differ in nothing that matters have one fingerprint and are run once.
    pending = [
        number
        for number, of_point in enumerate(known)
        if of_point not in earlier.finished and known.index(of_point) == number
    ]
    if not pending and earlier.run_id:
        show(config.tracking, config.report, earlier.run_id, output)
        print(f"complete: all {len(known)} points had finished; force=true runs them anew")
        return
    folder = Path(grid.master.hydra.sweep.dir)
    folder.mkdir(parents=True, exist_ok=True)
    with open_dict(grid.master):
        grid.master.hydra.runtime.output_dir = str(folder)
    configure_log(grid.master.hydra.job_logging, False)
    if earlier.run_id:
        done = len(grid.points) - len(pending)
        log.info("going on with sweep %s: %d points were finished", earlier.run_id, done)
    log.info("%d points, first what they share", len(pending))
    start = time.perf_counter()
    # The points that train need the negatives as well; one of each data set prepares all.
    points = [grid.points[number] for number in pending]
    shared = {str((p.dataset, p.embedder, p.mining, p.epochs > 0)): p for p in points}
    said = set()
    for point in shared.values():
        dataset = prepare(point, hardware.resolve(point.hardware)).dataset
        if dataset.fingerprint not in said:
            log.info("%s", data.summary(dataset))
        said.add(dataset.fingerprint)
    tags = {
        "kind": "sweep",
        "dataset": config.dataset.name,
        "fingerprint": resume.sweep_fingerprint(known),
    }
    with tracking.run(config.tracking, "sweep", tags, earlier.run_id) as parent:
        about = {"grid": list(config.grid), "points": len(grid.points)}
        parent.log_params(tracking.flatten(about))
        results = grid.launch(parent.run_id, pending)
        parent.log_metrics({"sweep/seconds": time.perf_counter() - start})
    failed = [
        f"{point.run_name}: {one_line(result._return_value)}"
        for point, result in zip(points, results, strict=not config.fail_fast)
        if result.status is JobStatus.FAILED
    ]
    for file in show(config.tracking, config.report, parent.run_id, output):
        parent.log_file(file, "report")
        if file.suffix == ".md":  # the sweep's page in the UI opens with the table
            parent.log_note(file.read_text(encoding="utf-8").removeprefix("# Comparison\n"))
    minutes = (time.perf_counter() - start) / 60
    print(f"{len(results) - len(failed)} of {len(points)} points in {minutes:.1f} minutes")
    print("browse them: make ui")
    if failed:
        raise RuntimeError(f"{len(failed)} points failed: " + "; ".join(failed))


def main() -> None:
    """``python -m pipeline.sweep [overrides]``."""
    os.environ["HYDRA_FULL_ERROR"] = "1"
    sys.exit(exit_code(lambda: run(sys.argv[1:])))


if __name__ == "__main__":
    main()
