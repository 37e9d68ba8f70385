"""An HTTP server on loopback that passes requests on to another, as a thread: what test proxies are made of."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import socket
import ssl
import struct
import threading
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "accept-encoding", "expect"}
"""Headers that concern one connection only."""


@dataclass(frozen=True)
class Request:
    """What a client asked."""

    method: str
    path: str
    """With its query."""
    headers: Mapping[str, str]
    """By names in small letters."""
    body: bytes = field(repr=False)
    """Without compression."""


@dataclass(frozen=True)
class Reply:
    """What a client is told."""

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    """Whether the connection is reset in the middle of the body."""


class Proxy:
    """An HTTP server on loopback that passes requests on to a real node; a subclass changes `answer`."""

    def __init__(self, target: str, tls: ssl.SSLContext | None = None) -> None:
        """`target`: http://HOST:PORT."""
        self.target = urllib.parse.urlsplit(target)
        self.seen: list[Request] = []
        """Every request, in the order of arrival."""
        self.closing = threading.Event()
        self._open: set[socket.socket] = set()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        if tls is not None:
            # The handshake takes place in the connection's own thread.
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_port}"
        """Where clients find it."""

    def answer(self, request: Request) -> Reply | None:
        """The reply to a request; None ends the connection without one."""
        return self.forward(request)

    def forward(self, request: Request) -> Reply:
        """What the real node says."""
        connection = http.client.HTTPConnection(str(self.target.hostname), self.target.port, timeout=60)
        try:
            headers = {name: value for name, value in request.headers.items() if name not in HOP}
            headers.pop("content-encoding", None)
            connection.request(request.method, request.path, request.body, headers)
            answer = connection.getresponse()
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in HOP}
            return Reply(answer.status, answer.read(), kept)
        finally:
            connection.close()

    def close(self) -> None:
        """End all connections and wait for their threads."""
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        for connection in list(self._open):
            _shut(connection)
        self._server.server_close()

    def connected(self, connection: socket.socket, yes: bool) -> None:
        """Note that a connection began or ended."""
        (self._open.add if yes else self._open.discard)(connection)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # joined by server_close
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks is what proxies are for; the client notices and says so."""


def _handler(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        disable_nagle_algorithm = True
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            proxy.connected(self.request, True)
            super().setup()

        def finish(self) -> None:
            proxy.connected(self.request, False)
            super().finish()

        def parse_request(self) -> bool:
            good = super().parse_request()
            if good:
                # One method serves all of HTTP's.
                setattr(self, f"do_{self.command}", self.serve)
            return good

        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, body)
            proxy.seen.append(request)
            reply = proxy.answer(request)
            if reply is None:
                self.close_connection = True
            else:
                self.tell(reply)

        def tell(self, reply: Reply) -> None:
            self.send_response_only(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            body = b"" if self.command == "HEAD" else reply.body
            self.wfile.write(body[: len(body) // 2] if reply.cut else body)
            if reply.cut:
                self.close_connection = True
                _reset(self.connection)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Tests read `seen`."""

    return Handler


def _reset(connection: socket.socket) -> None:
    """End a connection as a crash does: the other side reads an error, not an end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    socket.socket(fileno=connection.detach()).close()


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
