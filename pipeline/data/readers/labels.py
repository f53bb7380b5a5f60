"""Read a label: how relevant a passage is, as a whole number."""

import re

# trec_eval allocates as many numbers as the largest gain for each query.
MOST = 1_000_000
EXPECTED = f"a whole number of at most {MOST:,}"
LABEL = re.compile(r"([+-]?[0-9]{1,18})(\.0*)?")


def parse_label(text: str) -> int | None:
    """Return the label that ``text`` is, perhaps written as "2.0"; None if it is none."""
    found = LABEL.fullmatch(text.strip())
    label = int(found[1]) if found else MOST + 1
    return label if label <= MOST else None
