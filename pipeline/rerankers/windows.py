"""Score long passages in overlapping windows, for models that read fewer tokens than they have."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.config.bounds import require
from pipeline.config.stages import RerankConfig
from pipeline.protocols import Reranker, Scorer, Scores


def windowed(reranker: Reranker, config: RerankConfig) -> Scorer:
    """Return the reranker as it is evaluated and served: in windows if ``config`` says so.

    It shares the weights of ``reranker``.

    Raises:
        InputError: there are windows, and the model's tokenizer can't say where its tokens are.
    """
    if config.windows is None:
        return reranker
    tokenizer: Any = reranker.model.tokenizer
    require(
        bool(tokenizer.is_fast),
        "rerank.windows",
        config.windows,
        f"{type(tokenizer).__name__} can't cut a text at a token; leave rerank.windows out",
    )
    return WindowedScorer(reranker, tokenizer, config)


class Parts:
    """The pairs of a query and a part of a passage that stand for pairs with the whole passage.

    ``pairs`` are of a query id and a key of ``texts``.
    """

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.pairs: list[tuple[str, str]] = []
        self._starts: list[int] = []  # of the parts of each pair

    def add(self, query_id: str, doc_id: str, texts: Sequence[str]) -> None:
        """Add a pair whose passage is read in these parts, one at least; the first keeps its id."""
        names = [f"{doc_id}\0{n}" if n else doc_id for n in range(len(texts))]
        self._starts.append(len(self.pairs))
        self.texts.update(zip(names, texts, strict=True))
        self.pairs += [(query_id, name) for name in names]

    def best(self, scores: Scores) -> Scores:
        """Return the best score of each added pair; ``scores`` are those of ``pairs``, in order."""
        pooled: Scores = np.maximum.reduceat(scores, self._starts) if self._starts else scores
        return pooled


class WindowedScorer:
    """Scores every window of a passage and takes the best ("max") or the first one.

    The maximum over windows is MaxP of Dai and Callan (2019). ``tokenizer`` is the model's.
    """

    def __init__(self, inner: Scorer, tokenizer: Any, config: RerankConfig) -> None:
        assert config.windows is not None
        self.inner = inner
        self._tokenizer = tokenizer
        self._length = config.windows
        self._stride = config.stride or max(1, config.windows // 2)
        self._pooling = config.pooling

    def score_pairs(
        self,
        queries: Mapping[str, str],
        passages: Mapping[str, str],
        pairs: Sequence[tuple[str, str]],
        progress: bool = False,
    ) -> Scores:
        """Score each pair, shape (len(pairs),), as the model would score its windows."""
        read = {doc_id: self.read(passages[doc_id]) for doc_id in {doc_id for _, doc_id in pairs}}
        parts = Parts()
        for query_id, doc_id in pairs:
            parts.add(query_id, doc_id, read[doc_id])
        return parts.best(self.inner.score_pairs(queries, parts.texts, parts.pairs, progress))

    def read(self, text: str) -> list[str]:
        """Return the windows whose largest score is that of the text."""
        windows = self.split(text)
        return windows[:1] if self._pooling == "first" else windows

    def split(self, text: str) -> list[str]:
        """Cut windows of at most ``windows`` tokens, ``stride`` apart; the last reaches the end."""
        encoded = self._tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        offsets = encoded["offset_mapping"]
        parts = []
        for first in range(0, len(offsets), self._stride):
            last = min(first + self._length, len(offsets)) - 1
            parts.append(text[offsets[first][0] : offsets[last][1]])
            if last == len(offsets) - 1:
                break
        return parts or [text]
