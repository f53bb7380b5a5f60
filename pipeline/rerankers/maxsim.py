"""Score pairs by MaxSim: for each query token its best cosine with a passage token, summed."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from pipeline.protocols import Scores

BLOCK = 4096  # passages whose token vectors are held at a time, bounds memory


def score_blocks(
    queries: Mapping[str, str],
    embed_queries: Callable[[Sequence[str]], Sequence[torch.Tensor]],
    pairs: Sequence[tuple[str, str]],
    doc_ids: Sequence[str],
    read: Callable[[Sequence[str]], Sequence[torch.Tensor]],
) -> Scores:
    """Score (query id, passage id) pairs, shape (len(pairs),). Every query is embedded once.

    ``read(ids)`` returns the token vectors of some passages, each of shape (tokens, size); each of
    ``doc_ids`` is read once, in this order.
    """
    query_ids = list(dict.fromkeys(query_id for query_id, _ in pairs))
    embedded = embed_queries([queries[query_id] for query_id in query_ids])
    query_tokens = dict(zip(query_ids, embedded, strict=True))
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
            scores[[index for index, _ in members]] = maxsim(query_tokens[query_id], documents)
    return scores


def maxsim(query: torch.Tensor, documents: Sequence[torch.Tensor]) -> Scores:
    """Compute MaxSim, shape (len(documents),), as ``pylate.scores.colbert_scores`` without padding.

    Each of the ``documents`` has at least one token, and may be on another device.
    """
    similarities = torch.cat(list(documents)).to(query.device) @ query.T
    if similarities.device.type == "mps":  # for which torch has no segment_reduce
        similarities = similarities.cpu()
    lengths = torch.tensor([len(tokens) for tokens in documents], device=similarities.device)
    best = torch.segment_reduce(similarities, "max", lengths=lengths)
    result: Scores = best.sum(dim=1).cpu().numpy()
    return result
