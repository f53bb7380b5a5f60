"""What the candidates leave out, and what is said about them."""

import logging
from pathlib import Path

import pytest

from pipeline.experiment.shared import announce, prepare_shared
from pipeline.infra.hardware import Hardware
from pipeline.infra.stage_cache import StageCache
from tests.data.beir_folder import jsonl, tsv, write
from tests.points import compose_config


@pytest.mark.slow
def test_a_query_that_is_a_passage_does_not_find_itself(
    tmp_path: Path, machine: Hardware, caplog: pytest.LogCaptureFixture
) -> None:
    """As in ArguAna: the corpus holds every query under the query's own id."""
    parts = ["nozzle", "belt", "filter", "gasket", "switch", "display", "valve", "handle"]
    queries = {f"q{i}": f"how do I clean the {part} of a pump" for i, part in enumerate(parts)}
    answers = {f"d{i}": f"To clean the {part}, use lukewarm water." for i, part in enumerate(parts)}
    folder = write(
        tmp_path / "data",
        corpus=jsonl([{"_id": i, "text": text} for i, text in (answers | queries).items()]),
        queries=jsonl([{"_id": i, "text": text} for i, text in queries.items()]),
        test=tsv([(q, f"d{q[1:]}", 1) for q in queries]),
        dev="",
        train="",
    )
    words = ["dataset=beir", f"dataset.path={folder}", "eval.top_k=[5]", "epochs=0"]
    config = compose_config([*words, f"output_dir={tmp_path}", "hardware.precision=fp32"])
    shared = prepare_shared(config, machine, StageCache.of(config))
    for ranking in shared.candidates.values():
        for query_id, hits in ranking.items():
            assert query_id not in [hit.doc_id for hit in hits]
    assert shared.own.keys() == shared.dataset.dev.queries.keys() | shared.dataset.test.queries
    with caplog.at_level(logging.INFO):
        announce(shared)
    assert f"{len(shared.own)} queries are passages of the corpus themselves" in caplog.text


@pytest.mark.slow
def test_full_text_that_finds_nothing_is_said_and_icu_finds_it(
    tmp_path: Path, machine: Hardware, caplog: pytest.LogCaptureFixture
) -> None:
    devices = ["碎纸机", "吊扇", "台灯", "面包机", "榨汁机", "洗碗机"]
    parts = ["排水阀", "滤网", "轴承"]
    rows = [
        f"{device}的{part}应该怎样清洁？,清洁{device}的{part}时请先拔掉电源并等待二十分钟。,1"
        for device in devices
        for part in parts
    ]
    file = tmp_path / "pairs.csv"
    file.write_text("\n".join(["query,text,label", *rows]) + "\n", encoding="utf-8")
    found = {}
    for tokenizer in ("simple", "icu"):
        caplog.clear()
        words = ["dataset=labelled", f"dataset.path={file}", f"index.fts.tokenizer={tokenizer}"]
        words += ["epochs=0", f"output_dir={tmp_path}", "hardware.precision=fp32"]
        config = compose_config(words)
        shared = prepare_shared(config, machine, StageCache.of(config))
        announce(shared)
        warned = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
        assert any("index.fts.tokenizer=icu" in text for text in warned) == (tokenizer == "simple")
        found[tokenizer] = [
            bool({hit.doc_id for hit in hits[:10]} & shared.dataset.test.qrels[query_id].keys())
            for query_id, hits in shared.test_candidates()["fts"].items()
        ]
    assert not any(found["simple"])
    assert all(found["icu"])
