"""Where the gain comes from: ranks before and after."""

from pipeline.report.comparison import compare
from pipeline.report.sections.queries import changes
from pipeline.report.study import Stored
from pipeline.report.verdict import judge
from tests.report.sample import RECORDS, read


def test_ranks_beyond_the_last_bin_are_found() -> None:
    comparison = compare(RECORDS[:1], read)
    best = judge(comparison, 100).best
    assert best is not None
    documents = [f"d{i}" for i in range(149)]
    before = {"q0": [*documents, "r"], "q1": [*documents[:100], "r"], "q2": ["r"], "q3": documents}
    stored = Stored(
        lambda run, stage, k: before, lambda run: {key: {"r"} for key in before}, lambda run: []
    )
    ranks, _, _ = changes(comparison, best, stored)
    assert ranks is not None
    assert ranks.bins[-2:] == ["101-150", "not found"]
    assert (ranks.before[0], *ranks.before[-2:]) == (1, 2, 1)
