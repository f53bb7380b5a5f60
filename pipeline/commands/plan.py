"""List what a grid would do and cost: ``python -m pipeline plan experiment=report``."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from pipeline.commands.arguments import Parser
from pipeline.config import Config
from pipeline.infra.imports import importing
from pipeline.sweep.gpus import UTILISATION, OnGpu, check_utilisation, on_gpus, parse_prices
from pipeline.sweep.grid import Grid, check_references

if TYPE_CHECKING:
    from pipeline.sweep.cost import Cost
    from pipeline.sweep.plan import Planned
    from pipeline.training.schedule import Schedule

EPILOG = """\
Composes and checks every point, and prints its pairs and steps. A data set of your own (labelled,
beir) is read and split as a sweep does, in a temporary folder; of the others no data are loaded:
rows are those that the configuration names, before the splits are made disjoint. A ? stands where
only files that are not here, or of more than 200 MB, can tell.

FLOPs are upper bounds from the sizes in the base's config.json, which for a hub id is read from the
hub's cache. The time on a GPU is these FLOPs by an assumed share of its peak, not measured. The
time here is the work by the speed of this machine, measured for some seconds for every kind of
point whose base is here, as if nothing were cached and the points ran one after another.

examples:
  python -m pipeline plan experiment=report
  python -m pipeline plan arch=colbert,cross_encoder negatives=1,2,3
  python -m pipeline plan experiment=pydocs --price L4=0.8,H100=3.5
"""


def main(words: Sequence[str]) -> None:
    """Print what the grid that ``words`` describe would do and cost.

    Raises:
        InputError, HydraException, OmegaConfBaseException: a point, a data set or an option is not
            valid, or there is no such run to start from.
    """
    parser = Parser("plan", "List what a sweep would do and cost, without doing it.", EPILOG)
    parser.add_overrides()
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.add_argument(
        "--price",
        metavar="GPU=PRICE,...",
        help="prices per hour, from which the money is computed: L4, A10G, A100, H100",
    )
    parser.add_argument(
        "--utilisation",
        type=float,
        default=UTILISATION,
        metavar="SHARE",
        help="of a GPU's peak FLOP/s, an assumption (default: %(default)s)",
    )
    arguments = parser.parse_intermixed_args(words)
    prices = parse_prices(arguments.price)
    utilisation = check_utilisation(arguments.utilisation)

    # before the heavy imports, to report a mistake at once
    planned = _plan(Grid(arguments.overrides).points)
    gpus = on_gpus(planned.total.flops, utilisation, prices)
    if arguments.json:
        print(json.dumps(_as_object(planned, gpus, utilisation, prices), indent=2))
    else:
        _show(planned, gpus, utilisation)


def _plan(points: Sequence[Config]) -> "Planned":
    """Count what the points do and cost, once what they start from is known to exist."""
    with importing():
        from pipeline.infra import quiet
        from pipeline.sweep.plan import plan_grid
    quiet.silence()
    check_references(points)
    return plan_grid(points)


def _show(planned: "Planned", gpus: Sequence[OnGpu], utilisation: float) -> None:
    """Print the plan as tables; the first is there before the time on this machine is measured."""
    from rich.console import Console

    from pipeline.sweep import cost_table, plan_table
    from pipeline.sweep.plan import measure

    console = Console(width=None if sys.stdout.isatty() else 140)
    plan_table.show_points(console, planned)
    if not planned.unknown:
        console.print("measuring how fast this machine trains and scores", highlight=False)
    seconds = measure(planned)
    cost_table.show(console, planned.costs, planned.total, seconds)
    for line in cost_table.gpu_lines(gpus, utilisation):
        console.print(line, highlight=False)
    plan_table.show_time(console, planned, seconds)


def _as_object(
    planned: "Planned", gpus: Sequence[OnGpu], utilisation: float, prices: Mapping[str, float]
) -> dict[str, object]:
    """All that is printed, with null for a ?, in bytes, seconds and FLOPs."""
    from pipeline.sweep.plan import measure

    measured = measure(planned)
    seconds = None if measured is None else [of_point._asdict() for of_point in measured]
    each: Sequence[dict[str, float] | None] = seconds or [None] * len(planned.points)
    rows = zip(planned.points, planned.schedules, planned.costs, each, strict=True)
    return {
        "dataset": planned.points[0].dataset.name,
        "points": [
            _settings(point, schedule)
            | asdict(cost)
            | {"seconds": of_point, "gpus": _on_gpus(cost, utilisation, prices)}
            for point, schedule, cost, of_point in rows
        ],
        "total": asdict(planned.total),
        "gpu": {
            "assumed_utilisation": utilisation,
            "measured": False,
            "gpus": [gpu._asdict() for gpu in gpus],
        },
        "here": {"unknown": planned.unknown or None, "seconds": seconds},
    }


def _on_gpus(
    cost: "Cost", utilisation: float, prices: Mapping[str, float]
) -> list[dict[str, object]]:
    """What the FLOPs of a point take on every GPU, and their money."""
    found = on_gpus(cost.flops, utilisation, prices)
    return [{"gpu": gpu.gpu, "seconds": gpu.seconds, "cost": gpu.cost} for gpu in found]


def _settings(point: Config, schedule: "Schedule | None") -> dict[str, object]:
    """The row of a point in the first table; ``pairs`` and ``steps`` count what it shares, too."""
    return {
        "start": point.initialisation,
        "negatives": point.negatives,
        "epochs": point.epochs,
        "batch_size": point.train.batch_size,
        "learning_rate": point.train.learning_rate,
        "schedule": schedule and {"pairs": schedule.pairs, "steps": schedule.steps},
    }
