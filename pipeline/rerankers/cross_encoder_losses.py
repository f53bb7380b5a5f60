"""The losses of a cross-encoder by their name in the configuration; most are the library's."""

from collections.abc import Callable

import torch
from sentence_transformers import CrossEncoder
from sentence_transformers.cross_encoder.losses import (
    BinaryCrossEntropyLoss,
    LambdaLoss,
    ListNetLoss,
    MarginMSELoss,
    MSELoss,
    RankNetLoss,
)

from pipeline.rerankers.lce import LceLoss
from pipeline.rerankers.mnrl import MnrlLoss
from pipeline.training.in_batch import InBatch


def loss_of(name: str, model: CrossEncoder, negatives: int, in_batch: InBatch) -> torch.nn.Module:
    """Build a loss of ``CROSS_ENCODER_LOSSES``; bce weighs positives by ``negatives``."""
    build: dict[str, Callable[[], torch.nn.Module]] = {
        "lce": lambda: LceLoss(model),
        "bce": lambda: BinaryCrossEntropyLoss(model, pos_weight=torch.tensor(float(negatives))),
        "lambda": lambda: LambdaLoss(model),
        "ranknet": lambda: RankNetLoss(model),
        "listnet": lambda: ListNetLoss(model),
        "mnrl": lambda: MnrlLoss(model, in_batch),
        "margin_mse": lambda: MarginMSELoss(model),
        "mse": lambda: MSELoss(model),
        # Cross-entropy to the teacher's softmax: the KL divergence plus the teacher's entropy.
        "kl": lambda: ListNetLoss(model),
    }
    return build[name]()
