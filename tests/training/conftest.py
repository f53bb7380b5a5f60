"""One small training on real weights, for the tests of what watches over it."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pipeline.config import Config
from pipeline.experiment.shared import Shared
from pipeline.infra.hardware import Hardware
from pipeline.infra.model_files import prepare_base
from pipeline.infra.stage_cache import StageCache
from pipeline.protocols import Reranker
from pipeline.rerankers import load_reranker
from pipeline.training.schedule import plan
from pipeline.training.train import Outcome, train
from pipeline.training.training_set import TrainingSet
from tests.conftest import Compose

Train = Callable[..., tuple[Reranker, Outcome]]
Curve = list[tuple[int, Mapping[str, float]]]


@pytest.fixture
def fitted(shared: Shared, small: Compose, machine: Hardware, tmp_path: Path) -> Train:
    """Train a tiny ModernBERT on the small data set: ``fitted("train.max_steps=4", ...)``."""

    def run(
        *overrides: str,
        negatives: int = 1,
        dev_score: Callable[[], float] | None = None,
        better_than_start: bool = False,
        wrap: Callable[[Reranker], Reranker] = lambda reranker: reranker,
        curve: Curve | None = None,
        all_of: Curve | None = None,
    ) -> tuple[Reranker, Outcome]:
        config: Config = small("base=modernbert_tiny", "train.max_steps=4", *overrides)
        folder = prepare_base(config.base, StageCache.of(config))
        loaded = load_reranker(folder, config.arch, machine, 32, seed=1)
        assert loaded is not None and shared.negatives is not None
        reranker = wrap(loaded)
        rows = TrainingSet(shared.negatives, shared.dataset, negatives)
        schedule = plan(
            config.arch.loss, len(rows), rows.queries, negatives, config.epochs, config.train
        )
        logged: Curve = [] if curve is None else curve

        def on_log(step: int, metrics: Mapping[str, float]) -> None:
            logged.append((step, metrics))
            if all_of is not None:  # also of an attempt that was given up
                all_of.append((step, metrics))

        outcome = train(
            reranker,
            rows.examples,
            schedule,
            config.train,
            hardware=machine,
            seed=1,
            folder=tmp_path,
            on_log=on_log,
            dev_score=dev_score,
            on_restart=logged.clear,
            better_than_start=better_than_start,
        )
        return reranker, outcome

    return run
