"""Audit a labelled file once for all points that train on it."""

import json
import logging
from pathlib import Path

from pipeline import data
from pipeline.audit import audit
from pipeline.audit.page import save
from pipeline.config import Config
from pipeline.config.datasets import LabelledConfig
from pipeline.config.models import ColbertConfig, CrossEncoderConfig, NoArchConfig
from pipeline.infra.code_version import code_version
from pipeline.infra.model_files import content_hash
from pipeline.infra.stage_cache import StageCache
from pipeline.records import InputError

log = logging.getLogger(__name__)


def audit_labels(config: Config, dataset: LabelledConfig, base: Path, cache: StageCache) -> Path:
    """The folder with the audit of the file of ``dataset``; its warnings are logged.

    A sweep logs them once, when the file is audited.

    Raises:
        InputError: the audit calls the file unusable.
    """
    length, query_length = _lengths(config)
    reads = not isinstance(config.arch, NoArchConfig)  # the control has no tokenizer
    inputs: dict[str, object] = {
        "data": data.source_key(dataset),
        "base": content_hash(base) if reads else None,
        "length": [length, query_length] if reads else None,
        "code": code_version("audit"),
    }

    def build(folder: Path) -> None:
        report = audit(
            Path(dataset.path),
            dataset.columns,
            corpus=Path(dataset.corpus) if dataset.corpus else None,
            base=str(base) if reads else None,
            max_length=length,
            query_length=query_length,
            near_duplicate=dataset.near_duplicate or 1.0,
        )
        if report.unusable:
            raise InputError(f"{dataset.path}: {report.findings[0].message}; see make audit")
        save(report, folder)

    known = cache.find("audit", inputs) is not None
    folder = cache.get("audit", inputs, build)
    if known and config.tracking.parent_run_id is not None:
        return folder
    findings = json.loads((folder / "audit.json").read_text())["findings"]
    warnings = [finding["message"] for finding in findings if finding["severity"] == "warning"]
    log.info("audit: %s", "; ".join(warnings) or "no warnings")
    return folder


def _lengths(config: Config) -> tuple[int, int | None]:
    """How many tokens the reranker reads: of a passage, and of a query if apart from it."""
    if isinstance(config.arch, CrossEncoderConfig):
        return config.arch.max_length, None
    if isinstance(config.arch, ColbertConfig):
        return config.arch.document_length, config.arch.query_length
    return config.max_length, None
