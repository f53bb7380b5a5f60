"""The audit of a labelled file, made once for all points that train on it."""

import json
import logging
from pathlib import Path

from pipeline.audit import audit
from pipeline.audit.page import save
from pipeline.config import Config
from pipeline.config.datasets import LabelledConfig
from pipeline.config.models import ColbertConfig, CrossEncoderConfig
from pipeline.data.labelled import split as labelled
from pipeline.infra import model_files as weights
from pipeline.infra import provenance
from pipeline.infra.stage_cache import stage_output
from pipeline.records import InputError

log = logging.getLogger(__name__)

UNUSABLE = 2  # exit code of an audit


def audit_labels(config: Config, base: Path) -> Path:
    """The folder with the audit of the labelled file, made once for all points.

    Raises:
        InputError: the audit calls the file unusable.
    """
    dataset, arch = config.dataset, config.arch
    assert isinstance(dataset, LabelledConfig)
    length = arch.max_length if isinstance(arch, CrossEncoderConfig) else config.max_length
    if isinstance(arch, ColbertConfig):
        length = arch.document_length
    inputs: dict[str, object] = {
        "data": labelled.inputs(dataset),
        "base": weights.content_hash(base),
        "length": length,
        "code": provenance.code_version("audit", "experiment.audit", "data"),
    }

    def build(folder: Path) -> None:
        report = audit(
            Path(dataset.path),
            dataset.columns,
            corpus=Path(dataset.corpus) if dataset.corpus else None,
            base=str(base),
            max_length=length,
            near_duplicate=dataset.near_duplicate or 1.0,
        )
        if report.exit_code() == UNUSABLE:
            raise InputError(f"{dataset.path}: {report.findings[0].message}; see make audit")
        save(report, folder)

    folder = stage_output(Path(config.output_dir) / "cache", "audit", inputs, build)
    findings = json.loads((folder / "audit.json").read_text())["findings"]
    warnings = [finding["message"] for finding in findings if finding["severity"] == "warning"]
    log.info("audit: %s", "; ".join(warnings) or "no warnings")
    return folder
