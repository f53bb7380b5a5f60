"""Which of the evaluated weights are kept."""

from pathlib import Path

import torch
from transformers import TrainerControl, TrainerState, TrainingArguments

from pipeline.training.best import KeepBest


def test_of_equal_dev_scores_the_first_is_the_best(tmp_path: Path) -> None:
    """The second one is no gain, so it uses up the patience."""
    arguments = TrainingArguments(str(tmp_path), use_cpu=True, report_to="none")
    model = torch.nn.Linear(1, 1)
    best, control = KeepBest(model, patience=1), TrainerControl()
    for step, score in enumerate([0.4, 0.7, 0.7], start=1):
        assert not best.stopped
        torch.nn.init.constant_(model.weight, step)
        state = TrainerState(global_step=step, max_steps=9)
        best.on_evaluate(arguments, state, control, metrics={"eval_dev_score": score})
    assert best.stopped and control.should_training_stop
    best.on_train_end(arguments, state, control)
    assert model.weight.item() == 2
