"""Compare this project with the stock way to do the same: ``make bench``.

    python -m benchmarks.bench                   all of them, some 30 minutes on two cores
    python -m benchmarks.bench scoring served    those whose names begin so

The ways take turns in one process, but for servers, and medians are compared, so that whatever else
the machine does meets both. Writes outputs/bench/bench.json; exit code 1 if a target is missed.
"""

import json
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from benchmarks.bench.grid import grid
from benchmarks.bench.overhead import overhead
from benchmarks.bench.results import Finding, environment
from benchmarks.bench.roofline import roofline
from benchmarks.bench.scoring import evaluation, pairs, stored
from benchmarks.bench.served import TARGET, served
from benchmarks.bench.training import training
from pipeline.config.stages import HardwareConfig
from pipeline.infra import quiet
from pipeline.infra.hardware import resolve

FILE = Path("outputs/bench/bench.json")
BENCHMARKS: dict[str, Callable[[], Iterable[Finding]]] = {
    "evaluation, cross_encoder": partial(evaluation, "cross_encoder", 9),
    "evaluation, colbert": partial(evaluation, "colbert", 10),
    "scoring, cross_encoder": partial(pairs, "cross_encoder", 2),
    "scoring, colbert": partial(pairs, "colbert", 2),
    "serving, colbert with stored vectors": partial(stored, 20),
    "served, cross_encoder": partial(served, TARGET),
    "training, cross_encoder in fp32": partial(training, "cross_encoder", "fp32", 1.3),
    "training, colbert in fp32": partial(training, "colbert", "fp32", 1.3),
    "training, cross_encoder in the fastest precision": partial(
        training, "cross_encoder", "auto", 1.8
    ),
    "training, colbert in the fastest precision": partial(training, "colbert", "auto", 1.8),
    "roofline, cross_encoder": partial(roofline, "cross_encoder"),
    "roofline, colbert": partial(roofline, "colbert"),
    "overhead, cross_encoder": partial(overhead, "cross_encoder", 0.03),
    "overhead, colbert": partial(overhead, "colbert", 0.03),
    "grid": partial(grid, 3),
}


def main(words: list[str]) -> int:
    """Run the benchmarks that begin with one of ``words``; return the exit code."""
    chosen = [name for name in BENCHMARKS if not words or name.startswith(tuple(words))]
    if not chosen:
        print(f"error: no such benchmark; there are: {'; '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    quiet.silence()
    machine = resolve(HardwareConfig())
    print(f"{machine.name}, {machine.threads} threads")
    record = environment()
    FILE.parent.mkdir(parents=True, exist_ok=True)
    results: list[Finding] = []
    for number, name in enumerate(chosen, start=1):
        print(f"[{number}/{len(chosen)}] {name}", flush=True)
        for result in BENCHMARKS[name]():
            results.append(result)
            print(result.line(), flush=True)
            record["results"] = [found.record() for found in results]
            FILE.write_text(json.dumps(record, indent=1))
    aimed = [result.met for result in results if result.met is not None]
    print(f"{sum(aimed)} of {len(aimed)} targets met; {FILE}")
    return 0 if all(aimed) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
