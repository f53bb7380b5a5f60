"""What the sections of the report are made from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pipeline.report.comparison import Comparison
from pipeline.report.verdict import Verdict, judge
from pipeline.tracking.artifacts import Text
from pipeline.tracking.reader import RunRecord


@dataclass(frozen=True)
class Stored:
    """Readers of a run's artifacts: a ranking of a column at a cutoff, qrels, texts."""

    ranking: Callable[[RunRecord, str, int], Mapping[str, Sequence[str]]]
    relevant: Callable[[RunRecord], Mapping[str, set[str]]]
    texts: Callable[[RunRecord], Sequence[Text]]


@dataclass(frozen=True)
class Study:
    """A comparison, and what else a section shows.

    ``budget_ms`` is the latency that the verdict's second sentence keeps to. ``identifier`` begins
    the ids of the figures, which are unique on a page. ``sweep`` is the parent run, if any, and
    ``elsewhere`` the seconds of its points that other comparisons show.
    """

    comparison: Comparison
    stored: Stored
    budget_ms: float
    identifier: str = "s1"
    sweep: RunRecord | None = None
    elsewhere: float = 0.0

    @cached_property
    def verdict(self) -> Verdict:
        """The best system, and what to do."""
        return judge(self.comparison, self.budget_ms)
