"""Going on with a sweep that was interrupted, from what the tracking store says.

A sweep is known by the fingerprints of its points, and a point by its own. What an earlier
attempt finished stays; what it left RUNNING when its process died becomes KILLED and is run again,
like what failed. Looks only at the newest sweep with the same points: a point that another sweep
has finished is run again, with its shared stages from the cache.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.config.stages import TrackingConfig
from pipeline.infra.stage_cache import content_key
from pipeline.records import Refused
from pipeline.tracking import liveness, reader
from pipeline.tracking.attempts import end

KILLED = "its process was killed, perhaps for want of memory"
"""Why a point has failed whose process its sweep has outlived."""


@dataclass(frozen=True)
class Earlier:
    """What there is of a sweep: its run, if any, and the fingerprints of finished points.

    ``killed`` counts the attempts at the others that did not outlive their process.
    """

    run_id: str | None = None
    finished: frozenset[str] = frozenset()
    killed: Mapping[str, int] = field(default_factory=dict)

    def pending(self, fingerprints: Sequence[str]) -> list[int]:
        """The numbers of the points that have not finished, in the order in which to run them.

        Points that differ in nothing that matters have one fingerprint and are run once. What has
        lost its process most often comes last, as it may be what ends the sweep each time.
        """
        first = {key: number for number, key in reversed(list(enumerate(fingerprints)))}
        left = sorted(number for key, number in first.items() if key not in self.finished)
        return sorted(left, key=lambda number: self.killed.get(fingerprints[number], 0))


def sweep_fingerprint(fingerprints: Sequence[str]) -> str:
    """16 hex digits that depend on the set of points, not on their order."""
    return content_key({"points": sorted(set(fingerprints))})


def find(config: TrackingConfig, fingerprints: Sequence[str]) -> Earlier:
    """The newest sweep of these points; its lost runs, and those of others, are set KILLED.

    All lost runs of the experiment are, as nobody may ever look for the others again: single
    ones, those of ``force=true``, of sweeps whose code has changed.

    Raises:
        Refused: a process that may be alive is working on it.
        InputError: the tracking store can't be used.
    """
    sweep = reader.find_sweep(config, sweep_fingerprint(fingerprints))
    attempts = reader.read_attempts(config, sweep.run_id) if sweep else []
    running = reader.read_running(config)
    ours = {run.run_id for run in (*attempts, sweep) if run}
    lost = [run for run in running if liveness.is_dead(run.tags)]
    for run in running:
        if run.run_id in ours and run not in lost:
            process = f"pid {run.tags.get('pid')} on {run.tags.get('host')}"
            raise Refused(
                f"{run.name} ({run.run_id}) of this sweep is running: {process}; wait for it or "
                "stop it, or start the sweep anew with force=true"
            )
    finished = {run.tags["fingerprint"] for run in attempts if run.status == "FINISHED"}
    for run in lost:
        all_there = finished >= set(fingerprints)
        complete = all_there and sweep is not None and run.run_id == sweep.run_id
        reason = f"its process, pid {run.tags['pid']}, is gone"
        end(config, run.run_id, "FINISHED" if complete else "KILLED", reason)
    if sweep is None:
        return Earlier()
    # Those that were RUNNING have just become KILLED.
    killed = Counter(
        run.tags["fingerprint"]
        for run in attempts
        if run.status in ("RUNNING", "KILLED") or run.tags.get("failure") == KILLED
    )
    others = {key: number for key, number in killed.items() if key not in finished}
    return Earlier(sweep.run_id, frozenset(finished), others)
