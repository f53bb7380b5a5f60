"""Let a request in: its token, the bytes of its body and its time are checked here.

``Guard`` is ASGI middleware around the whole application, so that nothing is read or computed for a
request that is refused. A body is read in full before the application sees it.
"""

import asyncio
import hmac
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.infra.errors import one_line
from pipeline.serving.metrics import Metrics

log = logging.getLogger(__name__)

UNCOUNTED = ("/health", "/metrics")
OPEN = "/health"  # to load balancers, which have no token


@dataclass(frozen=True)
class Limits:
    """What a request may take."""

    documents: int
    body_bytes: int
    seconds: float  # from the first byte to the last, with all waiting
    waiting: int  # requests that wait while others are scored


class TooLarge(Exception):
    """A body has more bytes than allowed."""


class ClientLeft(Exception):
    """The client has closed the connection."""


@dataclass
class Reply:
    """Sends an answer, counts it and keeps its status, 0 before it begins."""

    send: Send
    metrics: Metrics | None  # None: not counted
    status: int = 0

    async def __call__(self, message: Message) -> None:
        """Send a message of ASGI."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.metrics is not None:
                self.metrics.requests.labels(self.status).inc()
        await self.send(message)


class Guard:
    """Checks requests before ``app`` gets them, and turns what it raises into an answer."""

    def __init__(self, app: ASGIApp, limits: Limits, token: str | None, metrics: Metrics) -> None:
        self._app = app
        self._limits = limits
        self._token = None if token is None else os.fsencode(token)
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and count it."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        reply = Reply(send, None if scope["path"] in UNCOUNTED else self._metrics)
        try:
            await self._answer(scope, receive, reply)
        except ClientLeft:
            pass
        except Exception as error:
            # FastAPI raises again what it has answered with status 500.
            log.error("%s %r: %s", scope["method"], scope["path"], one_line(error))
            if not reply.status:
                await refuse(reply, 500, "the server failed; its log says why")
        return None

    async def _answer(self, scope: Scope, receive: Receive, reply: Reply) -> None:
        """Answer a request that is allowed, within its limits.

        Raises:
            ClientLeft: the client closed the connection.
        """
        if not self._allowed(scope):
            text = "this server needs the header Authorization: Bearer TOKEN with its token"
            return await refuse(reply, 401, text, {"www-authenticate": "Bearer"})
        body = None
        most, seconds = self._limits.body_bytes, self._limits.seconds
        try:
            async with asyncio.timeout(seconds):
                body = await read_body(receive, most)
                await self._run(scope, body, receive, reply)
        except TooLarge:
            text = f"the body has more than {most:,} bytes; send fewer or shorter documents"
            await refuse(reply, 413, text)
        except TimeoutError:
            if reply.status:
                raise
            if body is None:
                await refuse(
                    reply, 408, f"the body was not sent within {seconds:g} s; send it faster"
                )
            else:
                text = f"not scored within {seconds:g} s; send fewer documents, or try again later"
                await refuse(reply, 504, text)
        return None

    def _allowed(self, scope: Scope) -> bool:
        if self._token is None or scope["path"] == OPEN:
            return True
        given = dict(scope["headers"]).get(b"authorization", b"")
        scheme, _, token = given.partition(b" ")
        # In constant time, so that answers tell nothing about the token.
        return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), self._token)

    async def _run(self, scope: Scope, body: bytes, receive: Receive, reply: Reply) -> None:
        """Run the application, and cancel it if the client leaves.

        Raises:
            ClientLeft: it did.
        """
        messages = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def replay() -> Any:
            return next(messages, None) or await receive()

        work = asyncio.ensure_future(self._app(scope, replay, reply))
        # After the body, the only message is that the connection has ended, or the answer is sent.
        gone = asyncio.ensure_future(receive())
        try:
            await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
            if gone.done() and not reply.status:
                raise ClientLeft
            await work
        finally:
            work.cancel()
            gone.cancel()


async def read_body(receive: Receive, most: int) -> bytes:
    """Read a body of at most ``most`` bytes, counted as they come.

    Raises:
        TooLarge: it has more.
        ClientLeft: the client closed the connection before its end.
    """
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        body += message.get("body", b"")
        if len(body) > most:
            raise TooLarge
        more = message.get("more_body", False)
    return bytes(body)


async def refuse(
    send: Send, status: int, text: str, headers: Mapping[str, str] | None = None
) -> None:
    """Send ``{"error": text}`` and close the connection, as a body may not have been read."""
    body = error_body(text)
    fields = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",
        **(headers or {}),
    }
    encoded = [(name.encode(), value.encode()) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


def error_body(text: str) -> bytes:
    """The body of every answer that is an error."""
    return json.dumps({"error": text}, ensure_ascii=False).encode()
