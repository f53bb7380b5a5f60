"""Load the server, and a plain FastAPI server over the same model, in turns.

    python -m benchmarks.serving outputs/runs/RUN/model --seconds 60

16 clients ask at once, each for 20 documents of pydocs and again once it is answered. The servers
take turns, for a quarter of the seconds each. Words after the folder, such as
``hardware.precision=fp32``, are passed to ``python -m pipeline serve``. ``make bench ARGS=served``
is the same in short, over an untrained model.

Prints requests per second, percentiles of their milliseconds and errors as Markdown tables, and
writes outputs/bench/serving.json; exit code 1 if our server answered with an error or is less than
1.5 times as fast.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.bench.load import CLIENTS, DOCUMENTS, Load, bodies, total
from benchmarks.bench.results import environment
from benchmarks.bench.served import TARGET, load_test
from pipeline import data
from pipeline.config.compose import compose
from pipeline.config.stages import HardwareConfig
from pipeline.infra.hardware import resolve
from pipeline.infra.stage_cache import StageCache

FILE = Path("outputs/bench/serving.json")
ROUNDS = 4


def main(words: list[str]) -> int:
    """Print the tables, write the file, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--seconds", type=float, default=60, help="of load for each server")
    given = parser.parse_intermixed_args(words)
    seconds = given.seconds / ROUNDS
    found = load_test(given.folder, pydocs_requests(), ROUNDS, seconds, given.overrides)
    machine, health = resolve(HardwareConfig()), found.health
    print(f"\n{machine.name}, {machine.threads} threads, {machine.device}; {CLIENTS} clients with")
    print(f"{DOCUMENTS} documents each; {health['architecture']}, in {health['precision']}\n")
    _print("pipeline serve", found.ours)
    _print("plain FastAPI", found.plain)
    result = found.result(f"served, {given.folder} to {CLIENTS} clients", TARGET)
    print(result.line())
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(environment() | {"results": [result.record()]}, indent=1))
    return 0 if result.met else 1


def pydocs_requests() -> list[Any]:
    """Test queries of pydocs, each with other passages."""
    config = compose([])
    dataset = data.load(config.dataset, StageCache(Path(config.output_dir) / "cache"))
    return bodies(list(dataset.test.queries.values()), list(dataset.corpus.values()))


def _print(name: str, rounds: Sequence[Load]) -> None:
    """Print the table of one server."""
    columns = ("server", "requests/s", "p50 ms", "p95 ms", "p99 ms", "errors")
    print(f"| {' | '.join(columns)} |\n| --- {'| ---: ' * 5}|")
    rows = {f"{name}, round {i}": load for i, load in enumerate(rounds, start=1)}
    for label, load in (rows | {f"{name}, all": total(rounds)}).items():
        times = [f"{value:.0f}" for value in load.percentiles().values()] or ["-"] * 3
        print(f"| {' | '.join([label, f'{load.rate:.1f}', *times, str(load.errors)])} |")
    print()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
