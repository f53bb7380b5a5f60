"""Turn counts into findings: what each is, what it costs and what to do about it."""

from pipeline.audit.checks import duplicates, labels, lengths, lines
from pipeline.audit.counts import Counts
from pipeline.audit.findings import SEVERITIES, Finding
from pipeline.audit.lengths import Lengths


def findings(counts: Counts, measured: Lengths | None) -> list[Finding]:
    """Return all findings, worst first; ``measured`` is None where no lengths are."""
    found = [
        *lines.findings(counts),
        *labels.findings(counts),
        *duplicates.findings(counts),
        *(lengths.findings(counts, measured) if measured else ()),
    ]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))
