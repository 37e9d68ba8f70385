"""The collector that listens for HTTP: its options, and the server that runs."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette

from almena.clock import SECOND, Span
from collectors.base import Sink, Source
from collectors.http.access import Access
from collectors.http.desk import Desk, Events
from collectors.http.elastic import Elastic
from collectors.http.guard import Server, guarded
from collectors.http.tokens import Token
from collectors.sockets import bound, encrypted, peer
from collectors.streams import Refusals

_STOP_SECONDS = 5.0  # for requests under way when the collector stops


@dataclass(kw_only=True)
class Http:
    """An address that applications post events to; each token is a source of its own, `<collector>.<token>`.

    `POST /v1/events` takes JSON, lines of JSON and lines of text. Whatever ships to Elasticsearch (Beats, Logstash,
    Fluent Bit, Vector, rsyslog) sends to the same address, with the token's name as user and the token as password.
    """

    tokens: dict[str, Token]
    """Who may post, by name."""
    listen: str = "127.0.0.1:8514"
    """Address and port to listen on."""
    certificate: str = ""
    """File with the certificate and its chain, PEM; with one, only TLS is spoken."""
    key: str = ""
    """File with the certificate's private key, PEM."""
    clients: str = ""
    """File with the authority whose certificates applications must show, PEM."""
    elastic_version: str = "8.19.0"
    """Version of Elasticsearch that its shippers are told; some refuse to send to one older than they are."""
    max_body: int = 24 << 20
    """Largest body in bytes, as sent and decompressed."""
    max_records: int = 20_000
    """Most records in one body."""
    max_requests: int = 32
    """Requests worked on at once; more are asked to come back."""
    max_connections: int = 512
    """Connections open at once."""
    body_timeout: Span = field(default_factory=lambda: Span(30 * SECOND))
    """How long a body may take to come."""
    append_timeout: Span = field(default_factory=lambda: Span(30 * SECOND))
    """How long a request waits to become durable before it is asked to come back."""
    address: str = field(default="", init=False)
    """Where it really listens, once it runs."""

    def sources(self, name: str) -> Iterable[Source]:
        """One source for each token."""
        return [token.source(f"{name}.{key}") for key, token in self.tokens.items()]

    async def run(self, name: str, sink: Sink) -> None:
        """Serve until cancelled, then finish the requests under way."""
        where = f"collectors.{name}"
        access = self._access(name, where)
        refusals = Refusals(name)
        context = None
        if self.certificate:
            refused = lambda reason: refusals.add(reason, "")  # noqa: E731
            context = encrypted(self.certificate, self.key, self.clients, where, refused=refused)
        with bound(socket.SOCK_STREAM, self.listen, where) as sock:
            server = self._server(Desk(self, access, sink, refusals), name, sink, context)
            async with asyncio.TaskGroup() as group:
                serving = group.create_task(server.serve(sockets=[sock]))
                try:
                    self.address = peer(sock.getsockname())
                    await asyncio.Event().wait()
                finally:
                    server.should_exit = True
                    await asyncio.wait([serving], timeout=2 * _STOP_SECONDS)

    def _access(self, name: str, where: str) -> Access:
        sources = dict(zip(self.tokens, self.sources(name), strict=True))
        return Access(self.tokens, sources, where, tls=bool(self.certificate and self.clients))

    def _server(self, desk: Desk, name: str, sink: Sink, context: ssl.SSLContext | None) -> Server:
        routes = [*Events(desk, sink).routes(), *Elastic(desk, self.elastic_version, name).routes()]
        return Server(
            uvicorn.Config(
                Starlette(routes=routes),
                http=guarded(self.max_connections, desk.refusals.add),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=int(_STOP_SECONDS),
                ssl_context_factory=(lambda config, default: context) if context else None,
            )
        )
