"""Measure how much of a point's time is this project's own, by sampling what it does.

A thread looks at the stack of the main thread every few milliseconds. A stack counts for the
innermost of its frames that is this project's or one of ``PARTS``. Every other library, Python's
own, numpy and ir-measures among them, and all compiled code count for the code that calls it. So
MaxSim, the metrics and the checksums of files are the project's own. Its package ``data`` counts as
data loading, and every stack that imports a module as "imports". While the main thread waits for
threads that compute batches, their stacks count in place of its own, each for its share.

Own overhead is what is left without the model, LanceDB, data loading, imports and MLflow. Imports
take the same seconds for a small and a large point, and MLflow nearly so. They are shown beside it.
"""

import shutil
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pipeline
from benchmarks.bench.results import Share
from pipeline.config.compose import compose
from pipeline.experiment import recipe
from pipeline.infra.batches import BATCH

ROOT = Path(pipeline.__file__).parent.parent.as_posix() + "/"
OURS = "pipeline/"
BATCHES = "pipeline/infra/batches.py"  # waits for threads
PROCESSES = "pipeline/infra/processes.py"  # waits for processes, which counts for its caller
IMPORTS, LOADING = "imports", "data loading"
PARTS = {
    "accelerate": "model",
    "datasets": LOADING,
    "lance": "LanceDB",
    "lancedb": "LanceDB",
    "mlflow": "MLflow",
    "pylate": "model",
    "safetensors": "model",
    "sentence_transformers": "model",
    "tokenizers": "model",
    "torch": "model",
    "transformers": "model",
}
PAUSE = 0.005  # seconds between two looks
POINT = (
    "base=minilm_l6",
    "negatives=3",
    "dataset.packages=[networkx,scikit-learn]",
    "dataset.max_corpus=2000",
    "dataset.max_train_queries=400",
    "dataset.max_dev_queries=50",
    "dataset.max_eval_queries=150",
    "eval.depth=20",
    "latency.limits=[20]",
)


def overhead(arch: str, target: float) -> Iterator[Share]:
    """Run a point in an empty folder, from data to its MLflow run, and sample it."""
    # A folder each: MLflow keeps a connection to the database of the first.
    folder = Path("outputs/bench/overhead") / arch
    shutil.rmtree(folder, ignore_errors=True)
    run = folder / "run"
    run.mkdir(parents=True)
    config = compose([*POINT, f"arch={arch}", f"output_dir={folder}"])
    with sampled() as seconds:
        recipe.run(config, run)
    whole = sum(seconds.values())
    own = sum(spent for part, spent in seconds.items() if part.startswith(OURS))
    others = sorted(set(PARTS.values()) | {IMPORTS}, key=lambda part: -seconds[part])
    yield Share(
        f"overhead, {arch}",
        own / whole,
        f"the {whole:.0f} s of a point",
        ", ".join(f"{part} {seconds[part] / whole:.1%}" for part in others),
        at_most=target,
        inputs={"seconds": dict(seconds), "overrides": POINT},
    )


@contextmanager
def sampled() -> Iterator[dict[str, float]]:
    """Count the seconds of each part of what this thread does within the block.

    A look counts for the seconds since the last one. Compiled code may let no other thread run for
    a while, and the look that follows it counts for all of that time.
    """
    seconds: dict[str, float] = defaultdict(float)
    ended, thread = threading.Event(), threading.get_ident()

    def look() -> None:
        last = time.perf_counter()
        while not ended.wait(PAUSE):
            parts = parts_of(sys._current_frames(), thread)
            now = time.perf_counter()
            for part in parts:
                seconds[part] += (now - last) / len(parts)
            last = now

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield seconds
    finally:
        ended.set()
        looking.join()


def parts_of(frames: Mapping[int, FrameType], thread: int) -> list[str]:
    """Tell what a thread does, or what each of the threads does that compute batches for it."""
    part = part_of(files_of(frames.get(thread)))
    if part != BATCHES:
        return [part]
    names = {other.ident: other.name for other in threading.enumerate()}
    computing = [
        part_of(files_of(frame))
        for other, frame in frames.items()
        if names.get(other, "").startswith(BATCH)
    ]
    return computing or [part]


def files_of(frame: FrameType | None) -> list[str]:
    """The files of a stack, innermost frame first."""
    files = []
    while frame is not None:
        files.append(frame.f_code.co_filename)
        frame = frame.f_back
    return files


def part_of(files: Iterable[str]) -> str:
    """Tell what a stack counts for: a part, or the file of this project.

    ``files`` are those of its frames, innermost first.
    """
    found = list(files)
    if any(file.startswith("<frozen importlib") for file in found):
        return IMPORTS
    for file in found:
        ours = file.removeprefix(ROOT)
        if ours.startswith(OURS) and ours != PROCESSES:
            return LOADING if ours.startswith(f"{OURS}data/") else ours
        package = file.partition("/site-packages/")[2].partition("/")[0].removesuffix(".py")
        if package in PARTS:
            return PARTS[package]
    return OURS
