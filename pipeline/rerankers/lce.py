"""The localised contrastive loss: a query's relevant passage against its own negatives.

Gao, Dai and Callan, "Rethink Training of BERT Rerankers in Multi-Stage Retrieval Pipeline", 2021,
https://arxiv.org/abs/2101.08751, equation 3.
"""

import torch
from sentence_transformers import CrossEncoder
from sentence_transformers.cross_encoder.losses import MultipleNegativesRankingLoss


class LceLoss(MultipleNegativesRankingLoss):  # type: ignore[misc]
    """Cross-entropy of the softmax over the logits of a query's passages, the relevant one first.

    It is the library's loss without a scale, an activation and negatives from the batch.
    """

    def __init__(self, model: CrossEncoder) -> None:
        super().__init__(model, scale=1, activation_fn=torch.nn.Identity())

    def forward(self, inputs: list[list[str]], labels: torch.Tensor) -> torch.Tensor:
        """Compute the loss of a batch, a scalar, in one forward pass over all pairs.

        ``inputs`` are columns: the queries, their relevant passages, and each further negative.
        """
        queries, *columns = inputs
        pairs = [list(pair) for column in columns for pair in zip(queries, column, strict=True)]
        loss: torch.Tensor = self.calculate_loss([self.call_model_with_pairs(pairs)], len(queries))
        return loss
