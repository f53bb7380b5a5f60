"""Bases: cut to some layers, and refused where they are nowhere."""

import errno
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from pipeline.infra.errors import exit_code
from pipeline.infra.model_files import SEEN_QUERIES, content_hash, locate, prepare_base
from pipeline.infra.stage_cache import StageCache
from pipeline.records import InputError
from tests.conftest import Compose
from tests.odd_models import encoder


@pytest.mark.slow
def test_minilm_l3_is_every_second_layer(small: Compose) -> None:
    cache = StageCache.of(small())
    whole = load_file(prepare_base(small("base=minilm_l6").base, cache) / "model.safetensors")
    half = load_file(prepare_base(small("base=minilm_l3").base, cache) / "model.safetensors")
    name = "encoder.layer.{}.output.dense.weight"
    for ours, theirs in enumerate((0, 2, 4)):
        assert np.array_equal(half[name.format(ours)], whole[name.format(theirs)])
    assert name.format(3) not in half


def test_a_cut_base_keeps_what_it_has_seen_and_follows_its_tokenizer(
    small: Compose, tmp_path: Path
) -> None:
    whole = encoder(tmp_path / "whole")
    np.save(whole / SEEN_QUERIES, np.array([7], dtype=np.uint64))
    named = small("base=minilm_l3").base
    base = replace(named, path=str(whole), keep_layers=[0])
    cut = prepare_base(base, StageCache(tmp_path / "cache"))
    assert np.load(cut / SEEN_QUERIES).tolist() == [7]
    assert prepare_base(base, StageCache(tmp_path / "cache")) == cut
    np.save(whole / SEEN_QUERIES, np.array([7, 8], dtype=np.uint64))
    longer = prepare_base(base, StageCache(tmp_path / "cache"))
    assert np.load(longer / SEEN_QUERIES).tolist() == [7, 8]
    settings = whole / "tokenizer_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"do_lower_case": False}))
    assert prepare_base(base, StageCache(tmp_path / "cache")) not in (cut, longer)


def test_the_lengths_of_a_stanford_checkpoint_are_of_its_content(tmp_path: Path) -> None:
    hashes = []
    for length in (16, 64):
        (tmp_path / "artifact.metadata").write_text(json.dumps({"doc_maxlen": length}))
        hashes.append(content_hash(tmp_path))
    assert hashes[0] != hashes[1]


@pytest.mark.parametrize("path", ["no-such/model", "not a model!", "/no/such/folder"])
def test_a_base_that_is_nowhere_is_refused(
    path: str, small: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    config = small(f"base.path='{path}'")
    with pytest.raises(InputError, match=r"base\.path=.*minilm_l6, minilm_l3"):
        prepare_base(config.base, StageCache.of(config))


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("Data processing error: No space left on device (os error 28)"),
    ],
    ids=["http", "xet"],
)
def test_a_full_disk_is_no_mistake_of_the_user(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def download(name: str, **options: object) -> str:
        raise error

    monkeypatch.setattr("pipeline.infra.model_files.snapshot_download", download)
    assert exit_code(lambda: locate("base.path", "some/model")) == 1
    said = capsys.readouterr().err
    assert "base.path=some/model: the disk is full" in said
    assert "/hub" in said and "HF_HOME" in said
