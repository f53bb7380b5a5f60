"""The audit of a point: what its own model reads, and nothing where there is no model."""

import json
import logging
from pathlib import Path

import pytest

from pipeline.config import Config
from pipeline.config.datasets import LabelledConfig
from pipeline.experiment.audit import audit_labels
from pipeline.infra.model_files import TINY_TOKENIZER, locate
from pipeline.infra.stage_cache import StageCache
from tests.points import compose_config

LONG = "how do I tighten the nozzle of an electric kettle " * 4
CONTROL = ["arch=none", "base=none", "negatives=0", "epochs=0"]


def point(file: Path, *words: str) -> Config:
    return compose_config(
        ["dataset=labelled", f"dataset.path={file}", f"output_dir={file.parent}", *words]
    )


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    file = tmp_path / "pairs.csv"
    rows = (f"Query {n}?,Text {n}.,1\n{LONG}{n},Other {n}.,1\n" for n in range(5))
    file.write_text("query,text,label\n" + "".join(rows))
    return file


def audited(config: Config, base: Path) -> dict[str, object]:
    assert isinstance(config.dataset, LabelledConfig)
    folder = audit_labels(config, config.dataset, base, StageCache.of(config))
    found: dict[str, object] = json.loads((folder / "audit.json").read_text())
    assert (folder / "audit.html").is_file()
    return found


def test_the_control_needs_no_tokenizer(pairs: Path) -> None:
    config = point(pairs, *CONTROL)
    report = audited(config, pairs.parent / "no_model")
    renamed = pairs.rename(pairs.with_name("renamed.csv"))
    audited(point(renamed, *CONTROL, "max_length=32"), pairs.parent / "no_model")
    assert len(list((pairs.parent / "cache/audit").glob("[!.]*"))) == 1
    assert report["facts"]["tokens"] is None  # type: ignore[index]
    assert report["facts"]["pairs"] == 10  # type: ignore[index]


def test_queries_that_a_colbert_cuts_are_in_the_audit(
    pairs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    base = locate("base", TINY_TOKENIZER)
    config = point(pairs, "arch=colbert", "arch.query_length=32")
    caplog.set_level(logging.INFO)
    audited(config, base)
    assert "queries longer than arch.query_length=32 tokens (50%)" in caplog.text


def test_the_points_of_a_sweep_log_the_warnings_once(
    pairs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    config = point(pairs, *CONTROL, "tracking.parent_run_id=sweep")
    for _ in range(2):
        audited(config, pairs.parent / "no_model")
    assert caplog.text.count("audit: only 10 usable pairs") == 1
    audited(point(pairs, *CONTROL), pairs.parent / "no_model")
    assert caplog.text.count("audit: only 10 usable pairs") == 2
