"""Compare the FLOP/s of training and scoring with those of a plain matrix product.

The FLOPs are counted as ``make plan`` counts them, and every text is longer than the model reads,
so that the count is exact. The seconds are measured as a sweep measures them for its estimate, with
the real trainer and the real scorer. The product is one of two square matrices in the same
precision. Both take turns.

On a CPU the lengths are those of the default point, and nothing is to be reached. On a CUDA GPU
texts have 256 tokens, and there is a second model with the sizes of ModernBERT-base.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import torch

from benchmarks.bench.results import Share
from pipeline.config import Config
from pipeline.config.compose import compose
from pipeline.config.models import ColbertConfig
from pipeline.config.stages import HardwareConfig
from pipeline.config.transformer import Transformer, sizes
from pipeline.experiment.precision import of_reranker
from pipeline.experiment.speed import STEPS, Sample, measure
from pipeline.experiment.work import Work
from pipeline.infra.hardware import HALF, Hardware, resolve, synchronize
from pipeline.infra.model_files import build_modernbert, prepare_base
from pipeline.infra.stage_cache import StageCache
from pipeline.records import TrainingExample
from pipeline.sweep.cost import forward, scoring_flops, training_flops

ROUNDS = 3
PRODUCTS = 5  # of a round, of which the fastest counts
FOLDER = "outputs/bench"
MODERNBERT = "modernbert_base"


@dataclass(frozen=True)
class Scale:
    """How much a machine computes at a time."""

    bases: tuple[str, ...]
    passages: int  # scored for one query
    width: int  # of the square matrices
    overrides: tuple[str, ...] = ()
    lengths: Mapping[str, Sequence[str]] = field(default_factory=dict)  # overrides, by architecture

    def longer(self, arch: str) -> Sequence[str]:
        """The overrides that set the lengths of texts, where they are not the defaults."""
        return self.lengths.get(arch, ())


SCALES = {
    "cpu": Scale(("minilm_l6",), passages=64, width=2048),
    "cuda": Scale(
        ("minilm_l6", MODERNBERT),
        passages=4096,
        width=8192,
        overrides=("train.batch_size=64", "eval.batch_size=256"),
        lengths={
            "cross_encoder": ["arch.max_length=256", "arch.training_max_length=256"],
            "colbert": ["arch.document_length=256", "arch.training_document_length=256"],
        },
    ),
}
AIMS = {"training": 0.4, "scoring": 0.5}  # of the peak, in half precision on a GPU


def roofline(arch: str) -> Iterator[Share]:
    """Measure training and scoring in fp32, and in half precision where it is faster."""
    device = resolve(HardwareConfig()).device
    scale = SCALES[device]
    for base in scale.bases:
        point = point_of(arch, base, [*scale.overrides, *scale.longer(arch)])
        cache = StageCache.of(point)
        folder, machine = prepare_base(point.base, cache), resolve(point.hardware)
        machine = of_reranker(point, machine, folder, cache)
        model = sizes(point.base.path, point.base.keep_layers)
        assert model is not None
        for task, fastest in (
            ("training", machine.training_precision or machine.precision),
            ("scoring", machine.precision),
        ):
            for precision in dict.fromkeys(("fp32", fastest)):
                yield _share(task, point, folder, machine, precision, model, scale)


def _share(
    task: str,
    point: Config,
    folder: Path,
    machine: Hardware,
    precision: str,
    model: Transformer,
    scale: Scale,
) -> Share:
    """Measure one task in one precision, in turns with the product."""
    machine = replace(machine, precision=precision, training_precision=precision)
    trains = task == "training"
    texts = sample(point, scale.passages)
    flops = flops_a_pair(point, model, scale.passages, trains)
    work = Work(trained=1) if trains else Work(scored=1)
    peaks, rates = [], []
    for _ in range(ROUNDS):
        peaks.append(product(scale.width, machine.device, precision))
        speed = measure(point, folder, machine, work, texts)
        rates.append(flops / (speed.train if trains else speed.score))
    aim = AIMS[task] if machine.device == "cuda" and precision != "fp32" else None
    return Share(
        f"roofline, {task} {point.arch.name} of {point.base.name} in {precision}",
        median(rates) / max(peaks),
        f"a matrix product's {in_words(max(peaks))}",
        f"{in_words(median(rates))}, {tokens(point, trains)} tokens",
        at_least=aim,
        inputs={"flops": rates, "peak": peaks, "device": machine.device, "width": scale.width},
    )


def flops_a_pair(point: Config, model: Transformer, passages: int, trains: bool) -> float:
    """FLOPs of a pair of query and passage; a ColBERT reads a query once for its passages."""
    if trains:
        found = training_flops(point, model, Work(trained=1))
    elif isinstance(point.arch, ColbertConfig):
        query = forward(model, 1, point.arch.query_length) / passages
        found = forward(model, 1, point.arch.tokens) + query
    else:
        found = scoring_flops(point, model, Work(scored=1))
    assert found is not None
    return found


def tokens(point: Config, trains: bool) -> int:
    """How many tokens the model reads of a pair, or a ColBERT of a passage."""
    return point.arch.training_tokens if trains else point.arch.tokens


def sample(point: Config, passages: int) -> Sample:
    """Make up texts that fill what the model reads: each word is a token."""
    longest = tokens(point, trains=False)
    asked = point.arch.query_length if isinstance(point.arch, ColbertConfig) else longest // 8
    rows = STEPS * point.train.batch_size
    examples = [
        TrainingExample(
            query=_words(asked, row),
            positive=_words(longest, row),
            gain=1,
            label=1.0,
            negatives=[_words(longest, row + rows * n) for n in range(1, point.negatives + 1)],
        )
        for row in range(rows)
    ]
    texts = [_words(longest, number) for number in range(passages)]
    return Sample(examples, [_words(asked, 0)], texts, shared_by=1)


def _words(count: int, number: int) -> str:
    """Make a text of at least ``count`` tokens, another one for each number."""
    return f"{number} " + "graph node edge path tree root " * -(-count // 6)


def product(width: int, device: str, precision: str) -> float:
    """FLOP/s of the fastest of some products of two square matrices."""
    dtype = HALF.get(precision, torch.float32)
    one, other = (torch.randn(width, width, device=device).to(dtype) for _ in range(2))
    seconds = []
    for _ in range(1 + PRODUCTS):  # The first one warms up.
        synchronize(device)
        start = time.perf_counter()
        one @ other
        synchronize(device)
        seconds.append(time.perf_counter() - start)
    return 2 * width**3 / min(seconds[1:])


def in_words(flops: float) -> str:
    """``1,230 GFLOP/s``."""
    return f"{flops / 1e9:,.0f} GFLOP/s"


def point_of(arch: str, base: str, overrides: Sequence[str]) -> Config:
    """The default point of an architecture, with 3 negatives."""
    if base == MODERNBERT:
        folder = Path(FOLDER) / base
        if not folder.exists():  # There may be no hub.
            build_modernbert(folder, sizes={})
        base = str(folder)
    return compose(
        [f"arch={arch}", "negatives=3", f"base={base}", f"output_dir={FOLDER}", *overrides]
    )
