"""Score pairs by MaxSim: for each query token its best cosine with a passage token, summed."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from pipeline.protocols import Scores

BLOCK = 4096  # passages whose token vectors are held at a time, bounds memory


def score_blocks(
    queries: Mapping[str, torch.Tensor],
    pairs: Sequence[tuple[str, str]],
    doc_ids: Sequence[str],
    read: Callable[[Sequence[str]], Sequence[torch.Tensor]],
) -> Scores:
    """Score (query id, passage id) pairs, shape (len(pairs),).

    ``queries`` has the token vectors of each query, shape (tokens, size). ``read(ids)`` returns
    those of some passages; each of ``doc_ids`` is read once, in this order.
    """
    scores = np.empty(len(pairs), dtype=np.float32)
    places: dict[str, list[int]] = {doc_id: [] for doc_id in doc_ids}
    for index, (_, doc_id) in enumerate(pairs):
        places[doc_id].append(index)
    for start in range(0, len(doc_ids), BLOCK):
        block = doc_ids[start : start + BLOCK]
        tokens = read(block)
        by_query: dict[str, list[tuple[int, int]]] = {}
        for position, doc_id in enumerate(block):
            for index in places[doc_id]:
                by_query.setdefault(pairs[index][0], []).append((index, position))
        for query_id, members in by_query.items():
            documents = [tokens[position] for _, position in members]
            scores[[index for index, _ in members]] = maxsim(queries[query_id], documents)
    return scores


def maxsim(query: torch.Tensor, documents: Sequence[torch.Tensor]) -> Scores:
    """Compute MaxSim, shape (len(documents),), as ``pylate.scores.colbert_scores`` without padding.

    Each of the ``documents`` has at least one token.
    """
    lengths = torch.tensor([len(tokens) for tokens in documents], device=query.device)
    similarities = torch.cat(list(documents)) @ query.T
    best = torch.segment_reduce(similarities, "max", lengths=lengths)
    result: Scores = best.sum(dim=1).cpu().numpy()
    return result
