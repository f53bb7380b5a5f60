"""The two forms of a request to ``/rerank``, their answers, and what is wrong with a body.

``documents`` is the form of Cohere and Jina, ``texts`` that of text-embeddings-inference. Keys that
neither names, such as ``truncate``, are ignored.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar
from uuid import uuid4

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from pipeline.data.text import SURROGATE

Normalise = Callable[[Sequence[float]], Sequence[float]]
"""Scores in the model's own range -> the same in 0..1, as far as the model allows."""

COUNT = "document_count"  # type of the error that a request has no documents or too many
JSON = re.compile(r"application/(.+\+)?json")
EXAMPLE = '{"query": "...", "documents": ["...", ...]}'


def _readable(text: str) -> str:
    """Refuse a text that a model can't read."""
    if not text.strip():
        raise ValueError("is empty, must have at least one letter")
    if SURROGATE.search(text):
        raise ValueError("holds half of a surrogate pair, must be Unicode text")
    return text


def _text_of(document: Any) -> Any:
    return document["text"] if isinstance(document, Mapping) and "text" in document else document


Text = Annotated[str, AfterValidator(_readable)]
Document = Annotated[
    Text,
    BeforeValidator(_text_of),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "properties": {"text": {"type": "string"}},
                    "required": ["text"],
                },
            ]
        }
    ),
]


class Error(BaseModel):
    """The answer to a request that fails: one sentence."""

    error: str


class ReturnedDocument(BaseModel):
    """A document in an answer."""

    text: str


class Result(BaseModel):
    """``index`` is the place of the document in the request, from 0."""

    index: int
    relevance_score: float
    document: ReturnedDocument | None = None


class Ranking(BaseModel):
    """The answer to ``DocumentsRequest``, best first."""

    id: str
    model: str
    results: list[Result]


class ScoredText(BaseModel):
    """An item of the answer to ``TextsRequest``, which is a list, best first."""

    index: int
    score: float
    text: str | None = None


class DocumentsRequest(BaseModel):
    """The form of Cohere and Jina. ``model`` is ignored: a server has one.

    ``probabilities`` is a key of this server.
    """

    model_config = ConfigDict(strict=True)

    query: Text
    documents: Annotated[list[Document], Field(fail_fast=True)]  # else 10 MiB hold 5M mistakes
    top_n: int | None = Field(None, ge=1)
    return_documents: bool | None = None
    probabilities: bool = False

    @property
    def needs_calibration(self) -> bool:
        """Whether a model without a calibration can't answer."""
        return self.probabilities

    @property
    def passages(self) -> list[str]:
        """The texts to score."""
        return self.documents

    def answer(self, scores: Sequence[float], model: str, normalise: Normalise) -> Ranking:
        """Rank the documents by their ``scores``; show these or, on request, probabilities."""
        shown = normalise(scores) if self.probabilities else scores
        results = [Result(index=i, relevance_score=shown[i]) for i in order(scores)[: self.top_n]]
        if self.return_documents:
            for result in results:
                result.document = ReturnedDocument(text=self.documents[result.index])
        return Ranking(id=str(uuid4()), model=model, results=results)


class TextsRequest(BaseModel):
    """The form of text-embeddings-inference.

    With ``raw_scores`` false, the default there too, the scores are probabilities if the model is
    calibrated. Else the logit of a cross-encoder goes through a sigmoid, and the MaxSim of a
    ColBERT stays.
    """

    model_config = ConfigDict(strict=True)

    query: Text
    texts: Annotated[list[Text], Field(fail_fast=True)]
    raw_scores: bool = False
    return_text: bool = False
    needs_calibration: ClassVar[bool] = False

    @property
    def passages(self) -> list[str]:
        """The texts to score."""
        return self.texts

    def answer(self, scores: Sequence[float], model: str, normalise: Normalise) -> list[ScoredText]:
        """Rank the texts by their ``scores``; show normalised ones or, on request, these."""
        shown = scores if self.raw_scores else normalise(scores)
        return [
            ScoredText(index=i, score=shown[i], text=self.texts[i] if self.return_text else None)
            for i in order(scores)
        ]


def _form(body: Any) -> str:
    return "texts" if isinstance(body, Mapping) and "texts" in body else "documents"


RerankRequest = Annotated[
    Annotated[DocumentsRequest, Tag("documents")] | Annotated[TextsRequest, Tag("texts")],
    Discriminator(_form),
]


def counted(body: Any, most: int) -> Any:
    """Return ``body`` unless its documents or texts are none or more than ``most``.

    Without a look at each of them, as a body of 10 MiB may hold millions.
    """
    texts = body.get(_form(body)) if isinstance(body, Mapping) else None
    if isinstance(texts, list) and not 1 <= len(texts) <= most:
        raise PydanticCustomError(COUNT, f"{len(texts)} documents; send 1 to {most:,} in a request")
    return body


def order(scores: Sequence[float]) -> list[int]:
    """The places of the scores, best first; equal ones keep their order."""
    return sorted(range(len(scores)), key=lambda i: -scores[i])


def is_json(content_type: str) -> bool:
    """Whether a body with this header Content-Type is read as JSON."""
    kind = content_type.partition(";")[0].strip().lower()
    return JSON.fullmatch(kind) is not None


def mistake(error: Mapping[str, Any], content_type: str) -> str:
    """Say in one sentence what is wrong with a body, from the first error of its validation.

    ``error`` is an item of pydantic's ``errors()``. Its place starts with "body" and the form.
    """
    if error["type"] == "json_invalid":
        place = f"{error['ctx']['error']} at character {error['loc'][-1]}"
        return f"the body is not valid JSON ({place}); send {EXAMPLE}"
    if not is_json(content_type):
        given = f"is {content_type}" if content_type else "is missing"
        return f"the header Content-Type {given}, must be application/json"
    if error["type"] == COUNT:
        return str(error["msg"])
    keys = error["loc"][2:]
    if not keys:
        return f"the body must be a JSON object; send {EXAMPLE}"
    place = ".".join(str(key) for key in keys)
    if error["type"] == "missing":
        return f"{place} is missing; send {EXAMPLE}"
    if error["type"] == "value_error":
        return f"{place} {error['ctx']['error']}"
    wanted = error["msg"].replace("Input should be", "must be")
    if keys[0] == "documents" and len(keys) > 1:
        wanted = 'must be a string or {"text": "..."}'
    return f"{place}: {wanted}"
