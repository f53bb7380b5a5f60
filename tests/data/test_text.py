import pytest

from pipeline.data.text import bare, canonical, leak_key, text_key, words


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("What is NDCG?", "what  is ndcg?"),
        ("  a\tb\n c ", "a b c"),
        ("ﬁne ½", "fine 1⁄2"),  # compatibility forms
        ("Straße", "STRASSE"),
        ("no\u00a0break", "no break"),
    ],
)
def test_the_same_text(left: str, right: str) -> None:
    assert canonical(left) == canonical(right)
    assert text_key(left) == text_key(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("What is C?", "What is C++?"),
        ("What is C++?", "What is C#?"),
        ("Take 1.5 mg twice a day", "Take 15 mg twice a day"),
        ("x > 0", "x < 0"),
        ("-5", "5"),
        ("a b", "ab"),
    ],
)
def test_a_symbol_makes_another_text_that_may_leak(left: str, right: str) -> None:
    assert text_key(left) != text_key(right)
    assert leak_key(left) == leak_key(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("What is NDCG?", "what is ndcg"),
        ("hit-rate @ 10", "Hit rate@10!"),
        ("  a\tb\n c ", "abc"),
        ("“quoted” – text…", "quoted text"),
        ("no\u00a0break", "nobreak"),
    ],
)
def test_equal_when_bare(left: str, right: str) -> None:
    assert bare(left) == bare(right)


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
def test_different_even_when_bare(left: str, right: str) -> None:
    assert bare(left) != bare(right)


def test_words_are_folded_and_kept_apart() -> None:
    assert words("It's  a\tTEST—really!") == ["it", "s", "a", "test", "really"]
    assert words("日本語 text") == ["日", "本", "語", "text"]
    assert words("❤ ❤") == ["❤", "❤"]
