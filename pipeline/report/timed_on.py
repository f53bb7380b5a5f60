"""Where a run was timed. Latencies of different machines, threads or precisions are kept apart."""

from typing import NamedTuple

from pipeline.tracking.reader import RunRecord


class TimedOn(NamedTuple):
    """The machine of a run's latencies, as far as it was logged."""

    device: str  # cpu, cuda or mps
    name: str
    threads: str
    precision: str

    def __str__(self) -> str:
        """``AMD EPYC, 2 threads, bf16``."""
        threads = ""
        if self.threads and self.device == "cpu":
            threads = f"{self.threads} thread{'s' * (self.threads != '1')}"
        return ", ".join(filter(None, (self.name or self.device, threads, self.precision)))


def timed_on(run: RunRecord) -> TimedOn:
    """Return where a run was timed: as its tags say, else where it ran."""
    parts = [run.tags.get(f"latency.{key}") for key in TimedOn._fields]
    if not any(parts):
        parts = [run.params.get(f"machine.{key}") for key in TimedOn._fields]
    return TimedOn(*(part or "" for part in parts))
