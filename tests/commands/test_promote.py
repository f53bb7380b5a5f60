"""``promote``: its words, its exit codes, and where it looks; the gate is in tests/tracking."""

from pathlib import Path

import pytest

from pipeline.config.stages import TrackingConfig
from pipeline.tracking import artifacts, registry, writer
from tests.commands.conftest import code_of
from tests.conftest import NewStore

FTS = ["search=fts", "order=fused"]


@pytest.fixture
def store(tmp_path: Path, new_store: NewStore) -> TrackingConfig:
    """A store with two equal runs, first and second."""
    config = new_store(tmp_path)
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").touch()
        with writer.run(config, name, {"kind": "point", "dataset": "d"}) as run:
            artifacts.log_per_query(run, {"fts_fused": {"ndcg_at_10": {"q": 0.5}}})
            run.log_tags({writer.MODEL_FOLDER: str(folder)})
    return config


def test_the_words_name_run_model_and_store(
    store: TrackingConfig, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uri, system = f"tracking.uri={store.uri}", FTS
    assert code_of(["promote", "first", "name=cli", uri, *system]) == 0
    printed, error = capsys.readouterr()
    assert "models:/cli@champion" in printed
    assert error == ""

    assert code_of(["promote", uri, *system, "name=cli", "second"]) == 1
    printed, error = capsys.readouterr()
    assert printed == ""
    assert error.startswith("refused: second does not beat the champion")
    assert error.count("\n") == 1

    assert code_of(["promote", "second", "name=cli", "force=True", uri, *system]) == 0
    champion = registry.champion(store, "cli")
    assert champion is not None
    assert champion.version == "2"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([], "give one run, not 0"),
        (["a", "b"], "give one run, not 2"),
        (["a"], "search=vector or fts or hybrid"),
        (["a", "search=fts"], "order=reranked or fused"),
        (["a", "search=bm25", "order=fused"], "search=bm25"),
        (["a", *FTS, "cutoff=ten"], "cutoff=ten"),
        (["a", *FTS, "force=maybe"], "force=maybe"),
        (["a", *FTS, "trian.x=1"], "trian"),
        (["a", *FTS, "tracking.uri=sqlite:///none.db"], "none.db"),
    ],
)
def test_wrong_words_are_one_line(
    words: list[str], named: str, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of(["promote", *words]) == 2
    printed, error = capsys.readouterr()
    assert (printed, error.count("\n")) == ("", 1)
    assert named in error
    assert list(elsewhere.iterdir()) == []
