"""Cut a long passage before it is tokenised, as a tokenizer reads the whole text before it cuts."""

import re
from itertools import islice

# A word of this kind gives at least one token. One of marks and control characters alone may give
# none. A word is only looked for where one begins, so that a long ruler takes no time.
WORD = re.compile(r"(?<!\S)[^\w\s]*+\w\S*+")


def first_words(text: str, count: int) -> str:
    """Cut ``text`` after its first ``count`` words, which are at least as many tokens.

    The tokens of a word do not depend on what follows the next space, so the first ``count`` tokens
    remain. A text without spaces, as in Chinese, stays whole.
    """
    if len(text) < 2 * count:  # a letter and a space for each word
        return text
    last = next(islice(WORD.finditer(text), count - 1, None), None)
    return text if last is None else text[: last.end()]
