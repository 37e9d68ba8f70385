"""Events over HTTP: applications post JSON and are told 200 once it is durable.

    POST /v1/events        Authorization: Bearer <token>
    Content-Type           application/json (an array, or one event), application/x-ndjson or text/plain (lines)
    Content-Encoding       gzip, or none
    Idempotency-Key        names the batch: sent again under the same name, it is recognised and counted once

The answer is `{"accepted": 2, "dead": 0}`: all is stored, and `dead` records were not understood. Any other status
means that the batch should be sent again: at once after 4xx was mended, after `Retry-After` seconds at 429 and 503.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import re
import socket
import stat
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import h11
import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from almena.clock import SECOND, Span, now
from almena.errors import BusError, ConfigError
from collectors.base import Common, Raw, Sink, Source
from collectors.framing import Frame
from collectors.sockets import Lanes, bound, encrypted, peer

_SHORTEST_TOKEN = 16
_MAX_RECORD = 1 << 20
_PATIENCE = 10.0  # seconds for a request's header to come, and for the rest of a body that was refused
_STOP_SECONDS = 5.0  # for requests under way when the collector stops
_BATCH_NAME = re.compile(r"[A-Za-z0-9._~+=-]{1,128}")
_BYTE = re.compile(r"\(byte (\d+)\)")


@dataclass(kw_only=True)
class Token(Common):
    """One application that may post, and whose events these are."""

    parser: str = "ecs"
    """The parser its records go through."""
    token: str = field(default="", repr=False)
    """The secret it shows; better kept in a variable or a file."""
    token_env: str = ""
    """The environment variable that holds the secret."""
    token_file: str = ""
    """The file that holds the secret, readable by its owner only."""


@dataclass(kw_only=True)
class Http:
    """An address that applications post events to; each token is a source of its own, `<collector>.<token>`."""

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
    max_body: int = 8 << 20
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
        desk = _Desk(self, name, sink)
        context = encrypted(self.certificate, self.key, self.clients, where) if self.certificate else None
        sock = bound(socket.SOCK_STREAM, self.listen, where)
        server = _Server(
            uvicorn.Config(
                Starlette(routes=desk.routes()),
                http=_Guarded,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=self.max_connections,
                timeout_graceful_shutdown=int(_STOP_SECONDS),
                ssl_context_factory=(lambda config, default: context) if context else None,
            )
        )
        with sock:
            async with asyncio.TaskGroup() as group:
                serving = group.create_task(server.serve(sockets=[sock]))
                try:
                    self.address = peer(sock.getsockname())
                    await asyncio.Event().wait()
                finally:
                    server.should_exit = True
                    await asyncio.wait([serving], timeout=2 * _STOP_SECONDS)


class _Refusal(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, reason: str, *, retry: int | None = None, at: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.retry = retry
        self.at = at


class _Entry(NamedTuple):
    """A token as it is compared, and what it opens."""

    digest: bytes
    source: Source


class _Desk:
    """Answers requests."""

    def __init__(self, options: Http, name: str, sink: Sink) -> None:
        self._options = options
        self._sink = sink
        self._lanes = Lanes()
        self._working = 0
        self._entries = [
            _Entry(_digest(_secret(token, f"collectors.{name}.tokens.{key}")), token.source(f"{name}.{key}"))
            for key, token in options.tokens.items()
        ]
        if not self._entries:
            raise ConfigError(f"collectors.{name}: tokens: nobody may post; add [collectors.{name}.tokens.<name>]")
        if len({entry.digest for entry in self._entries}) < len(self._entries):
            raise ConfigError(f"collectors.{name}: tokens: two of them are the same secret")

    def routes(self) -> list[Route]:
        """What is answered."""
        return [Route("/v1/events", self._events, methods=["POST"]), Route("/healthz", self._health, methods=["GET"])]

    async def _health(self, request: Request) -> Response:
        state = self._sink.state()
        return _answer(503 if state == "down" else 200, {"state": state})

    async def _events(self, request: Request) -> Response:
        try:
            source = self._source(request)
            with self._turn():
                dead, count = await self._take(request, source)
        except _Refusal as refusal:
            headers = {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else {}
            if refusal.retry is not None:
                headers["Retry-After"] = str(refusal.retry)
            at = {} if refusal.at is None else {"at": refusal.at}
            return _answer(refusal.status, {"error": refusal.reason, **at}, headers)
        return _answer(200, {"accepted": count, "dead": dead})

    def _source(self, request: Request) -> Source:
        """Whose token it is; every token is compared, in time that tells nothing."""
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        digest = _digest(shown.strip() if scheme.lower() == "bearer" else "")
        found = [entry.source for entry in self._entries if hmac.compare_digest(entry.digest, digest)]
        if not found:
            raise _Refusal(401, "no valid token; send 'Authorization: Bearer <token>'")
        return found[0]

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """A place among the requests worked on, while there is room."""
        state = self._sink.state()
        if state == "down":
            raise _Refusal(503, "events cannot be stored at the moment", retry=5)
        if state == "full" or self._working >= self._options.max_requests:
            raise _Refusal(429, "too much at once; come back", retry=1)
        self._working += 1
        try:
            yield
        finally:
            self._working -= 1

    async def _take(self, request: Request, source: Source) -> tuple[int, int]:
        """Read, append, and say how many records were dead and how many there were."""
        batch = request.headers.get("idempotency-key") or request.headers.get("x-batch-id")
        if batch is not None and not _BATCH_NAME.fullmatch(batch):
            raise _Refusal(400, "Idempotency-Key: 1 to 128 letters, digits and ._~+=- are allowed")
        try:
            async with asyncio.timeout(self._options.body_timeout / SECOND):
                body = await self._body(request)
        except TimeoutError:
            raise _Refusal(408, "the body took too long to come") from None
        frames = self._frames(body, request.headers.get("content-type", ""))
        received, origin = now(), peer(tuple(request.client)) if request.client else ""
        try:
            async with asyncio.timeout(self._options.append_timeout / SECOND):
                if batch is None:
                    with self._lanes.take() as lane:
                        dead = await self._sink.append(source, lane.number(frames, received, origin))
                else:
                    dead = await self._sink.append(source, _numbered(frames, f"b.{batch}", received, origin))
        except (TimeoutError, BusError):
            raise _Refusal(503, "not stored in time; send it again with the same Idempotency-Key", retry=5) from None
        return dead, len(frames)

    async def _body(self, request: Request) -> bytes:
        """The body, decompressed, and never more of it than is allowed."""
        limit = self._options.max_body
        length = request.headers.get("content-length", "0")
        if not length.isdigit() or int(length[:20]) > limit:
            raise _Refusal(413, f"the body is larger than {limit} bytes; send smaller batches")
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip", "x-gzip"):
            raise _Refusal(415, "Content-Encoding: only gzip is understood")
        unpack = _Gunzip(limit) if encoding != "identity" else None
        body, taken = bytearray(), 0
        try:
            async for chunk in request.stream():
                taken += len(chunk)
                body += unpack.feed(chunk) if unpack is not None else chunk
                if taken > limit or len(body) > limit:
                    raise _Refusal(413, f"the body is larger than {limit} bytes; send smaller batches")
        except ClientDisconnect:
            raise _Refusal(400, "the body is not whole") from None
        if unpack is not None:
            unpack.end()
        return bytes(body)

    def _frames(self, body: bytes, kind: str) -> list[Frame]:
        """The records of a body: the elements of an array, one event, or lines."""
        records = list(self._records(body, kind.partition(";")[0].strip().lower()))
        if not records:
            raise _Refusal(400, "the body holds no records")
        if len(records) > self._options.max_records:
            raise _Refusal(413, f"more than {self._options.max_records} records; send smaller batches")
        return [Frame(data[:_MAX_RECORD], len(data) > _MAX_RECORD) for data in records]

    def _records(self, body: bytes, kind: str) -> Iterable[bytes]:
        if kind not in ("text/plain", "application/x-ndjson", "application/ndjson", "application/jsonl"):
            begin = body[:100].lstrip()[:1]
            if begin == b"[" or (kind == "application/json" and begin != b"{"):
                return [bytes(element) for element in _array(body)]
            if begin == b"{" and _is_one(body):
                return [body]
        if body.count(b"\n") > 2 * self._options.max_records:
            raise _Refusal(413, f"more than {self._options.max_records} lines; send smaller batches")
        return [line for line in (line.strip(b"\r\0 \t") for line in body.split(b"\n")) if line]


def _array(body: bytes) -> list[msgspec.Raw]:
    try:
        return msgspec.json.decode(body, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        found = _BYTE.search(str(error))
        raise _Refusal(400, f"no JSON array: {error}", at=int(found[1]) if found else None) from None


def _is_one(body: bytes) -> bool:
    """Whether the whole body is one JSON value, and not a line for each."""
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _numbered(frames: Iterable[Frame], lane: str, received: int, origin: str) -> list[Raw]:
    """The records of a named batch: the same name and place are the same record."""
    return [
        Raw(data=data, lane=lane, seq=index, received=received, origin=origin, place=index, truncated=truncated)
        for index, (data, truncated) in enumerate(frames)
    ]


class _Gunzip:
    """Decompresses up to a limit: a small body may stand for a huge one."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._stream = zlib.decompressobj(wbits=31)

    def feed(self, data: bytes) -> bytes:
        try:
            out = self._stream.decompress(data, max(1, self._limit + 1 - self._size))
        except zlib.error:
            raise _Refusal(400, "the body is no valid gzip") from None
        self._size += len(out)
        if self._size > self._limit or self._stream.unconsumed_tail:
            raise _Refusal(413, f"the body is larger than {self._limit} bytes; send smaller batches")
        return out

    def end(self) -> None:
        if not self._stream.eof or self._stream.unused_data:
            raise _Refusal(400, "the body is no valid gzip")


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def _secret(token: Token, where: str) -> str:
    """The token's secret, from where it is kept; raises ConfigError."""
    given = [text for text in (token.token, token.token_env, token.token_file) if text]
    if len(given) != 1:
        raise ConfigError(f"{where}: give one of 'token', 'token_env' and 'token_file'")
    secret = token.token
    if token.token_env:
        secret = os.environ.get(token.token_env, "")
        where = f"{where}.token_env: {token.token_env}"
    elif token.token_file:
        where = f"{where}.token_file: {token.token_file}"
        try:
            secret = Path(token.token_file).read_text("utf-8").strip()
            mode = stat.S_IMODE(Path(token.token_file).stat().st_mode)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{where}: cannot be read: {error}") from None
        if mode & 0o077:
            raise ConfigError(f"{where}: others may read it (mode {mode:04o}); run `chmod 600 {token.token_file}`")
    if len(secret) < _SHORTEST_TOKEN:
        raise ConfigError(
            f"{where}: a token needs {_SHORTEST_TOKEN} characters or more; `openssl rand -hex 32` makes one"
        )
    return secret


def _answer(status: int, content: object, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(content), status, headers, "application/json")


class _Server(uvicorn.Server):
    """A server that leaves signals to the process it runs in."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Guarded(H11Protocol):
    """A connection that is closed when nothing is asked or a refused body goes on; uvicorn would wait for ever."""

    _guard: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._guard is not None:
            self._guard.cancel()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Set the timer while it is the sender's turn, and let it run however slowly bytes drip in."""
        answered = self.cycle is not None and self.cycle.response_complete
        waiting = self.conn.their_state is h11.IDLE or (self.conn.their_state is h11.SEND_BODY and answered)
        if waiting and self._guard is None:
            self._guard = self.loop.call_later(_PATIENCE, self.transport.abort)
        elif not waiting and self._guard is not None:
            self._guard.cancel()
            self._guard = None
