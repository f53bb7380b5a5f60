"""Finished runs compared once more: ``python -m pipeline report [OVERRIDES] [RUN ...]``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.infra.errors import exit_code
from pipeline.infra.redact import mask
from pipeline.records import InputError

if TYPE_CHECKING:  # MLflow takes a second to import, and --help must be fast
    from pipeline.config.stages import TrackingConfig
    from pipeline.tracking.reader import RunRecord

EPILOG = """\
  RUN is the run id of a sweep, or the name of a finished run (the newest of that name) or its
  id. Sweeps are compared one by one, other runs with one another. Without a RUN it is the
  latest sweep of the experiment, or all its finished runs where there is no sweep.

examples:
  python -m pipeline report
  python -m pipeline report tracking.uri=http://localhost:5000 tracking.experiment=gooaq
  python -m pipeline report report.latency_budget_ms=50      another budget for the verdict
  python -m pipeline report 0123456789abcdef0123456789abcdef
  python -m pipeline report colbert_minilm_l6_1neg_1ep cross_encoder_minilm_l6_1neg_1ep
"""


def report(arguments: Sequence[str]) -> None:
    """Show the sweeps and runs that are named among ``arguments``, else what the experiment has.

    Arguments with a ``=`` are overrides of the configuration: tracking.uri,
    tracking.experiment, output_dir, report.latency_budget_ms and dataset, which names the
    experiment, matter here. Writes nothing where there is nothing to show.

    Raises:
        InputError, HydraException, OmegaConfBaseException: an argument is wrong, there is no
            such run, or the tracking store can't be read.
    """
    from pipeline.config.compose import compose

    config = compose([word for word in arguments if "=" in word])
    names = [word for word in arguments if "=" not in word]

    from pipeline.report.write import show, show_runs

    store, output = config.tracking, Path(config.output_dir)
    runs = [_find(store, name) for name in names] if names else _newest(store)
    once = {run.run_id: run for run in runs}
    sweeps = [run_id for run_id, run in once.items() if run.tags["kind"] == "sweep"]
    for sweep in sweeps:
        folder = output if len(once) == 1 else output / "sweeps" / sweep
        show(store, config.report, sweep, folder)
    if points := [run for run_id, run in once.items() if run_id not in sweeps]:
        show_runs(store, config.report, points, output)


def _find(config: "TrackingConfig", name: str) -> "RunRecord":
    """A sweep by its id, or a finished point by its id or name.

    Raises:
        InputError: there is none, or the run is something else.
    """
    from pipeline.config.compose import RUN_ID
    from pipeline.tracking import reader

    name = name.removeprefix("run:")
    if RUN_ID.fullmatch(name):
        run = reader.read_run(config, name)
        if run.tags.get("kind") == "sweep":
            return run
    run = reader.find_run(config, name)
    if run.tags.get("kind") != "point":
        raise InputError(f"run:{name}: {run.name} is neither a sweep nor a grid point")
    return run


def _newest(config: "TrackingConfig") -> list["RunRecord"]:
    """The latest sweep, else all finished points; says so if it is not a sweep."""
    from pipeline.tracking import reader

    if sweep := reader.latest_sweep(config):
        return [reader.read_run(config, sweep)]
    runs = reader.read_finished(config)
    store = f"experiment {config.experiment} of {mask(config.uri)}"
    if runs:
        print(f"no finished sweep in {store}: its single runs are compared, {len(runs)} in all")
    else:
        print(f"no finished run in {store}; make sweep makes some")
    return runs


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline report",
        description="Print the comparison table of runs and write it as HTML, markdown and CSV.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("arguments", nargs="*", metavar="KEY=VALUE or RUN")
    arguments = parser.parse_args().arguments
    return exit_code(lambda: report(arguments))


if __name__ == "__main__":
    sys.exit(main())
