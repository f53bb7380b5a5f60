"""The precision "auto" is measured once per kind of machine, and the answer is kept."""

import json
import logging
from pathlib import Path

import pytest
import torch

from pipeline.config.stages import HardwareConfig
from pipeline.infra import hardware, layer_speed, precision
from pipeline.infra.hardware import Hardware
from pipeline.infra.layer_speed import Batch, Sizes
from pipeline.infra.precision import settled, sizes_of
from pipeline.infra.stage_cache import StageCache
from pipeline.records import InputError

AUTO = Hardware("cpu", "auto", 2, "Xeon of the test")
SMALL = Sizes(hidden=32, heads=2, intermediate=64)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    config = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Stands for a machine that scores at 2.9x and trains at 0.6x in bf16; lists what was timed."""
    timed: list[bool] = []

    def speedup(device: str, half: str, sizes: Sizes, batch: Batch, trains: bool) -> float:
        assert (device, half, sizes) == ("cpu", "bf16", SMALL)
        timed.append(trains)
        return 0.6 if trains else 2.9

    monkeypatch.setattr(precision, "measured_speedup", speedup)
    return timed


def test_scoring_and_training_each_get_what_is_faster(
    model: Path, measured: list[bool], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "pipeline"):
        found = settled(AUTO, model, Batch(32, 48), Batch(16, 48))
    assert (found.precision, found.training_precision) == ("bf16", "fp32")
    assert measured == [False, True]
    scoring, training = (record.getMessage() for record in caplog.records)
    assert scoring.startswith("precision: bf16 for scoring") and "2.90x" in scoring
    assert training.startswith("precision: fp32 for training") and "0.60x" in training


def test_the_answer_is_kept_for_all_points_whatever_their_threads(
    model: Path, measured: list[bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = StageCache(tmp_path / "cache")
    one = settled(AUTO, model, Batch(32, 48), Batch(16, 48), cache)
    other = Hardware("cpu", "auto", 1, AUTO.name)
    two = settled(other, model, Batch(32, 48), Batch(16, 48), StageCache(tmp_path / "cache"))
    assert measured == [False, True]
    assert two.scoring() == one.scoring() | {"threads": 1}
    assert two.training_precision == one.training_precision
    assert {name.split("/")[0] for name in cache.used} == {"precision"}
    settled(Hardware("cpu", "auto", 2, "another"), model, Batch(32, 48), cache=cache)
    assert measured == [False, True, False]
    monkeypatch.setattr(precision, "vector_instructions", lambda: ["avx2"])  # of the same name
    settled(AUTO, model, Batch(32, 48), cache=cache)
    assert measured == [False, True, False, False]


def test_a_near_tie_is_fp32(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "measured_speedup", lambda *_: 1.1)
    assert settled(AUTO, model, Batch(32, 48)).precision == "fp32"


def test_what_is_configured_is_not_measured(model: Path, measured: list[bool]) -> None:
    for configured in ("fp32", "bf16"):
        machine = Hardware("cpu", configured, 2, "test")
        found = settled(machine, model, Batch(32, 48), Batch(16, 48))
        assert (found.precision, found.training_precision) == (configured, configured)
    chosen = Hardware("cpu", "bf16", 2, "test", training_precision="fp32")
    assert settled(chosen, model, Batch(32, 48)) == chosen  # by an earlier call
    assert not measured


def test_a_folder_that_can_not_be_written_is_no_obstacle(
    model: Path, measured: list[bool], tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    found = settled(AUTO, model, Batch(32, 48), cache=StageCache(tmp_path / "cache"))
    assert found.precision == "bf16"


def test_measuring_changes_neither_random_numbers_nor_threads() -> None:
    torch.manual_seed(3)
    expected, threads = torch.rand(4), torch.get_num_threads()
    torch.manual_seed(3)
    for trains in (False, True):
        speedup = layer_speed.measured_speedup("cpu", "bf16", SMALL, Batch(2, 8), trains)
        assert 0 < speedup < 100
    assert torch.equal(torch.rand(4), expected)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("seconds", "rounds"), [(0.0, 1), (60.0, 1 + layer_speed.ROUNDS)], ids=["slow", "fast"]
)
def test_a_first_round_that_takes_long_is_the_only_one(
    seconds: float, rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed: list[str] = []

    def score(layer: object, hidden: torch.Tensor, precision: str) -> float:
        timed.append(precision)
        return {"fp32": 1.0, "bf16": 6.0}[precision] if len(timed) <= 2 else 2.0

    monkeypatch.setattr(layer_speed, "_seconds_to_score", score)
    monkeypatch.setattr(layer_speed, "SECONDS", seconds)
    speedup = layer_speed.measured_speedup("cpu", "bf16", SMALL, Batch(2, 8), False)
    assert timed == ["fp32", "bf16"] * rounds
    assert speedup == (1 / 6 if rounds == 1 else 1)


@pytest.mark.parametrize(
    ("config", "sizes"),
    [
        (
            {"hidden_size": 384, "num_attention_heads": 12, "intermediate_size": 1536},
            (384, 12, 1536),
        ),
        ({"n_embd": 64, "n_head": 2, "n_inner": None}, (64, 2, 256)),  # GPT-2
        ({"d_model": 64, "encoder_attention_heads": 2, "encoder_ffn_dim": 96}, (64, 2, 96)),  # BART
        ({}, None),
    ],
)
def test_sizes_come_from_the_model(
    config: dict[str, int], sizes: tuple[int, int, int] | None, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert sizes_of(tmp_path) == sizes
    (tmp_path / "0_Transformer").mkdir()
    (tmp_path / "config.json").rename(tmp_path / "0_Transformer" / "config.json")
    (tmp_path / "modules.json").write_text(json.dumps([{"idx": 0, "path": "0_Transformer"}]))
    assert sizes_of(tmp_path) == sizes
    assert sizes_of(tmp_path / "nowhere") is None


def test_a_large_batch_is_cut_on_a_cpu(model: Path) -> None:
    wide = Sizes(1024, 16, 4096)
    assert precision._reduced(Batch(256, 256), wide, "cpu", True).texts == 1
    assert precision._reduced(Batch(256, 256), wide, "cuda", True).texts == 256
    assert precision._reduced(Batch(16, 48), SMALL, "cpu", True) == Batch(16, 48)


def test_fp16_needs_a_gpu() -> None:
    with pytest.raises(InputError, match=r"hardware\.precision=fp16: needs a CUDA GPU"):
        hardware.resolve(HardwareConfig(device="cpu", precision="fp16"))
