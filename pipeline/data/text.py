"""Compare texts: one key says whether two are the same text, another whether one leaks the other.

The same text: equal but for case, compatibility forms (NFKC) and white space. "C++" and "C#", or
"1.5 mg" and "15 mg", are different texts. A leak: equal but for punctuation and symbols as well.
"""

import hashlib
import re
import unicodedata

SURROGATE = re.compile("[\ud800-\udfff]")  # half a surrogate pair, which is no character


class _KeepsOnlyWords(dict[int, int | None]):
    """A ``str.translate`` table without punctuation, symbols, separators and controls."""

    def __missing__(self, code: int) -> int | None:
        # By category, not by \W: that would also take the vowel signs of Indic scripts.
        self[code] = None if unicodedata.category(chr(code))[0] in "PSZC" else code
        return self[code]


class _SeparatesWords(dict[int, str]):
    """A ``str.translate`` table that puts spaces for punctuation, symbols and controls.

    Scripts without spaces (Chinese, Japanese) get one around every character.
    """

    def __missing__(self, code: int) -> str:
        character = chr(code)
        category = unicodedata.category(character)
        if category[0] in "PSZC":
            self[code] = " "
        elif category == "Lo" and unicodedata.east_asian_width(character) == "W":
            self[code] = f" {character} "
        else:
            self[code] = character
        return self[code]


_WORDS = _KeepsOnlyWords()
_SPACED = _SeparatesWords()


def _folded(text: str) -> str:
    """Remove case and compatibility forms."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def canonical(text: str) -> str:
    """Remove case and compatibility forms; put one space for every run of white space."""
    return " ".join(_folded(text).split())


def bare(text: str) -> str:
    """Remove case, compatibility forms, punctuation, symbols and white space.

    A text that has nothing else (emoji, operators) keeps them, so that such texts differ.
    """
    folded = _folded(text)
    return folded.translate(_WORDS) or "".join(folded.split())


def words(text: str) -> list[str]:
    """Return the words in order, folded as by ``bare``; emoji count if alone."""
    folded = _folded(text)
    return folded.translate(_SPACED).split() or folded.split()


def text_key(text: str) -> bytes:
    """Return 16 bytes that two texts share if they are the same text: equal in ``canonical``."""
    return _key(canonical(text))


def leak_key(text: str) -> bytes:
    """Return 16 bytes that two texts share if one may give the other away: equal in ``bare``.

    For keeping splits apart only, where a false alarm costs a training row. "C++" and "C#"
    share this key, so never take it for the identity of a text.
    """
    return _key(bare(text))


def _key(normalised: str) -> bytes:
    return hashlib.sha256(normalised.encode()).digest()[:16]


def cut(text: str, limit: int) -> str:
    """Return ``text``, or its beginning with an ellipsis: at most ``limit`` characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
