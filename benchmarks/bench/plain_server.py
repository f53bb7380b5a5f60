"""Serve a cross-encoder as a tutorial does.

    python -m benchmarks.bench.plain_server FOLDER PORT

Each request calls ``CrossEncoder.predict`` in a thread of the pool of FastAPI, with the defaults of
both libraries.
"""

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from sentence_transformers import CrossEncoder

from pipeline.infra import quiet


def serve(folder: str, port: int) -> None:
    """Answer ``/rerank`` with the scores of the model in ``folder``, best first."""
    app, model = FastAPI(), CrossEncoder(folder)

    @app.get("/health")
    async def health() -> str:
        return "ok"

    @app.post("/rerank")
    async def rerank(body: dict[str, Any]) -> dict[str, Any]:
        pairs = [(body["query"], document) for document in body["documents"]]
        scores = (await run_in_threadpool(model.predict, pairs)).tolist()
        best = sorted(range(len(scores)), key=lambda i: -scores[i])
        return {"results": [{"index": i, "relevance_score": scores[i]} for i in best]}

    uvicorn.run(app, port=port, log_level="error")


if __name__ == "__main__":
    quiet.silence()
    serve(sys.argv[1], int(sys.argv[2]))
