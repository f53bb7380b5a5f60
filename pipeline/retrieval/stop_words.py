"""The stop words of full-text search."""

from collections.abc import Sequence

ENGLISH = (
    "about after again against ain all am an and are aren as at be been being below between "
    "both but by can couldn did didn do doesn doing don down each few for from further had "
    "hadn has hasn have haven having he her here hers herself him himself his how if in into "
    "is isn it its itself just ll ma me mightn more most mustn my myself needn no nor not now "
    "of off on or other our ours out over own re same shan she should shouldn so some such "
    "than that the their theirs them then there these they this those through to too under "
    "until up ve was wasn we were weren what when where which while who whom will with won "
    "wouldn you your yours yourself"
)
"""LanceDB's English stop words without the single letters.

With those, "vitamin d" would score as "vitamin" and "T-cell" as "cell".
"""


def stop_words(language: str, chosen: Sequence[str] | None) -> list[str] | None:
    """Return the words that full-text search ignores; None stands for LanceDB's own list.

    ``chosen`` are those of the configuration, None if it leaves them to the language.
    """
    if chosen is not None:
        return list(chosen)
    return ENGLISH.split() if language == "English" else None
