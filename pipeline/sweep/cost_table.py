"""Show what a grid computes and keeps, on the terminal."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table

from pipeline.sweep.clock import duration
from pipeline.sweep.cost import Cost
from pipeline.sweep.estimate import Seconds
from pipeline.sweep.gpus import OnGpu

NOTES = """\
to score: candidates, training passages by a teacher, and the general data of the forgetting check
FLOPs: upper bounds, every text as long as the model reads; of training and of scoring candidates
GB to train: weights, gradients and AdamW's two moments in fp32; activations not counted
MB on disk: vectors of the index, stored token vectors, models; what points share counts once
time here: of points one after another, once data, index and negatives are made"""


def show(
    console: Console, costs: Sequence[Cost], total: Cost, seconds: Sequence[Seconds] | None
) -> None:
    """Print a table of the points and their total, and what its columns mean.

    ``seconds`` has the time of every point on this machine; None where it is not known.
    """
    table = Table("run", title="what is computed and kept", title_justify="left")
    heads = ("to train", "steps", "to score", "TFLOP\nto train", "TFLOP\nto score")
    for head in (*heads, "GB to\ntrain", "MB on\ndisk", "time\nhere"):
        table.add_column(head, justify="right")
    times = ["?"] * (len(costs) + 1)
    if seconds is not None:
        each = [sum(of_point) for of_point in seconds]
        times = [duration(time) for time in (*each, sum(each))]
    for cost, time in zip((*costs, total), times, strict=True):
        if cost is total:
            table.add_section()
        counts = (cost.pairs_to_train, cost.steps, cost.pairs_to_score)
        sizes = (
            _figures(cost.training_flops, 1e12),
            _figures(cost.scoring_flops, 1e12),
            _figures(cost.memory_bytes, 1e9),
            _figures(cost.disk_bytes, 1e6),
        )
        table.add_row(cost.run, *map(_count, counts), *sizes, time)
    console.print(table)
    console.print(NOTES, highlight=False)


def _count(number: int | None) -> str:
    if number is None:
        return "?"
    return f"{number:,}" if number else "-"


def _figures(value: float | None, unit: float) -> str:
    """Return three figures of ``value`` in ``unit``, as ``0.0123`` or ``12,300``; ? for None."""
    if value is None or value == 0:
        return "?" if value is None else "-"
    return _rounded(value / unit, 3)


def _rounded(value: float, figures: int) -> str:
    rounded = float(f"{value:.{figures}g}")
    return f"{rounded:,.0f}" if rounded >= 100 else f"{rounded:.{figures}g}"


def gpu_lines(gpus: Sequence[OnGpu], utilisation: float) -> Iterator[str]:
    """Say what the grid takes on every GPU, and that its utilisation is an assumption."""
    yield (
        f"on one GPU in bf16 these FLOPs alone take, at an ASSUMED {utilisation:.0%} of its peak "
        "(nothing was measured on a GPU; small models may reach less):"
    )
    if gpus[0].seconds is None:
        yield "  ?, not all FLOPs are known"
        return
    for gpu in gpus:
        seconds = gpu.seconds or 0.0
        time = duration(seconds) if seconds >= 90 else f"{_rounded(seconds, 2)} s"
        money = ""
        if gpu.cost is not None:
            money = f", money: {_rounded(gpu.cost, 2)} at {gpu.price_per_hour:g} an hour"
        yield f"  {gpu.gpu:<4} ({gpu.peak_flops / 1e12:.0f} TFLOP/s): {time}{money}"
