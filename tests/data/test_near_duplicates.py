import random

import pytest

from pipeline.data import near_duplicates
from pipeline.data.near_duplicates import KEPT, Texts, groups
from pipeline.records import InputError

# 10 words, 8 triples
FOX = "the quick brown fox jumps over the lazy sleeping dog"


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        (0.7, "aaa"),  # a-b share 7 of 9 triples, b-c too, a-c 6 of 10: linked by b
        (0.77, "aaa"),
        (0.78, "abc"),  # 7 / 9 = 0.777...
    ],
)
def test_groups_are_connected_components(threshold: float, expected: str) -> None:
    texts = [
        ("a", FOX),
        ("b", FOX.replace("dog", "cat")),
        ("c", FOX[:-3].replace("the ", "a ", 1) + "cat"),
    ]
    assert groups(texts, threshold) == dict(zip("abc", expected, strict=True))


def test_equal_after_normalisation_is_one_text_at_any_threshold() -> None:
    texts = [("x", "Fever & chills!"), ("y", "acne"), ("z", "fever   CHILLS"), ("w", "ACNE?")]
    assert groups(texts, 1.0) == {"x": "x", "y": "y", "z": "x", "w": "y"}


def test_short_texts_are_compared_by_single_words() -> None:
    texts = [("a", "acne treatment"), ("b", "treatment acne"), ("c", "acne")]
    assert groups(texts, 0.8) == {"a": "a", "b": "a", "c": "c"}


def test_templates_with_another_subject_stay_apart() -> None:
    subjects = ["marfan syndrome", "turner syndrome", "gout", "lupus", "asthma"]
    texts = [(subject, f"What are the symptoms of {subject} ?") for subject in subjects]
    assert groups(texts, 0.8) == {subject: subject for subject in subjects}


def test_finds_what_comparing_all_pairs_finds() -> None:
    rng = random.Random(0)
    vocabulary = [f"word{n}" for n in range(500)]
    texts = []
    for n in range(300):
        original = [rng.choice(vocabulary) for _ in range(60)]
        texts.append((f"{n}", " ".join(original)))
        original[rng.randrange(60)] = "changed"  # at most 3 of 58 triples
        texts.append((f"{n}'", " ".join(original)))
    assert groups(texts, 0.8) == {text_id: text_id.rstrip("'") for text_id, _ in texts}


def test_texts_longer_than_the_sample_are_estimated() -> None:
    long = [f"w{n}" for n in range(3 * KEPT)]
    most = long[: int(2.7 * KEPT)]  # Jaccard 0.9
    half = long[: int(1.5 * KEPT)]  # Jaccard 0.5
    found = groups(
        [("long", " ".join(long)), ("most", " ".join(most)), ("half", " ".join(half))], 0.8
    )
    assert found == {"long": "long", "most": "long", "half": "half"}


def test_numbers_follow_the_order_of_distinct_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_duplicates, "CHUNK", 2)
    texts = Texts()
    assert [texts.add(text) for text in ("one", "two", " ONE", "three", "one!")] == [0, 1, 0, 2, 3]
    assert len(texts) == 4
    assert texts.leaders(0.8) == [0, 1, 2, 0]


def test_nothing_and_a_wrong_threshold() -> None:
    assert groups([], 0.8) == {}
    with pytest.raises(InputError, match="near_duplicate=0: must be above 0"):
        groups([("a", "b")], 0)
