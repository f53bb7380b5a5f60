"""Train and compare a grid: ``python -m pipeline sweep experiment=pydocs``."""

from collections.abc import Sequence

from pipeline.commands.arguments import Parser

EPILOG = """\
The grid is the union of the lines of the key grid, each a product of overrides; values separated
by commas span a grid too. An override beside experiment= replaces what its lines say; the search
alone (arch=none) and untrained bases (epochs=0) stay in the grid as they are. Every point is
composed and checked before the first one starts. An interrupted sweep is resumed: points that have
finished are not run again. A point that fails is recorded, and the other points still run; running
the command again retries it.

keys:
  experiment=NAME    a ready-made grid: smoke, pydocs, pydocs_full, forms, seeds, curve,
                     report (needs GPUs)
  force=true         train and measure every point again
  fail_fast=true     stop at the first point that fails
  retries=2          how often a point that fails is run again at once
  hydra/launcher=...  joblib, slurm or ray; default: one point after the other here
  any other key of a point: python -m pipeline run --help

examples:
  python -m pipeline sweep experiment=smoke
  python -m pipeline sweep experiment=pydocs epochs=2
  python -m pipeline sweep arch=colbert,cross_encoder negatives=1,2 epochs=1
  python -m pipeline sweep experiment=report hydra/launcher=slurm hydra.launcher.partition=gpu
"""


def main(words: Sequence[str]) -> None:
    """Run the grid that ``words`` describe and show the comparison table.

    Raises:
        InputError, HydraException, OmegaConfBaseException: a point is not valid; nothing was run.
        RuntimeError: some points failed; the others are recorded.
        Refused: another process is running this sweep.
    """
    parser = Parser("sweep", "Train and compare every point of a grid.", EPILOG)
    parser.add_overrides()
    arguments = parser.parse_args(words)

    from pipeline.sweep.run import run

    run(arguments.overrides)
