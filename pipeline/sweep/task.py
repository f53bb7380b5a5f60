"""Run a point of a sweep and log one line when it ends: its metrics and the time left."""

import gc
import logging
import time
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from pipeline.config import typed
from pipeline.experiment.job import job
from pipeline.infra.console import own_line
from pipeline.infra.errors import one_line
from pipeline.infra.signals import end_on_sigterm
from pipeline.sweep.clock import Clock, duration
from pipeline.sweep.places import take_share

log = logging.getLogger("pipeline")

ENDED = "ended.txt"


@dataclass(frozen=True)
class Reported:
    """Runs a point as ``pipeline.experiment.job.job`` does, and logs one line when it has ended.

    The line is ``[5/18] colbert_minilm_l6_2neg_1ep: vector_reranked hit@10 0.703, NDCG@10 0.591
    (1:40; about 24 min left)``.

    Ended points are counted as lines of a file in the sweep's folder, because a launcher may run
    them in several processes. Machines that share no disk count their own points.
    """

    total: int
    folder: str  # of the sweep
    clock: Clock
    at_once: int = 1  # points that share this machine

    def __call__(self, config: DictConfig) -> str:
        """Run the point, return its MLflow run id.

        Raises:
            RuntimeError: it failed; the message is one line. Hydra keeps the error until the end of
                the sweep and launchers pickle it. The original error would keep the model alive
                through its traceback, and not every error can be unpickled.
        """
        begun = time.time()
        end_on_sigterm()
        try:
            place = take_share(Path(self.folder), self.at_once) if self.at_once > 1 else 0
            with own_line(config.run_name, place):
                run_id = job(config)
            self.say(config.run_name, _outcome(config, run_id), begun)
            self._log_time(config)
            return run_id
        except Exception as error:
            failure = one_line(error)
        gc.collect()  # Models and trainers form cycles, and the next point needs the memory.
        self.say(config.run_name, f"failed, {failure}", begun)
        raise RuntimeError(failure)  # Inside the except block the error would be its context.

    def say(self, name: str, what: str, begun: float) -> None:
        """Log the line of a point that began at ``begun`` (in seconds since 1970) and ends now."""
        ended = self._ended(name)
        place = len(ended)
        minutes, seconds = divmod(round(time.time() - begun), 60)
        left = self.clock.left(ended)
        rest = f"; about {duration(left)} left" if left else ""
        log.info(
            "[%d/%d] %s: %s (%d:%02d%s)", place, self.total, name, what, minutes, seconds, rest
        )

    def _log_time(self, config: DictConfig) -> None:
        """Log how long the sweep has taken, so that it is known if the sweep is killed."""
        from pipeline.tracking import writer

        tracking = typed(config).tracking
        if tracking.parent_run_id is not None:
            writer.reopen(tracking, tracking.parent_run_id).log_metrics(self.clock.metrics())

    def _ended(self, name: str) -> list[str]:
        """Add the name to those of the points that have ended, and return all of them."""
        file = Path(self.folder) / ENDED
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a+", encoding="utf-8") as ended:
            ended.write(f"{name}\n")  # One short write in append mode is never torn or lost.
            ended.flush()
            ended.seek(0)
            return ended.read().splitlines()


def _outcome(config: DictConfig, run_id: str) -> str:
    from pipeline.experiment.record import headline
    from pipeline.tracking import reader

    return headline(reader.read_run(typed(config).tracking, run_id).metrics)
