"""The multiple negatives ranking loss of sentence-transformers without false negatives."""

from collections.abc import Iterator

import torch
from sentence_transformers import CrossEncoder
from sentence_transformers.cross_encoder.losses import MultipleNegativesRankingLoss

from pipeline.training.in_batch import InBatch


class MnrlLoss(MultipleNegativesRankingLoss):  # type: ignore[misc]
    """Cross-entropy of the relevant passage against its negatives and four drawn from the batch.

    The labels of a batch are its row numbers, by which ``in_batch`` finds false negatives. A row
    for which the batch has fewer than four negatives counts those that there are.
    """

    def __init__(self, model: CrossEncoder, in_batch: InBatch) -> None:
        super().__init__(model)
        self._in_batch = in_batch

    def forward(self, inputs: list[list[str]], labels: torch.Tensor) -> torch.Tensor:
        """Compute the loss of a batch, a scalar; ``labels`` are row numbers, shape (rows,)."""
        rows = labels.tolist()
        excluded = self._in_batch.excluded(rows, rows)
        excluded[range(len(rows)), range(len(rows))] = True  # the row's own come by themselves
        self._excluded = excluded.transpose(1, 2).flatten(1)  # column by column, as the texts
        loss: torch.Tensor = super().forward(inputs, labels)
        return loss

    def get_in_batch_negatives(
        self, anchors: list[str], candidates: list[list[str]]
    ) -> Iterator[list[str]]:
        """Draw passages of other rows for each query; excluded ones only if too few are left."""
        texts = [text for column in candidates for text in column]
        count = min(self.num_negatives, len(texts) - len(candidates))
        places = (torch.rand(self._excluded.shape) - self._excluded.float()).topk(count).indices
        self._drawn = self._excluded.gather(1, places)
        for column in places.T.tolist():
            yield [texts[place] for place in column]

    def calculate_loss(self, logits: list[torch.Tensor], batch_size: int) -> torch.Tensor:
        """Compute the cross-entropy from logits in the order of ``forward``, without excluded."""
        scores = self.scale * self.activation_fn(torch.cat(logits).reshape(-1, batch_size).T)
        in_batch = slice(1, 1 + self._drawn.shape[1])
        scores[:, in_batch] = scores[:, in_batch].masked_fill(
            self._drawn.to(scores.device), -torch.inf
        )
        relevant = torch.zeros(batch_size, device=scores.device, dtype=torch.long)
        loss: torch.Tensor = self.cross_entropy_loss(scores, relevant)
        return loss
