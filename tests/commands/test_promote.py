"""``promote``: its words, its exit codes, and where it looks; the gate is in tests/tracking."""

from pathlib import Path

import pytest

from pipeline.config.stages import TrackingConfig
from pipeline.tracking import registry, writer
from tests.commands.conftest import code_of


@pytest.fixture
def store(tmp_path: Path) -> TrackingConfig:
    """A store with two equal runs, first and second."""
    config = TrackingConfig(uri=f"sqlite:///{tmp_path}/mlflow.db")
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").touch()
        with writer.run(config, name, {"kind": "point", "dataset": "d"}) as run:
            run.log_metrics({"vector_reranked/ndcg_at_10": 0.5})
            run.log_tags({writer.MODEL_FOLDER: str(folder)})
    return config


def test_the_words_name_run_model_and_store(
    store: TrackingConfig, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = f"tracking.uri={store.uri}"
    assert code_of(["promote", "first", "name=cli", uri]) == 0
    printed, said = capsys.readouterr()
    assert "models:/cli@champion" in printed
    assert said == ""

    assert code_of(["promote", uri, "name=cli", "second"]) == 1
    printed, said = capsys.readouterr()
    assert printed == ""
    assert said.startswith("refused: second does not beat the champion")
    assert said.count("\n") == 1

    assert code_of(["promote", "second", "name=cli", "force=True", uri]) == 0
    champion = registry.champion(store, "cli")
    assert champion is not None
    assert champion.version == "2"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([], "give one run, not 0"),
        (["a", "b"], "give one run, not 2"),
        (["a", "force=maybe"], "force=maybe"),
        (["a", "trian.x=1"], "trian"),
        (["a", "tracking.uri=sqlite:///none.db"], "none.db"),
    ],
)
def test_wrong_words_are_one_line(
    words: list[str], named: str, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of(["promote", *words]) == 2
    printed, said = capsys.readouterr()
    assert (printed, said.count("\n")) == ("", 1)
    assert named in said
    assert list(elsewhere.iterdir()) == []
