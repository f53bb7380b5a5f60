import pytest

from pipeline.data.text import normalise, words


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("What is NDCG?", "what is ndcg"),
        ("hit-rate @ 10", "Hit rate@10!"),
        ("  a\tb\n c ", "abc"),
        ("ﬁne ½", "fine 1⁄2"),  # compatibility forms
        ("Straße", "STRASSE"),
        ("“quoted” – text…", "quoted text"),
        ("no\u00a0break", "nobreak"),
    ],
)
def test_equal_after_normalisation(left: str, right: str) -> None:
    assert normalise(left) == normalise(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("recall at 5", "recall at 10"),
        ("cafe", "café"),
        ("की", "का"),  # they differ by a vowel sign alone
        ("🙂", "🙁"),  # nothing but symbols: they stay
        ("", "?"),
    ],
)
def test_different_after_normalisation(left: str, right: str) -> None:
    assert normalise(left) != normalise(right)


def test_words_are_normalised_and_kept_apart() -> None:
    assert words("It's  a\tTEST—really!") == ["it", "s", "a", "test", "really"]
    assert words("日本語 text") == ["日", "本", "語", "text"]
    assert words("❤ ❤") == ["❤", "❤"]
