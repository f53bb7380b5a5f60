"""How the words of a command are sorted into names, keys and overrides."""

import pytest

from pipeline.commands.arguments import Parser, names_and_overrides, own_keys
from pipeline.records import InputError


def test_names_and_overrides_keep_their_order() -> None:
    assert names_and_overrides(["b", "x=1", "a", "y=a=b"]) == (["b", "a"], ["x=1", "y=a=b"])


def test_own_keys_are_taken_out_and_the_last_value_counts() -> None:
    words = ["name=a", "other.name=b", "name", "name=c=d"]
    assert own_keys(words, ("name",)) == ({"name": "c=d"}, ["other.name=b", "name"])


def test_a_flag_is_not_guessed_from_its_beginning() -> None:
    parser = Parser("ui", "", "")
    parser.add_argument("--port")
    with pytest.raises(InputError, match="--po"):
        parser.parse_args(["--po", "1"])


def test_deletions_are_overrides_too() -> None:
    parser = Parser("plan", "", "")
    parser.add_overrides()
    assert parser.parse_args(["a=b", "~c"]).overrides == ["a=b", "~c"]
