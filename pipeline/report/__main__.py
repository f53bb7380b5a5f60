"""The comparison of a sweep once more: ``python -m pipeline.report [OVERRIDES] [RUN_ID ...]``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import exit_code
from pipeline.records import InputError
from pipeline.redact import mask

EPILOG = """\
examples:
  python -m pipeline.report                                  the latest sweep
  python -m pipeline.report tracking.uri=http://localhost:5000 dataset=gooaq
  python -m pipeline.report report.latency_budget_ms=50      another budget for the verdict
  python -m pipeline.report 0123456789abcdef0123456789abcdef  this sweep
"""


def report(arguments: Sequence[str]) -> None:
    """Show the sweeps whose run ids are among ``arguments``, else the latest.

    Arguments with a ``=`` are overrides of the configuration: tracking.uri,
    tracking.experiment, output_dir, report.latency_budget_ms and dataset, which names the
    experiment, matter here.

    Raises:
        InputError, HydraException, OmegaConfBaseException: an argument is wrong or there is
            no sweep.
    """
    from pipeline.config.overrides import compose

    overrides = [word for word in arguments if "=" in word]
    sweeps = [word for word in arguments if "=" not in word]
    config = compose(overrides)

    from pipeline import tracking
    from pipeline.report.show import show

    if not sweeps:
        latest = tracking.latest_sweep(config.tracking)
        if latest is None:
            raise InputError(
                f"no finished sweep in {mask(config.tracking.uri)}; run make sweep first"
            )
        sweeps = [latest]
    for sweep in sweeps:
        output = Path(config.output_dir)
        folder = output if len(sweeps) == 1 else output / "sweeps" / sweep
        show(config.tracking, config.report, sweep, folder)


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.report",
        description="Print the comparison table of a sweep and write it as HTML, markdown and CSV.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("arguments", nargs="*", metavar="KEY=VALUE or RUN_ID")
    arguments = parser.parse_args().arguments
    return exit_code(lambda: report(arguments))


if __name__ == "__main__":
    sys.exit(main())
