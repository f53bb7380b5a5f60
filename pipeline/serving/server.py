"""Own the socket, the connections and the end of the server."""

import asyncio
import ipaddress
import math
import os
import signal
import socket
import sys
from contextlib import suppress
from types import FrameType
from typing import ClassVar

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from pipeline.records import InputError
from pipeline.serving.limits import Limits, error_body

TOKEN = "RERANKER_TOKEN"
BACKLOG = 1024  # connections that the system accepts before the server does


def token_for(host: str) -> str | None:
    """The token of the environment, without which a server is for this machine only.

    Raises:
        InputError: there is none, and ``host`` can be reached from elsewhere.
    """
    token = os.environ.get(TOKEN, "").strip() or None
    if token is None and not is_loopback(host):
        raise InputError(
            f"--host {host}: others could use it; set the environment variable {TOKEN}, which "
            "clients then send, or use --host 127.0.0.1"
        )
    return token


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches ``host``; of names only localhost counts."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def bind(host: str, port: int) -> socket.socket:
    """Bind a socket that does not listen yet; port 0 takes a free one.

    Raises:
        InputError: the address can't be used.
    """
    try:
        # Without the port, which it would take modulo 65536.
        family, _, _, _, found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family)
        # A port that was closed a moment ago counts as free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((found[0], port, *found[2:]))
    except (OSError, OverflowError) as error:
        raise unusable(host, port, error) from error
    return listener


def listen(listener: socket.socket) -> str:
    """Start to listen and return the address. Connections wait until the server runs.

    Raises:
        InputError: another process has taken the port in the meantime.
    """
    host, port = listener.getsockname()[:2]
    try:
        listener.listen(BACKLOG)
    except OSError as error:
        raise unusable(host, port, error) from error
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def unusable(host: str, port: int, error: Exception) -> InputError:
    """The mistake that an address can't be used."""
    return InputError(f"--host {host} --port {port}: can't be used ({error}); choose another port")


def run(app: ASGIApp, listener: socket.socket, limits: Limits, line: str) -> None:
    """Print ``line`` and serve until Ctrl-C or SIGTERM; requests that have begun are finished."""
    with suppress(KeyboardInterrupt):
        server_of(app, limits, line).run(sockets=[listener])


class Server(uvicorn.Server):
    """Prints a line once it serves, when signals already end it cleanly.

    A second Ctrl-C does not wait for the requests that have begun.
    """

    def __init__(self, config: uvicorn.Config, line: str) -> None:
        super().__init__(config)
        self._line = line

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve."""
        await super().startup(sockets)
        print(self._line, flush=True)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end, or end at once if it is ending."""
        if self.should_exit and sig == signal.SIGINT:
            # A thread that scores can't be stopped otherwise, and there is nothing to save.
            print("interrupted", file=sys.stderr, flush=True)
            os._exit(130)
        super().handle_exit(sig, frame)


def server_of(app: ASGIApp, limits: Limits, line: str) -> Server:
    """Configure uvicorn, which says nothing but errors."""
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        # Every request ends within its own limit.
        timeout_graceful_shutdown=math.ceil(limits.seconds) + 1,
    )
    return Server(config, line)


class Connection(H11Protocol):
    """A connection that is closed if its client is too slow.

    The head of a request takes at most ``head_seconds``, and so does reading what is left of the
    last answer. In the middle of an answer a client may stop reading for ``unread_seconds``.
    uvicorn has no such limit.
    """

    head_seconds: ClassVar[float] = 10.0
    unread_seconds: ClassVar[float] = 30.0
    _head: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Read data; a head that has begun must end in time."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._wait_for_head()
        elif self._head is not None:
            self._head.cancel()
            self._head = None

    def pause_writing(self) -> None:
        """Wait until the client has read more of an answer."""
        super().pause_writing()
        self._unread = self.loop.call_later(self.unread_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Write on, as the client reads."""
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()

    def on_response_complete(self) -> None:
        """End a connection without another request, even if its client does not read the answer."""
        super().on_response_complete()
        if self.transport.is_closing():
            self.loop.call_later(self.head_seconds, self.transport.abort)

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection without requests, even if its client does not read the answer."""
        super().timeout_keep_alive_handler()
        self.loop.call_later(self.head_seconds, self.transport.abort)

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, in the form of all errors."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = error_body("this is not a valid HTTP/1.1 request")
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
                (b"connection", b"close"),
            ]
            for event in (
                h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _wait_for_head(self) -> None:
        if self._head is None:
            self._head = self.loop.call_later(self.head_seconds, self.transport.abort)
