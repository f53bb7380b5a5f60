"""The routes of the server, and what each error is answered with."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import Body, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from pydantic import BeforeValidator
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from pipeline.evaluation.calibration import Calibration
from pipeline.protocols import Scorer
from pipeline.rerankers.batching import Batcher, Busy, NotScored
from pipeline.serving.limits import Guard, Limits, error_body
from pipeline.serving.metrics import Metrics
from pipeline.serving.protocol import (
    EXAMPLE,
    Error,
    Ranking,
    RerankRequest,
    ScoredText,
    counted,
    is_json,
    mistake,
)

PATHS = ("/rerank", "/v1/rerank", "/v2/rerank")
SIGMOID = Calibration(slope=1, intercept=0)  # of a logit, without a calibration


@dataclass(frozen=True)
class Served:
    """A loaded model, and what ``/health`` says of it."""

    model: Scorer
    name: str
    architecture: str  # cross_encoder or colbert
    precision: str
    device: str
    calibration: Calibration | str = "the model has no probabilities"  # or why it has none

    def normalised(self, scores: Sequence[float]) -> Sequence[float]:
        """Return probabilities, or the sigmoids of logits; the MaxSim of a ColBERT stays."""
        curve = self.calibration
        if isinstance(curve, str):
            if self.architecture != "cross_encoder":
                return scores
            curve = SIGMOID
        return list(map(float, curve.probabilities(scores)))


def create_app(served: Served, limits: Limits, token: str | None, most_pairs: int) -> ASGIApp:
    """Build the application; with ``token`` every path but ``/health`` needs it.

    At most ``most_pairs`` pairs of several requests are scored together.
    """
    metrics = Metrics()
    batcher = Batcher(served.model, most_pairs, limits.waiting, metrics.observe)

    @asynccontextmanager
    async def scoring(_app: FastAPI) -> AsyncIterator[None]:
        worker = asyncio.create_task(batcher.run())
        yield
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker

    # Without the pages that load scripts from elsewhere; /openapi.json describes the requests.
    app = FastAPI(
        title="reranker",
        lifespan=scoring,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # to the Host that a client names
        responses={"default": {"model": Error, "description": "An error"}},
    )
    _answer_errors(app)

    # For /openapi.json alone: Guard checks the token.
    secured = [] if token is None else [Depends(HTTPBearer(auto_error=False))]
    few = BeforeValidator(partial(counted, most=limits.documents))

    async def rerank(request: Annotated[RerankRequest, few, Body()]) -> Ranking | list[ScoredText]:
        passages = request.passages
        if request.needs_calibration and isinstance(served.calibration, str):
            raise HTTPException(422, f"probabilities: {served.calibration}")
        scores = (await batcher.score(request.query, passages)).scores
        metrics.documents.inc(len(passages))
        return request.answer(scores, served.name, served.normalised)

    for path in PATHS:
        app.post(path, response_model_exclude_none=True, dependencies=secured)(rerank)

    @app.get("/health")
    async def health() -> dict[str, str | bool]:
        return {
            "status": "ok",
            "model": served.name,
            "architecture": served.architecture,
            "precision": served.precision,
            "device": served.device,
            "calibrated": isinstance(served.calibration, Calibration),
        }

    @app.get("/metrics", dependencies=secured)
    async def show_metrics() -> Response:
        return Response(metrics.page(), headers={"content-type": metrics.content_type})

    return Guard(app, limits, token, metrics)


def _answer_errors(app: FastAPI) -> None:
    """Answer each error with one sentence, as ``{"error": ...}``."""

    @app.exception_handler(RequestValidationError)
    async def wrong_body(request: Request, error: RequestValidationError) -> Response:
        first, content_type = error.errors()[0], request.headers.get("content-type", "")
        status = 422 if is_json(content_type) else 415
        if first["type"] == "json_invalid":
            status = 400
        return _error(status, mistake(first, content_type))

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        path = request.url.path
        texts = {
            400: f"the body can't be read as JSON in UTF-8; send {EXAMPLE}",
            404: f"{path}: no such path; use /rerank, /health or /metrics",
            405: f"{request.method} {path}: no such method; use {_methods(path)}",
        }
        text = texts.get(error.status_code, str(error.detail))
        return _error(error.status_code, text, dict(error.headers or {}))

    @app.exception_handler(Busy)
    async def busy(request: Request, error: Busy) -> Response:
        text = "too many requests wait; try again in a second"
        return _error(503, text, {"retry-after": "1"})

    @app.exception_handler(NotScored)
    async def not_scored(request: Request, error: NotScored) -> Response:
        return _error(500, str(error))

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        return _error(500, "the server failed; its log says why")


def _methods(path: str) -> str:
    return "POST" if path in PATHS else "GET"


def _error(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return Response(error_body(text), status, headers, media_type="application/json")
