"""Two systems in figures that can be checked by hand."""

from collections.abc import Mapping
from math import inf, isnan

import pytest

from pipeline.report.pair.difference import (
    Case,
    Side,
    Texts,
    cases,
    compare,
    disagreements,
    worst,
)

QUERIES = {query: f"text of {query}" for query in "abcd"}
PASSAGES = {f"{query}{i}": f"passage {i} of {query}" for query in QUERIES for i in range(3)}
QRELS = {query: {f"{query}1": 1, f"{query}2": 2} for query in QUERIES}
TEXTS = Texts(QUERIES, PASSAGES, QRELS)


def system(values: Mapping[str, float]) -> Side:
    """Passages 0, 1 and 2 in this order for every query."""
    ranking = {query: [f"{query}{i}" for i in range(3)] for query in values}
    return Side({"m": sum(values.values()) / len(values)}, {"m": values}, ranking)


def test_figures_by_hand() -> None:
    a = system({"a": 0.5, "b": 0.5, "c": 0.25, "d": 0.25})
    b = system({"a": 1.0, "b": 0.5, "c": 0.5, "d": 0.0})
    row = compare("m", a, b, alone=0.125)
    assert (row.alone, row.a, row.b) == (0.125, 0.375, 0.5)
    assert row.difference is not None
    assert row.difference.mean == 0.125
    assert row.gain == pytest.approx(1 / 3)
    assert (row.wins, row.ties, row.losses) == (2, 1, 1)
    # Of the 8 sums of +-.5 +-.25 +-.25 only two are nearer to 0 than the observed .5.
    assert row.difference.p_value == pytest.approx(0.75)
    assert not row.significant


def test_swapped_systems_give_the_opposite() -> None:
    low, high = system(dict.fromkeys("abcd", 0.25)), system({**dict.fromkeys("abc", 1.0), "d": 0})
    one, other = compare("m", low, high), compare("m", high, low)
    assert one.difference and other.difference
    assert other.difference.mean == -one.difference.mean
    assert other.difference.p_value == one.difference.p_value
    assert (other.wins, other.losses) == (one.losses, one.wins) == (1, 3)


def test_without_a_baseline_there_is_no_difference() -> None:
    row = compare("m", None, system({"a": 0.5, "b": 1.0}))
    assert row.low <= row.b <= row.high
    assert isnan(row.a) and isnan(row.gain)
    assert row.difference is None


def test_without_paired_values_only_means_are_compared() -> None:
    a, b = Side({"m": 0.25}), system({"a": 0.5})
    assert compare("m", a, b).difference is None
    assert compare("m", a, b).gain == 1.0
    other = compare("m", system({"b": 0.5}), b)  # not the same queries
    assert other.difference is None
    assert isnan(compare("unknown", a, b).b)


def test_gain_over_nothing_is_infinite() -> None:
    zero = system(dict.fromkeys(QUERIES, 0.0))
    assert compare("m", zero, system(dict.fromkeys(QUERIES, 0.5))).gain == inf
    assert compare("m", zero, zero).gain == 0


def ids(found: list[Case]) -> list[str]:
    return [case.query_id for case in found]


def test_worst_queries_are_low_then_lost_then_by_id() -> None:
    a = system({"a": 0.0, "b": 0.1, "c": 0.9, "d": 0.1})
    b = system({"a": 0.5, "b": 0.0, "c": 0.0, "d": 0.0})
    # Nothing relevant to d was among the candidates.
    b = Side(b.means, b.values, {**b.ranking, "d": ["d0"]})
    found = worst(cases("m", a, b, TEXTS), count=3)
    assert ids(found) == ["c", "b", "a"]
    case = found[0]
    assert (case.query, case.relevant_id) == ("text of c", "c2")  # the better grade
    assert case.a and (case.a.value, case.b.value, case.b.rank) == (0.9, 0.0, 3)
    assert (case.b.first_id, case.b.first) == ("c0", "passage 0 of c")
    assert worst(cases("m", a, system(dict.fromkeys(QUERIES, 1.0)), TEXTS)) == []


def test_disagreements_begin_with_the_largest() -> None:
    a = system({"a": 1.0, "b": 0.5, "c": 0.0, "d": 0.0})
    b = system({"a": 0.5, "b": 0.5, "c": 0.25, "d": 1.0})
    a_better, b_better = disagreements(cases("m", a, b, TEXTS))
    assert (ids(a_better), ids(b_better)) == (["a"], ["d", "c"])
    assert ids(disagreements(cases("m", a, b, TEXTS), count=1)[1]) == ["d"]


def test_what_is_not_known_is_empty() -> None:
    bare = Side({"m": 0.5}, {"m": {"a": 0.5}})
    (case,) = cases("m", bare, bare, Texts({}, {}, {}))
    assert (case.query, case.relevant_id, case.reachable) == ("", "", False)
    assert (case.b.rank, case.b.first_id, case.b.first) == (None, "", "")
