"""Promotion and its gate, against a real MLflow store."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.config.stages import TrackingConfig
from pipeline.infra.stage_cache import StageCache
from pipeline.records import InputError, Refused
from pipeline.tracking import artifacts, promotion, reader, references, registry, writer
from pipeline.tracking.promotion import ServedAs
from pipeline.tracking.store import contact
from tests.conftest import NewStore

QUERIES = [f"q{i}" for i in range(40)]
VECTOR, FTS = ServedAs("vector", "reranked"), ServedAs("fts", "fused")
SAME_DATA = {"data.fingerprint": "a" * 64, "embedder.path": "package:x", "eval.overfetch": "4"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, new_store: NewStore) -> TrackingConfig:
    return new_store(tmp_path_factory.mktemp("registry"), "points")


def make_run(
    store: TrackingConfig,
    name: str,
    folder: Path | None,
    values: Mapping[str, float],
    params: Mapping[str, str] = SAME_DATA,
    **more: Mapping[str, float],
) -> str:
    """A finished run with these per-query values, and a model of one file.

    ``values`` are those of the reranked order of vector search, ``more`` of other columns.
    """
    with writer.run(store, name, {"kind": "point", "dataset": "d", "arch": "colbert"}) as run:
        run.log_params(params)
        run.log_metrics({"vector_reranked/ndcg_at_10": 0.99, "fts_fused/weight_at_10": 0.3})
        columns = {"vector_reranked": values, **more}
        artifacts.log_per_query(
            run, {c: {f"ndcg_at_{k}": dict(v) for k in (5, 10)} for c, v in columns.items() if v}
        )
        if folder is not None:
            folder.mkdir(parents=True)
            (folder / "config.json").write_text(json.dumps({"made_by": name}))
            run.log_tags({writer.MODEL_FOLDER: str(folder)})
    return run.run_id


def promote(
    store: TrackingConfig,
    run: str,
    name: str = "",
    force: bool = False,
    system: ServedAs = VECTOR,
) -> str:
    return promotion.promote(store, StageCache(Path("cache")), run, system, name, force)


def made_by(store: TrackingConfig, reference: str, tmp_path: Path) -> str:
    run = references.find_model(store, reference)
    folder = references.model_folder(store, run, StageCache(tmp_path / "cache"))
    return str(json.loads((folder / "config.json").read_text())["made_by"])


@pytest.mark.slow
def test_the_champion_moves_to_what_beats_it(store: TrackingConfig, tmp_path: Path) -> None:
    low = dict.fromkeys(QUERIES, 0.25)
    make_run(store, "low", tmp_path / "low", low)
    # better on 4 of 40 queries: the sign test's p is 2 / 2^4 = 0.125, no more than chance
    make_run(store, "lucky", tmp_path / "lucky", low | dict.fromkeys(QUERIES[:4], 1.0))
    make_run(store, "high", tmp_path / "high", dict.fromkeys(QUERIES, 0.75))

    line = promote(store, "low", "moves")
    assert (
        line == "low is models:/moves@champion, version 1, vector_reranked/ndcg_at_10 (the first)"
    )
    assert promote(store, "low", "moves").startswith("low is the champion already")

    with pytest.raises(Refused) as caught:
        promote(store, "lucky", "moves")
    reason = str(caught.value)
    assert "lucky does not beat the champion models:/moves/1 (low, vector_reranked/" in reason
    assert "0.3250 against vector_reranked/ndcg_at_10 0.2500, p = 0.1250; force=true" in reason
    champion = registry.champion(store, "moves")
    assert champion is not None
    assert champion[:3] == ("moves", "1", reader.find_run(store, "low").run_id)

    line = promote(store, "high", "moves")
    assert "high is models:/moves@champion, version 2" in line
    assert "0.7500 against vector_reranked/ndcg_at_10 0.2500" in line
    with pytest.raises(Refused, match="low does not beat"):
        promote(store, "low", "moves")
    line = promote(store, "models:/moves/1", "moves", force=True)
    assert line == "low is models:/moves@champion, version 1, vector_reranked/ndcg_at_10 (forced)"
    assert made_by(store, "models:/moves@champion", tmp_path) == "low"
    assert made_by(store, "models:/moves/2", tmp_path) == "high"


@pytest.fixture(scope="module")
def of_data(store: TrackingConfig, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a model whose champion has half of all values."""
    folder = tmp_path_factory.mktemp("here") / "model"
    make_run(store, "here", folder, dict.fromkeys(QUERIES, 0.5))
    promote(store, "here", "data")
    return "data"


@pytest.mark.parametrize(
    "key",
    ["data.fingerprint", "embedder.path", "search.depth", "eval.rrf_k"]
    + ["eval.overfetch", "eval.depth"],
)
def test_other_candidates_are_refused_with_the_reason(
    key: str, store: TrackingConfig, of_data: str, tmp_path: Path
) -> None:
    name, params = f"other {key}", SAME_DATA | {key: "other"}
    make_run(store, name, tmp_path / "model", dict.fromkeys(QUERIES, 1.0), params)
    reason = f"can't be compared: {key} is other and {SAME_DATA.get(key)};"
    with pytest.raises(Refused, match=re.escape(reason)):
        promote(store, name, of_data)


def test_fewer_queries_are_refused_except_by_force(
    store: TrackingConfig, of_data: str, tmp_path: Path
) -> None:
    make_run(store, "fewer", tmp_path / "model", dict.fromkeys(QUERIES[:39], 1.0))
    with pytest.raises(Refused, match="can't be compared: their queries are not the same;"):
        promote(store, "fewer", of_data)
    assert "version 2" in promote(store, "fewer", of_data, force=True)


def test_the_promoted_copy_outlives_the_folder(store: TrackingConfig, tmp_path: Path) -> None:
    values = dict.fromkeys(QUERIES, 0.5)
    make_run(store, "kept", tmp_path / "kept", values)
    make_run(store, "lost", tmp_path / "lost", values)
    promote(store, "kept", "copy")
    for name in ("kept", "lost"):
        (tmp_path / name / "config.json").unlink()
    assert made_by(store, "run:kept", tmp_path) == "kept"
    assert made_by(store, "models:/copy@champion", tmp_path) == "kept"
    with pytest.raises(InputError, match=r"run:lost: its model is not in .*lost any more"):
        promote(store, "lost", "copy")


def test_a_copy_that_was_interrupted_is_made_whole(store: TrackingConfig, tmp_path: Path) -> None:
    run_id = make_run(store, "torn", tmp_path / "torn", dict.fromkeys(QUERIES, 0.5))
    part = tmp_path / "part" / "tokenizer.json"
    part.parent.mkdir()
    part.write_text("{}")
    with contact(store) as client:
        client.log_artifacts(run_id, str(part.parent), "model")
    promote(store, "torn", "whole")
    (tmp_path / "torn" / "config.json").unlink()
    assert made_by(store, "models:/whole@champion", tmp_path) == "torn"


def test_the_default_name_is_the_data_set(store: TrackingConfig, tmp_path: Path) -> None:
    run_id = make_run(store, "plain", tmp_path / "plain", dict.fromkeys(QUERIES, 0.5))
    assert (
        promote(store, run_id)
        == "plain is models:/d@champion, version 1, vector_reranked/ndcg_at_10 (the first)"
    )


@pytest.mark.parametrize(
    ("run", "name", "reason"),
    [
        ("no_such", "", "run:no_such: no finished run of this name"),
        ("bare", "", "run:bare: recorded no model's folder"),
        ("has_model", "a/b", "name=a/b"),
        ("models:/nothing@champion", "", "not in the registry"),
    ],
)
def test_what_can_not_be_promoted(
    run: str, name: str, reason: str, store: TrackingConfig, tmp_path: Path
) -> None:
    config = replace(store, experiment="bad")
    make_run(config, "bare", None, {"q": 1.0})
    make_run(config, "has_model", tmp_path / "m", {"q": 1.0})
    champion = registry.champion(store, "d")
    with pytest.raises(InputError, match=reason):
        promote(store, run, name)
    assert registry.champion(store, "d") == champion


@pytest.mark.slow
def test_a_first_champion_is_not_worse_than_its_search(
    store: TrackingConfig, tmp_path: Path
) -> None:
    low, high = (dict.fromkeys(QUERIES, value) for value in (0.25, 0.75))
    make_run(store, "harmful", tmp_path / "h", low, vector=high)
    reason = r"^harmful is worse than vector search alone: .* 0\.2500 against 0\.7500, p = 0\.0"
    with pytest.raises(Refused, match=reason):
        promote(store, "harmful", "harmed")
    assert registry.champion(store, "harmed") is None
    assert "version 1" in promote(store, "harmful", "harmed", force=True)


@pytest.mark.slow
def test_the_named_system_is_compared_with_the_champions_own(
    store: TrackingConfig, tmp_path: Path
) -> None:
    low, middle, high = (dict.fromkeys(QUERIES, value) for value in (0.25, 0.5, 0.75))
    make_run(store, "served_fts", tmp_path / "f", low, fts_fused=middle)
    make_run(store, "better_vector", tmp_path / "v", high, fts_fused=low)
    make_run(store, "better_fts", tmp_path / "b", low, fts_fused=high)
    assert "fts_fused/ndcg_at_10 (the first)" in promote(store, "served_fts", "own", system=FTS)
    champion = registry.champion(store, "own")
    assert champion is not None
    recorded = {key: champion.tags[key] for key in ("search", "order", "cutoff", "fusion_weight")}
    assert recorded == {"search": "fts", "order": "fused", "cutoff": "10", "fusion_weight": "0.3"}

    with pytest.raises(Refused, match=r"fts_fused/ndcg_at_10 0\.2500 against fts_fused"):
        promote(store, "better_vector", "own", system=FTS)
    # Another system of its own beats what the champion serves.
    line = promote(store, "better_vector", "own")
    assert "vector_reranked/ndcg_at_10 0.7500 against fts_fused/ndcg_at_10 0.5000" in line
    with pytest.raises(Refused, match=r"can't be compared: cutoff is 5 and 10;"):
        promote(store, "better_fts", "own", system=ServedAs("fts", "fused", 5))
    # The same run with another system is another version, which must be better.
    with pytest.raises(Refused, match="better_vector does not beat"):
        promote(store, "better_vector", "own", system=FTS)
    assert "version 3" in promote(store, "better_vector", "own", True, FTS)


def test_nothing_is_promoted_untested(store: TrackingConfig, tmp_path: Path) -> None:
    make_run(store, "untested", tmp_path / "u", {})
    make_run(store, "tested", tmp_path / "t", dict.fromkeys(QUERIES, 0.5))
    with pytest.raises(Refused, match="untested has no values per query of vector_reranked/ndcg"):
        promote(store, "untested", "tests")
    assert registry.champion(store, "tests") is None
    promote(store, "tested", "tests")
    with pytest.raises(Refused, match="untested has no values per query"):
        promote(store, "untested", "tests")
    with pytest.raises(Refused, match="tested has no values per query of fts_fused/ndcg_at_10"):
        promote(store, "tested", "tests", system=FTS)
    assert "forced" in promote(store, "untested", "tests", force=True)


def test_a_model_that_ranks_nothing_is_no_champion(store: TrackingConfig, tmp_path: Path) -> None:
    run_id = make_run(store, "flat", tmp_path / "flat", dict.fromkeys(QUERIES, 0.5))
    writer.reopen(store, run_id).log_tags({"collapsed": "ranks nothing"})
    with pytest.raises(Refused, match="flat: ranks nothing; force=true"):
        promote(store, "flat", "flat")
