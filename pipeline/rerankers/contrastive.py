"""PyLate's contrastive loss without false negatives, and over several processes."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pylate.losses import Contrastive
from pylate.models import ColBERT
from pylate.scores import ColBERTScores
from pylate.utils import all_gather

from pipeline.infra.distributed import world_size
from pipeline.training.in_batch import InBatch


class ContrastiveLoss(Contrastive):  # type: ignore[misc]
    """Cross-entropy of the relevant passage against its negatives and those in the batch.

    The labels of a batch are its row numbers, by which ``in_batch`` finds false negatives. One
    process encodes all passages in one pass, because each pass pays for a gradient of all word
    embeddings. With several processes PyLate multiplies the loss by their number, although
    gathering sums the gradients already. ``forward`` divides by it.
    """

    def __init__(self, model: ColBERT, in_batch: InBatch, temperature: float) -> None:
        self._scores = _ScoresWithoutExcluded()
        super().__init__(
            model,
            score_metric=self._scores,
            gather_across_devices=world_size() > 1,
            temperature=temperature,
        )
        self._in_batch = in_batch

    def forward(self, sentence_features: Any, labels: torch.Tensor) -> torch.Tensor:
        """Compute the loss of a batch, a scalar; ``labels`` are row numbers, shape (rows,)."""
        batch = torch.cat(all_gather(labels)) if world_size() > 1 else labels
        excluded = self._in_batch.excluded(labels.tolist(), batch.tolist())
        if world_size() == 1:
            queries, *columns = sentence_features
            sentence_features = [queries, _one_below_another(columns)]
            excluded = excluded.transpose(1, 2)
        self._scores.excluded = excluded.flatten(1).to(labels.device)
        loss: torch.Tensor = super().forward(sentence_features, labels)
        return loss / world_size()


def _one_below_another(columns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Make one column of several: the first of all rows, which are the relevant ones, come first.

    PyLate takes passage i as the relevant one of query i if there is a single column.
    """
    return {
        name: torch.cat([column[name] for column in columns])
        if isinstance(value, torch.Tensor)
        else value
        for name, value in columns[0].items()
    }


class _ScoresWithoutExcluded:
    """MaxSim of each query with all passages of a batch; that of an excluded one is -inf."""

    excluded: torch.Tensor  # shape (queries, passages)

    def __init__(self) -> None:
        self._inner = ColBERTScores()

    def __call__(self, *embeddings: torch.Tensor, **masks: torch.Tensor | None) -> torch.Tensor:
        scores: torch.Tensor = self._inner(*embeddings, **masks)
        return scores.masked_fill(self.excluded, -torch.inf)
