"""The runs of one sweep side by side, as numbers; ``table`` turns them into text.

Pure: runs and per-query values in, figures out. Every run is compared with its own search
without reranking, on the same queries and candidates, which is what the control (arch=none)
shows. Does not pool seeds.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan, nan

from pipeline.metrics import PerQuery
from pipeline.records import MODES
from pipeline.significance import holm, interval, randomisation_test
from pipeline.tracking import RunRecord

GROUPS = ("none", "untrained", "dedicated", "scratch", "finetuned")
"""Values of the tag ``initialisation`` in the order of the published tables."""

COLUMNS = {f"{mode}_{stage}": mode for mode in MODES for stage in ("reranked", "fused")}
"""The stages that a table compares, each with the search it starts from."""

LEVEL = 0.05  # of the corrected tests


@dataclass(frozen=True)
class Cell:
    """One figure of one run; NaN where there is none."""

    value: float = nan
    gain: float = nan  # over the search without reranking
    p_value: float = nan  # Holm-corrected over the column
    best: bool = False

    @property
    def significant(self) -> bool:
        """Whether the run differs from no reranking."""
        return self.p_value < LEVEL


@dataclass(frozen=True)
class Quality:
    """One measure at one cutoff: ``rows[i][column]`` belongs to run i, columns as in COLUMNS."""

    measure: str  # ndcg or hit_rate
    cutoff: int
    rows: list[dict[str, Cell]]
    half_width: dict[str, float]  # mode -> half the 95% interval without reranking


@dataclass(frozen=True)
class Comparison:
    """A sweep: finished runs in table order with their figures, and the others."""

    runs: list[RunRecord]
    labels: list[str]
    unfinished: list[RunRecord]
    qualities: list[Quality]  # largest cutoff first
    queries: int
    passages: str  # as logged, empty if not
    datasets: list[str]
    ceilings: dict[str, tuple[int, float]]  # mode -> depth, recall of the candidates
    latency_limit: int | None  # passages reranked, 50 if it was measured

    def latency(self, run: RunRecord) -> float:
        """Median milliseconds of one vector query."""
        return run.metrics.get(f"latency/vector_{self.latency_limit}/total_p50_ms", nan)


def compare(
    records: Sequence[RunRecord], read_per_query: Callable[[str], dict[str, PerQuery]]
) -> Comparison:
    """Compare the finished runs among ``records``.

    ``read_per_query`` maps a run id to stage -> metric -> query id -> value and is called once
    per run, so that the values of only one run are in memory.
    """
    runs = sorted((r for r in records if r.status == "FINISHED"), key=_table_order)
    measures = [(name, k) for k in _cutoffs(runs) for name in ("ndcg", "hit_rate")]
    p_values: list[dict[tuple[str, int, str], float]] = []
    half_widths: dict[tuple[str, int, str], float] = {}
    queries = 0
    for run in runs:  # controls come first, so the half widths are theirs if there is one
        stages = read_per_query(run.run_id)
        p_values.append({})
        for measure, k in measures:
            name = f"{measure}_at_{k}"
            for mode in MODES:
                baseline = stages.get(mode, {}).get(name, {})
                queries = queries or len(baseline)
                if baseline and (measure, k, mode) not in half_widths:
                    low, high = interval(baseline)
                    half_widths[measure, k, mode] = (high - low) / 2
            for column, mode in COLUMNS.items():
                treatment = stages.get(column, {}).get(name)
                first_stage = stages.get(mode, {}).get(name)
                if treatment and first_stage:
                    p_value = randomisation_test(treatment, first_stage)
                    p_values[-1][measure, k, column] = p_value
    qualities = [
        _quality(
            runs,
            measure,
            k,
            [{c: p[measure, k, c] for c in COLUMNS if (measure, k, c) in p} for p in p_values],
            {m: half_widths[measure, k, m] for m in MODES if (measure, k, m) in half_widths},
        )
        for measure, k in measures
    ]
    return Comparison(
        runs=runs,
        labels=_labels(runs),
        unfinished=[r for r in records if r.status != "FINISHED"],
        qualities=qualities,
        queries=queries,
        passages=next((r.params["data.corpus"] for r in runs if "data.corpus" in r.params), ""),
        datasets=sorted({_dataset(run) for run in runs}),
        ceilings=_ceilings(runs),
        latency_limit=_latency_limit(runs),
    )


def natural(text: str) -> list[tuple[int, str]]:
    """A sort key that puts 2ep before 10ep."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", text)]


def _table_order(run: RunRecord) -> tuple[int, list[tuple[int, str]], str]:
    group = run.tags.get("initialisation", "")
    position = GROUPS.index(group) if group in GROUPS else len(GROUPS)
    return position, natural(run.name), run.params.get("seed", "")


def _labels(runs: Sequence[RunRecord]) -> list[str]:
    """Run names; where one occurs twice, with the seed or else the run id."""
    names = Counter(run.name for run in runs)
    seeds = Counter((run.name, run.params.get("seed")) for run in runs)
    labels = []
    for run in runs:
        seed = run.params.get("seed")
        if names[run.name] == 1:
            labels.append(run.name)
        elif seed is not None and seeds[run.name, seed] == 1:
            labels.append(f"{run.name} (seed {seed})")
        else:
            labels.append(f"{run.name} ({run.run_id[:8]})")
    return labels


def _dataset(run: RunRecord) -> str:
    name, fingerprint = run.tags.get("dataset", ""), run.params.get("data.fingerprint", "")
    return f"{name} {fingerprint[:8]}".strip()


def _numbers(runs: Sequence[RunRecord], pattern: str) -> list[int]:
    """The numbers that ``pattern`` captures from the names of the metrics, largest first."""
    names = {name for run in runs for name in run.metrics}
    found = (re.fullmatch(pattern, name) for name in names)
    return sorted({int(match[1]) for match in found if match}, reverse=True)


def _cutoffs(runs: Sequence[RunRecord]) -> list[int]:
    return _numbers(runs, rf"(?:{'|'.join(MODES)})/ndcg_at_(\d+)")


def _latency_limit(runs: Sequence[RunRecord]) -> int | None:
    limits = _numbers(runs, r"latency/vector_(\d+)/total_p50_ms")
    return 50 if 50 in limits else next(iter(limits), None)


def _ceilings(runs: Sequence[RunRecord]) -> dict[str, tuple[int, float]]:
    ceilings = {}
    for mode in MODES:
        depths = _numbers(runs, rf"{mode}_candidates/recall_at_(\d+)")
        if depths:
            name = f"{mode}_candidates/recall_at_{depths[0]}"
            ceilings[mode] = depths[0], next(r.metrics[name] for r in runs if name in r.metrics)
    return ceilings


def _quality(
    runs: Sequence[RunRecord],
    measure: str,
    k: int,
    p_values: Sequence[dict[str, float]],
    half_width: dict[str, float],
) -> Quality:
    rows: list[dict[str, Cell]] = [{} for _ in runs]
    for column, mode in COLUMNS.items():
        values, gains = [], []
        for run in runs:
            first_stage = run.metrics.get(f"{mode}/{measure}_at_{k}", nan)
            # In the row of the control the search alone stands in for both.
            control = run.tags.get("initialisation") == "none"
            value = run.metrics.get(f"{column}/{measure}_at_{k}", first_stage if control else nan)
            values.append(value)
            gains.append(value - first_stage)
        tested = [i for i, row in enumerate(p_values) if column in row]
        corrected = holm([p_values[i][column] for i in tested])
        adjusted = dict(zip(tested, corrected, strict=True))
        highest = max((value for value in values if not isnan(value)), default=nan)
        for i, row in enumerate(rows):
            best = values[i] == highest
            row[column] = Cell(values[i], gains[i], adjusted.get(i, nan), best)
    return Quality(measure, k, rows, half_width)
