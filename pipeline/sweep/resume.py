"""Resume an interrupted sweep from the tracking store.

A sweep is identified by the fingerprints of its points. Finished points are kept. Failed points run
again, and so do those that were left RUNNING by a process that is gone; these become KILLED. Only
the newest sweep with the same points counts: a point that another sweep has finished runs again,
with its shared stages from the cache.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.config.stages import TrackingConfig
from pipeline.infra.stage_cache import content_key
from pipeline.records import Refused
from pipeline.tracking import liveness, reader
from pipeline.tracking.attempts import end

KILLED = "process killed (out of memory?)"  # the failure of a point that lost its process


@dataclass(frozen=True)
class Earlier:
    """Earlier attempts at a sweep: its run, if any, and the fingerprints of finished points.

    ``killed`` maps the fingerprint of an unfinished point to how often its process was lost.
    """

    run_id: str | None = None
    finished: frozenset[str] = frozenset()
    killed: Mapping[str, int] = field(default_factory=dict)

    def pending(self, fingerprints: Sequence[str]) -> list[int]:
        """Return the numbers of the unfinished points, in the order in which to run them.

        Points with the same fingerprint are run once. Points that lost their process most often
        come last, because they may be what kills the sweep.
        """
        first = {key: number for number, key in reversed(list(enumerate(fingerprints)))}
        left = sorted(number for key, number in first.items() if key not in self.finished)
        return sorted(left, key=lambda number: self.killed.get(fingerprints[number], 0))


def sweep_fingerprint(fingerprints: Sequence[str]) -> str:
    """Return 16 hex digits that depend on the set of points, not on their order."""
    return content_key({"points": sorted(set(fingerprints))})


def find(config: TrackingConfig, fingerprints: Sequence[str]) -> Earlier:
    """Find the newest sweep of these points, and end the experiment's lost runs as KILLED.

    These include single runs and those of other sweeps, which may never be resumed.

    Raises:
        Refused: a process that may be alive is running this sweep.
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
                "stop it, or start a new sweep with force=true"
            )
    finished = {run.tags["fingerprint"] for run in attempts if run.status == "FINISHED"}
    for run in lost:
        all_there = finished >= set(fingerprints)
        complete = all_there and sweep is not None and run.run_id == sweep.run_id
        reason = f"process {run.tags['pid']} on {run.tags['host']} is gone"
        end(config, run.run_id, "FINISHED" if complete else "KILLED", reason)
    if sweep is None:
        return Earlier()
    # Attempts that were RUNNING have just become KILLED.
    killed = Counter(
        run.tags["fingerprint"]
        for run in attempts
        if run.status in ("RUNNING", "KILLED") or run.tags.get("failure") == KILLED
    )
    others = {key: number for key, number in killed.items() if key not in finished}
    return Earlier(sweep.run_id, frozenset(finished), others)
