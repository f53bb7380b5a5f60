"""Tell how long a sweep has taken, over all its attempts."""

import time
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Clock:
    """``started`` is when this attempt began, in seconds since 1970; ``earlier`` what others took.

    A sweep's time is logged whenever a point has ended. An attempt that is killed loses the time
    since then, and nothing is counted twice.
    """

    started: float = field(default_factory=time.time)
    earlier: float = 0.0  # seconds

    def here(self) -> float:
        """Seconds since this attempt began."""
        return time.time() - self.started

    def metrics(self) -> dict[str, float]:
        """The metric ``sweep/seconds`` of all attempts."""
        return {"sweep/seconds": self.earlier + self.here()}
