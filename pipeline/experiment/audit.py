"""Audit a labelled file once for all points that train on it."""

import json
import logging
from pathlib import Path

from pipeline.audit import audit
from pipeline.audit.page import save
from pipeline.config import Config
from pipeline.config.datasets import LabelledConfig
from pipeline.config.models import ColbertConfig, CrossEncoderConfig
from pipeline.data.labelled import split as labelled
from pipeline.infra.code_version import code_version
from pipeline.infra.model_files import content_hash
from pipeline.infra.stage_cache import StageCache
from pipeline.records import InputError

log = logging.getLogger(__name__)

UNUSABLE = 2  # exit code of an audit


def audit_labels(config: Config, dataset: LabelledConfig, base: Path, cache: StageCache) -> Path:
    """The folder with the audit of the file of ``dataset``; its warnings are logged.

    Raises:
        InputError: the audit calls the file unusable.
    """
    length = _length(config)
    inputs: dict[str, object] = {
        "data": labelled.inputs(dataset),
        "base": content_hash(base),
        "length": length,
        "code": code_version("audit"),
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

    folder = cache.get("audit", inputs, build)
    findings = json.loads((folder / "audit.json").read_text())["findings"]
    warnings = [finding["message"] for finding in findings if finding["severity"] == "warning"]
    log.info("audit: %s", "; ".join(warnings) or "no warnings")
    return folder


def _length(config: Config) -> int:
    """How many tokens of a passage the reranker reads."""
    if isinstance(config.arch, CrossEncoderConfig):
        return config.arch.max_length
    if isinstance(config.arch, ColbertConfig):
        return config.arch.document_length
    return config.max_length
