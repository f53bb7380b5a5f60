"""Every model that a point starts from or learns from is refused if it has seen test queries."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.experiment import recipe, seen
from pipeline.experiment.shared import Shared
from pipeline.records import InputError
from tests.conftest import Compose, Saved, Trained


@pytest.fixture
def leaky(saved: Saved, shared: Shared, tmp_path: Path) -> Path:
    """The folder of a reranker that was trained on the test queries of the small experiment."""
    folder = shutil.copytree(saved("cross_encoder"), tmp_path / "leaky")
    dataset = replace(shared.dataset, train=shared.dataset.test)
    seen.save(folder, dataset, trained=True, start=folder)
    return folder


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("base", ("base=model", "base.name=leaky", "base.path={}")),
        ("train.teacher", ("base=modernbert_tiny", "arch.loss=kl", "train.teacher={}")),
        ("mining.filter", ("base=modernbert_tiny", "mining.filter={}")),
    ],
)
def test_a_model_that_has_seen_test_queries_is_refused(
    key: str, words: tuple[str, ...], leaky: Path, small: Compose, tmp_path: Path
) -> None:
    config = small(*(word.format(leaky) for word in words), "latency.enabled=false")
    with pytest.raises(InputError, match=rf"^{key}=.*60 of the 60 test queries"):
        recipe.run(config, tmp_path / "run")


@pytest.mark.slow
def test_a_trained_model_has_seen_its_training_queries(
    trained: Callable[[str], Trained], shared: Shared
) -> None:
    """``trained`` reports 48 training queries, and its dev queries were seen as well."""
    folder, dataset = trained("colbert").folder, shared.dataset
    assert seen.seen(folder, dataset.train.queries) == set(dataset.train.queries)
    assert seen.seen(folder, dataset.dev.queries) == set(dataset.dev.queries)
    assert seen.seen(folder, dataset.test.queries) == set()
