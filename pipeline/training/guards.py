"""Warnings about a training that is likely to fail: its learning rate and its loss curve."""

import math
from collections.abc import Mapping
from statistics import fmean

from scipy.stats import ttest_ind

from pipeline.protocols import OnLog
from pipeline.records import InputError

SANE_LEARNING_RATES = (1e-6, 5e-4)  # of pretrained transformers
FLAT = 0.1  # share of the loss; a fall that is surely smaller is called flat
LARGEST_GAIN = 60  # 2 to this, summed over a list, is far from the end of fp32
MIN_CURVE = 4  # logged losses in a quarter of a curve; a shorter curve is not judged


def undone(before: float | None, after: float | None) -> bool:
    """Whether a training is undone: it did not raise the dev score. None: that was not measured."""
    return before is not None and after is not None and after <= before


class LossCurve:
    """Collects the logged losses and passes every log on; stops a training that diverges."""

    def __init__(self, learning_rate: float, on_log: OnLog) -> None:
        self._learning_rate = learning_rate
        self._on_log = on_log
        self.losses: list[float] = []

    def on_log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Keep the loss, if there is one, and pass ``metrics`` on.

        Raises:
            RuntimeError: the loss is not finite.
        """
        loss = metrics.get("train/loss")
        if loss is not None:
            if not math.isfinite(loss):
                raise RuntimeError(
                    f"the loss is {loss} at step {step}: lower "
                    f"train.learning_rate={self._learning_rate:g} or set hardware.precision=fp32"
                )
            self.losses.append(loss)
        self._on_log(step, metrics)

    def warnings(self) -> list[str]:
        """Warn if the last quarter of the losses is hardly below the first, or above it.

        Single batches differ whatever the model learns, so the one-sided 95% limit of the fall
        must be small (Welch's interval). A curve that is too noisy to tell is not called flat.
        """
        quarter = len(self.losses) // 4
        if quarter < MIN_CURVE:
            return []
        first, last = self.losses[:quarter], self.losses[-quarter:]
        fall = ttest_ind(first, last, equal_var=False).confidence_interval(confidence_level=0.9)
        if fall.high >= FLAT * fmean(first):
            return []
        return [
            f"the loss is flat, {fmean(first):.4g} at first and {fmean(last):.4g} at last: try "
            "another train.learning_rate, more epochs, or look at the labels"
        ]


def check_gains(loss: str, largest: int) -> None:
    """Refuse gains that LambdaLoss can't compute with, as it raises 2 to them.

    Raises:
        InputError: the largest gain of the training queries is too large for the loss.
    """
    if loss == "lambda" and largest > LARGEST_GAIN:
        raise InputError(
            f"arch.loss=lambda: the largest label is {largest}, and 2 to the label must be a "
            f"number; use labels up to {LARGEST_GAIN}, or another loss"
        )


def check_learning_rate(learning_rate: float) -> list[str]:
    """Warn about a learning rate that is unusual for a pretrained transformer."""
    low, high = SANE_LEARNING_RATES
    if low <= learning_rate <= high:
        return []
    return [f"train.learning_rate={learning_rate:g}: usual is {low:g} to {high:g}"]
