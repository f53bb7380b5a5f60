"""A text is cut after as many words as tokens are read."""

from pipeline.rerankers.words import first_words


def test_a_text_is_cut_after_a_word_that_gives_a_token() -> None:
    assert first_words("one two, three four five", 3) == "one two, three"
    assert first_words("one  -- \u0301 (two) three", 2) == "one  -- \u0301 (two)"
    assert first_words("one two", 9) == "one two"
    assert first_words("\u91cd\u6392" * 50, 3) == "\u91cd\u6392" * 50
    assert first_words("", 3) == ""


def test_a_ruler_of_any_length_is_passed_at_once() -> None:
    assert first_words("-" * 1_000_000 + " one two", 1).endswith("- one")
