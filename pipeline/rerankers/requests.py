"""Read requests for scores from JSON lines, and answer them with a reranker."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pipeline.data.text import SURROGATE
from pipeline.protocols import Scorer
from pipeline.records import InputError

Request = dict[str, Any]
"""``query`` is a text, ``documents`` a list of texts; other keys are kept."""


def read_requests(lines: Iterable[str], name: str) -> list[Request]:
    """Read and check JSON lines; empty lines are skipped.

    Raises:
        InputError: a line is not a request; names ``name`` and the line's number.
    """
    requests = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{name}:{number}: not valid JSON ({error})") from error
        documents = row.get("documents") if isinstance(row, dict) else None
        texts = [row.get("query"), *documents] if isinstance(documents, list) else [None]
        if len(texts) < 2 or not all(isinstance(text, str) and text.strip() for text in texts):
            raise InputError(
                f'{name}:{number}: must be {{"query": "...", "documents": ["...", ...]}} with '
                "texts that are not empty"
            )
        if any(SURROGATE.search(str(text)) for text in texts):
            raise InputError(
                f"{name}:{number}: a text holds half of a surrogate pair, must be Unicode text"
            )
        requests.append(row)
    return requests


def scored(model: Scorer, requests: Sequence[Request]) -> Iterator[Request]:
    """Yield every request with its documents best first and their ``scores``.

    Documents with the same score keep their order.

    Raises:
        RuntimeError: the model gave a score that is not finite.
    """
    queries: dict[str, str] = {}
    passages: dict[str, str] = {}
    pairs: list[tuple[str, str]] = []
    for i, row in enumerate(requests):
        queries[str(i)] = row["query"]
        for j, document in enumerate(row["documents"]):
            passages[f"{i}.{j}"] = document
            pairs.append((str(i), f"{i}.{j}"))
    scores = iter(model.score_pairs(queries, passages, pairs).tolist())
    for row in requests:
        ranked = [(next(scores), document) for document in row["documents"]]
        if not all(math.isfinite(score) for score, _ in ranked):
            raise RuntimeError(f"query {row['query']!r}: the model's scores are not finite")
        ranked.sort(key=lambda pair: -pair[0])
        yield row | {"documents": [d for _, d in ranked], "scores": [s for s, _ in ranked]}
