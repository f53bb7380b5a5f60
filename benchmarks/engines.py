"""Compare the engines that can compute a cross-encoder, one query at a time, as it is served.

    python benchmarks/engines.py                        minilm_l6 with a new head
    python benchmarks/engines.py MODEL hardware.threads=2

20 passages of pydocs are reranked for each query, read at 96 tokens, which nearly all of them fill.
The engines take turns, query by query. Prints milliseconds per query, the largest difference of a
logit to that of torch in fp32, and Kendall's tau to its order, as a Markdown table. CPU is the time
of the processor, which neighbours on a busy machine hardly change; p50 and p95 are of the clock.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from statistics import fmean, median

import numpy as np
from scipy.stats import kendalltau

from pipeline import data
from pipeline.config import Config
from pipeline.config.compose import compose
from pipeline.infra import quiet
from pipeline.infra.hardware import Hardware, resolve
from pipeline.infra.model_files import prepare_base
from pipeline.infra.stage_cache import StageCache
from pipeline.protocols import Scorer, Scores
from pipeline.rerankers import load_reranker
from pipeline.rerankers.cross_encoder import CrossEncoderReranker

QUERIES, PASSAGES, TOKENS = 20, 20, 96
LETTERS = 500  # of a passage at least, so that it has the tokens
ROUNDS = 5


class Engines:
    """The same weights under every engine and precision."""

    def __init__(self, config: Config, model: Path, dedicated: bool) -> None:
        self._config = config
        self._model = model
        self._dedicated = dedicated
        self.machine = resolve(config.hardware)

    def all(self) -> Iterator[tuple[str, Scorer]]:
        """Yield each engine by its name, torch in fp32 first."""
        for precision in ("fp32", "bf16"):
            yield f"torch {precision}", self._torch(precision)
        for precision in ("fp32", "bf16"):
            yield f"OpenVINO {precision}", self._torch(precision).by_openvino()
        yield "OpenVINO int8", self._torch(self.machine.precision).by_openvino(int8=True)

    def _torch(self, precision: str) -> CrossEncoderReranker:
        machine: Hardware = replace(self.machine, precision=precision)
        found = load_reranker(
            self._model, self._config.arch, machine, 32, seed=1, dedicated=self._dedicated
        )
        assert isinstance(found, CrossEncoderReranker)
        return found


def main(words: list[str]) -> None:
    """Print the table for the model in the folder that ``words`` begin with, or for minilm_l6."""
    quiet.silence()
    folder = Path(words.pop(0)) if words and "=" not in words[0] else None
    config = compose(["arch=cross_encoder", f"arch.max_length={TOKENS}", *words])
    cache = StageCache(Path(config.output_dir) / "cache")
    dataset = data.load(config.dataset, cache)
    model = folder or prepare_base(config.base, cache)
    engines = Engines(config, model, dedicated=folder is not None)
    scorers = dict(engines.all())
    long = (text for text in dataset.corpus.values() if len(text) >= LETTERS)
    queries = dict(islice(dataset.test.queries.items(), QUERIES))
    asked = [
        ({name: text}, {str(n): passage for n, passage in enumerate(islice(long, PASSAGES))})
        for name, text in queries.items()
    ]

    def score(engine: str, place: int) -> Scores:
        query, passages = asked[place]
        return scorers[engine].score_pairs(query, passages, [(*query, name) for name in passages])

    logits = {engine: [score(engine, n) for n in range(len(asked))] for engine in scorers}
    clock: dict[str, list[float]] = {engine: [] for engine in scorers}
    processor: dict[str, list[float]] = {engine: [] for engine in scorers}
    for _ in range(ROUNDS):
        for place in range(len(asked)):
            for engine in scorers:
                start, used = time.perf_counter(), time.process_time()
                score(engine, place)
                clock[engine].append(1000 * (time.perf_counter() - start))
                processor[engine].append(1000 * (time.process_time() - used))
    print(f"{engines.machine.name}, {engines.machine.threads} threads\n")
    print("| engine | p50 ms | p95 ms | CPU ms (10% to 90%) | largest difference | Kendall's tau |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    exact = logits["torch fp32"]
    for engine, found in logits.items():
        p50, p95 = np.percentile(clock[engine], [50, 95])
        low, high = np.percentile(processor[engine], [10, 90])
        difference = max(abs(a - b).max() for a, b in zip(found, exact, strict=True))
        tau = fmean(kendalltau(a, b).statistic for a, b in zip(found, exact, strict=True))
        cpu = f"{median(processor[engine]):.0f} ({low:.0f} to {high:.0f})"
        print(f"| {engine} | {p50:.0f} | {p95:.0f} | {cpu} | {difference:.1g} | {tau:.3f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", metavar="MODEL or KEY=VALUE")
    main(parser.parse_args().words)
