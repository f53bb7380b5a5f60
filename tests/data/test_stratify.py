from collections import Counter

import pytest

from pipeline.data.stratify import linked, share_out


def singles(count: int) -> list[list[str]]:
    return [[f"q{n:03d}"] for n in range(count)]


def test_linked_directly_or_through_others() -> None:
    keys: dict[str, list[int | str]] = {"a": [1], "b": [2], "c": [1, 2], "d": [3], "e": ["a"]}
    assert linked(keys) == [["a", "b", "c"], ["d"], ["e"]]  # the key "a" is not the id


def test_equal_queries_are_shared_out_exactly() -> None:
    groups = singles(50)
    labels = {group[0]: {1: 1} for group in groups}
    test, rest = share_out(groups, labels, [0.2, 0.8], seed=0)
    assert (len(test), len(rest)) == (10, 40)
    assert sorted([*test, *rest]) == groups
    assert share_out(groups, labels, [0.2, 0.8], seed=0) == [test, rest]
    assert share_out(groups, labels, [0.2, 0.8], seed=1) != [test, rest]
    folds = share_out(groups, labels, [0.2] * 5, seed=0)
    assert [len(fold) for fold in folds] == [10] * 5


def test_every_part_gets_its_share_of_every_label() -> None:
    # 40 queries with one pair of label 1 and four of 0, 10 with one pair of label 3
    groups = singles(50)
    labels = {q: {3: 1} if n % 5 == 0 else {0: 4, 1: 1} for n, (q,) in enumerate(groups)}
    test, rest = share_out(groups, labels, [0.2, 0.8], seed=0)
    for part, graded, plain in ((test, 2, 8), (rest, 8, 32)):
        total: Counter[int] = Counter()
        for (query_id,) in part:
            total.update(labels[query_id])
        assert total == {3: graded, 1: plain, 0: 4 * plain}


@pytest.mark.parametrize("seed", range(5))
def test_a_group_stays_whole_and_the_others_make_up_for_it(seed: int) -> None:
    large = [f"x{n}" for n in range(30)]
    groups = [large, *singles(70)]
    labels = {query_id: {0: 1, 1: 1} for group in groups for query_id in group}
    test, rest = share_out(groups, labels, [0.2, 0.8], seed)
    assert large in rest
    assert sum(map(len, test)) == 20


def test_nothing_to_share_out() -> None:
    assert share_out([], {}, [0.2, 0.8], seed=0) == [[], []]
