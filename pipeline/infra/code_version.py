"""Version the code that computes a stage, so that its stored output is not used after a change.

A version covers the syntax trees of the modules that a stage is made of, without docstrings and
comments, and the installed versions of the libraries that compute. Editing a docstring therefore
rebuilds nothing, and a new accelerate trains every model again.

The code of an earlier stage is not repeated: the key of that stage is an input of the later one.
"""

import ast
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

PACKAGE = Path(__file__).parent.parent
TRANSFORMER = ("numpy", "tokenizers", "torch", "transformers")
MACHINE = ("infra.batches", "infra.hardware")  # modules of all that computes by a model
SEARCH = (*TRANSFORMER, "lancedb", "sentence-transformers")
RERANKER = (*TRANSFORMER, "pylate", "sentence-transformers")
SERVED = (*RERANKER, "openvino")
TRAINING = (*RERANKER, "accelerate", "datasets", "peft")


@dataclass(frozen=True)
class Code:
    """Dotted names of modules and packages below ``pipeline``, and names of distributions."""

    modules: tuple[str, ...]
    libraries: tuple[str, ...]


STAGES = {
    "base": Code(("infra.model_files",), TRANSFORMER),
    "precision": Code(("infra.precision", "infra.layer_speed"), ("torch",)),
    "dataset": Code(("data",), ("datasets", "datasketch", "numpy", "scipy")),
    "audit": Code(
        ("audit", "data", "experiment.audit"), ("datasketch", "numpy", "tokenizers", "transformers")
    ),
    "index": Code(
        (
            *MACHINE,
            "retrieval.embedder",
            "retrieval.index",
            "retrieval.stop_words",
            "retrieval.ties",
        ),
        SEARCH,
    ),
    "candidates": Code(
        ("data.own_documents", "data.text", *MACHINE, "records", "retrieval"), SEARCH
    ),
    "negatives": Code(
        (
            "data.text",
            *MACHINE,
            "records",
            "retrieval",
            "training.choice",
            "training.negatives",
            "training.passage_scores",
            "training.training_set",
        ),
        SEARCH,
    ),
    "teacher": Code(
        (
            *MACHINE,
            "records",
            "rerankers",
            "retrieval.embedder",
            "retrieval.fusion",
            "training.passage_scores",
            "training.teacher",
            "training.training_set",
        ),
        RERANKER,
    ),
    "model": Code(
        ("data", "experiment.model", *MACHINE, "rerankers", "retrieval", "training"),
        TRAINING,
    ),
    # A part of the key of models whose best weights the dev score decides.
    "dev score": Code(
        ("evaluation.metrics", "evaluation.quality", "experiment.dev_score"), ("ir-measures",)
    ),
    "token vectors": Code(
        ("experiment.token_vectors", *MACHINE, "rerankers", "retrieval.ties"),
        (*RERANKER, "lancedb", "scipy"),
    ),
    "scores": Code(("experiment.scores", *MACHINE, "rerankers"), SERVED),
    "latency": Code(
        (
            "evaluation.callers",
            "evaluation.latency",
            "evaluation.quantiles",
            "experiment.latency",
            *MACHINE,
            "rerankers",
            "retrieval",
        ),
        (*SERVED, "lancedb", "scipy"),
    ),
    # What a finished point used beside its stages.
    "point": Code(
        ("config.index", "config.stages", "evaluation", "experiment"), ("ir-measures", "scipy")
    ),
}


@cache
def code_version(*stages: str) -> str:
    """16 hex digits over the code and the libraries of these stages together."""
    return version_under(PACKAGE, *stages)


def version_under(package: Path, *stages: str) -> str:
    """``code_version`` for the source tree in the folder ``package``."""
    modules = {module for stage in stages for module in STAGES[stage].modules}
    libraries = {library for stage in stages for library in STAGES[stage].libraries}
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package)
        dotted = ".".join(name.with_suffix("").parts)
        if any(dotted == module or dotted.startswith(f"{module}.") for module in modules):
            digest.update(f"{name.as_posix()}\0{_syntax(path.read_text('utf-8'))}\0".encode())
    for library in sorted(libraries):
        digest.update(f"{library}=={_installed(library)}\0".encode())
    return digest.hexdigest()[:16]


def _installed(library: str) -> str:
    """The version of a library; "none" if it is not installed, and so computes nothing."""
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "none"


@cache
def _syntax(source: str) -> str:
    """The syntax tree of ``source`` without docstrings; comments are no part of it."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [part for part in body if not _is_text(part)]  # type: ignore[attr-defined]
    return ast.dump(tree)


def _is_text(statement: ast.stmt) -> bool:
    """Whether a statement is nothing but a string: a docstring, of an attribute as well."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
