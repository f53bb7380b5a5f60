"""A run on 25 labelled queries, of which five are test queries, ends with its timings."""

from pathlib import Path

import pytest

from pipeline.experiment import recipe
from pipeline.tracking import reader
from tests.points import compose_config


@pytest.mark.slow
def test_25_labelled_queries_suffice(tmp_path: Path) -> None:
    rows = ["query,text,label"]
    for part in ("nozzle", "belt", "filter", "gasket", "switch"):
        for device in ("kettle", "fan", "pump", "hose", "lamp"):
            query = f"how do I clean the {part} of a {device}"
            rows.append(f"{query},To clean the {part} of your {device} use a soft brush.,1")
    file = tmp_path / "pairs.csv"
    file.write_text("\n".join(rows) + "\n")
    words = ["dataset=labelled", f"dataset.path={file}", "base=modernbert_tiny"]
    words += ["mining.depth=1", "mining.first_rank=1", "mining.last_rank=12", "train.max_steps=1"]
    words += ["latency.limits=[5]", "hardware.precision=fp32", f"output_dir={tmp_path}"]
    config = compose_config(words)
    run = reader.read_run(config.tracking, recipe.run(config, tmp_path / "run"))
    assert run.status == "FINISHED"
    assert run.params["data.test_queries"] == "5"
    assert run.metrics["latency/hybrid_5/total_p50_ms"] > 0
    assert run.tags["latency.threads"] == run.params["machine.threads"]
    assert 0 <= run.metrics["fts_fused/weight_at_10"] <= 1
