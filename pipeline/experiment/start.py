"""What a point starts from: its base, what it shares with other points, and its machine."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipeline.config import Config
from pipeline.experiment import precision
from pipeline.experiment.base import as_found, locate_base
from pipeline.experiment.shared import Shared, prepare_shared
from pipeline.infra import hardware
from pipeline.infra.hardware import Hardware
from pipeline.infra.stage_cache import StageCache
from pipeline.infra.steps import step
from pipeline.rerankers.saved import check_base
from pipeline.training.training_set import TrainingSet


@dataclass(frozen=True)
class Start:
    """All that the steps of a point read.

    ``config`` says of the base what was found in its folder, and ``machine`` has the precisions in
    which the point scores and trains.
    """

    config: Config
    base: Path
    shared: Shared
    machine: Hardware
    cache: StageCache
    audit: Path | None = None  # folder of the audit, for labelled files

    @classmethod
    def of(
        cls,
        config: Config,
        cache: StageCache,
        shared: Shared | None = None,
        spent: dict[str, float] | None = None,
    ) -> "Start":
        """Find the base, make what is shared unless it is given, and settle the precisions.

        ``spent`` collects the seconds of each step.

        Raises:
            InputError: the base or the data can't be found or used, or the device is none that
                the reranker runs on.
        """
        machine = hardware.resolve(config.hardware)
        config.rerank.must_run(machine.device)
        with step("base", spent):
            base = locate_base(config, cache)
            config = as_found(config, base)
            check_base(base, config.base, config.arch)
        shared = shared or prepare_shared(config, machine, cache, spent)
        settled = precision.settle(config, machine, base, shared, cache)
        return cls(config, base, shared, settled, cache)

    @cached_property
    def training_set(self) -> TrainingSet:
        """The rows that the point trains on."""
        return self.shared.training_set(self.config)
