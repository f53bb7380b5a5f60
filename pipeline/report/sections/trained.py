"""Section "Test queries whose passage was trained on": the measure with and without them."""

from pipeline.records import SEARCHES
from pipeline.report.blocks import Section, Table
from pipeline.report.comparison import Comparison
from pipeline.report.format import MISSING, SEARCH_NAMES, number
from pipeline.report.points import Column, Flags, Point
from pipeline.report.study import Study

TITLE = "Test queries whose passage was trained on"


def section(study: Study) -> Section | None:
    """Show the first measure on all queries, and on those that share no passage with training."""
    comparison = study.comparison
    flags = _flags(comparison)
    if flags is None or not flags.any() or not comparison.qualities:
        return None
    texts = [note(comparison)]
    if flags.all():
        return Section(TITLE, [*texts, "There are no others to compare with."])
    texts.append(
        "A reranker may know the answers of the first kind from training. Beside each value on "
        f"all {len(flags):,} queries stands that on the {int((~flags).sum()):,} others."
    )
    return Section(TITLE, [*texts, _table(comparison)])


def note(comparison: Comparison) -> str:
    """Return how many test queries share a relevant passage with training; empty if none does."""
    flags = _flags(comparison)
    if flags is None or not flags.any():
        return ""
    return (
        f"{int(flags.sum()):,} of {len(flags):,} test queries share a relevant passage with a "
        "training query"
    )


def _flags(comparison: Comparison) -> Flags | None:
    """Return for every query whether it shares a relevant passage, from the first run with it."""
    found = (point.values.trained for point in comparison.points)
    return next((flags for flags in found if flags is not None), None)


def _table(comparison: Comparison) -> Table:
    quality = comparison.qualities[0]
    rows = []
    for label, point in zip(comparison.labels, comparison.points, strict=True):
        for search in SEARCHES:
            cells = []
            for column in (search, f"{search}_reranked", f"{search}_fused"):
                cells += _both(point, point.values.of(column, quality.metric))
            if cells[0] != MISSING:
                rows.append([label, SEARCH_NAMES[search], *cells])
    orders = [name for order in ("alone", "reranked", "fused") for name in (order, "others")]
    caption = f"{quality.name} on all test queries, and on the others"
    return Table(caption, ["run", "search", *orders], rows, names=2)


def _both(point: Point, values: Column | None) -> list[str]:
    flags = point.values.trained
    if values is None:
        return [MISSING, MISSING]
    others = None if flags is None else float(values[~flags].mean())
    return [number(float(values.mean())), number(others)]
