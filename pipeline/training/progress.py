"""One progress bar for a training, in place of the libraries' own output."""

from collections.abc import Mapping
from typing import Any

from tqdm import tqdm
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from pipeline.infra.console import live_line
from pipeline.protocols import OnLog
from pipeline.training.best import DEV_METRIC

CURVES = {
    "loss": "train/loss",
    "learning_rate": "train/learning_rate",
    f"eval_{DEV_METRIC}": f"train/{DEV_METRIC}",
}
"""The library's name of a logged value -> our metric."""


class Progress(TrainerCallback):  # type: ignore[misc]
    """Shows one bar with the loss and the remaining time; passes the curves to ``on_log``."""

    def __init__(self, on_log: OnLog) -> None:
        self._on_log = on_log
        self._bar: tqdm[Any] | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._bar = live_line("train", "step", total=state.max_steps, done=state.global_step)
        # A resumed training has a history, which this attempt's run does not hold yet.
        for logs in state.log_history:
            self._pass_on(logs, logs["step"])

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self._bar is not None:
            self._bar.update(state.global_step - self._bar.n)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        logs = logs or {}
        if self._bar is not None and "loss" in logs:
            self._bar.set_postfix(loss=f"{logs['loss']:.3f}")
        self._pass_on(logs, state.global_step)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def _pass_on(self, logs: Mapping[str, float], step: float) -> None:
        metrics = {name: logs[key] for key, name in CURVES.items() if key in logs}
        if metrics:
            self._on_log(int(step), metrics)
