"""The localised contrastive loss: a query's relevant passage against its own negatives.

Gao, Dai and Callan, "Rethink Training of BERT Rerankers in Multi-Stage Retrieval Pipeline", 2021,
https://arxiv.org/abs/2101.08751, equation 3.
"""

from collections.abc import Iterator

import torch
from sentence_transformers import CrossEncoder
from sentence_transformers.cross_encoder.losses import MultipleNegativesRankingLoss


class LceLoss(MultipleNegativesRankingLoss):  # type: ignore[misc]
    """Cross-entropy of the softmax over the logits of a query's passages, the relevant one first.

    It is the library's loss without a scale, an activation and negatives from the batch.
    """

    def __init__(self, model: CrossEncoder) -> None:
        super().__init__(model, scale=1, activation_fn=torch.nn.Identity())

    def get_in_batch_negatives(
        self, anchors: list[str], candidates: list[list[str]]
    ) -> Iterator[list[str]]:
        """Draw none; with ``num_negatives=0`` the library would fail to draw."""
        yield from ()
