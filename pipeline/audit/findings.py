"""Define what an audit returns: a report of findings, each with its cost and advice."""

from collections.abc import Mapping
from dataclasses import dataclass, field

SEVERITIES = ("unusable", "warning", "info")
"""Unusable: training refuses the file or has nothing to learn from it. Worst first."""

EXAMPLES = 10  # kept of one finding
SNIPPET = 60  # characters shown of a text
LONGEST = 300  # characters of one example


@dataclass
class Sightings:
    """How often something was seen, and the first ``EXAMPLES`` places."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: str) -> None:
        """Count one more; keep the printable characters of the first examples."""
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(_printable(example[:LONGEST]))

    def finding(
        self, kind: str, *, severity: str, message: str, cost: str, advice: str
    ) -> "Finding":
        """Make a finding of what was seen."""
        return Finding(kind, severity, self.count, message, cost, advice, self.examples)


@dataclass(frozen=True)
class Finding:
    """A problem in the file: what it is, what it costs and what to do about it.

    ``examples`` are up to ten places, with line numbers or ids.
    """

    kind: str
    severity: str
    count: int
    message: str
    cost: str
    advice: str
    examples: list[str]


@dataclass(frozen=True)
class Report:
    """The findings of one file, worst first, and its figures.

    ``facts`` can be written as JSON: rows, pairs, queries, passages, labels (label -> rows),
    splits (split -> label -> rows), positives_per_query (positives -> queries), tokens
    (None where no lengths were measured).
    """

    path: str
    facts: Mapping[str, object]
    findings: list[Finding]

    @property
    def unusable(self) -> bool:
        """Whether training refuses the file or has nothing to learn from it."""
        return any(finding.severity == "unusable" for finding in self.findings)

    @property
    def has_warnings(self) -> bool:
        """Whether a finding is a warning."""
        return any(finding.severity == "warning" for finding in self.findings)


def snippet(text: str) -> str:
    """Quote the start of a text on one line, without control characters."""
    shown = " ".join(_printable(text[: 2 * SNIPPET]).split())
    return f'"{shown}"' if len(shown) <= SNIPPET else f'"{shown[: SNIPPET - 3]}..."'


def _printable(text: str) -> str:
    """Replace control characters, which could drive a terminal, and line ends by spaces."""
    return "".join(c if c.isprintable() else " " for c in text)
