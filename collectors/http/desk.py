"""What answers requests: it knows the sender, takes the body, and appends before it says so.

    POST /v1/events        Authorization: Bearer <token>, or a signature, or a certificate
    Content-Type           application/json (an array, or one event), application/x-ndjson or text/plain (lines)
    Content-Encoding       gzip, deflate, zstd, or none
    Idempotency-Key        names the batch: sent again under the same name, it is recognised and counted once

The answer is `{"accepted": 2, "dead": 0}`: all is stored, and `dead` records were not understood. Any other status
means that the batch should be sent again: at once after 4xx was mended, after `Retry-After` seconds at 429 and 503.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from almena.clock import SECOND, Span, now
from almena.errors import BusError
from collectors.base import Raw, Sink
from collectors.framing import Frame
from collectors.http import bodies
from collectors.http.access import Access, Entry
from collectors.http.answers import Refusal, answer
from collectors.http.places import Places
from collectors.sockets import Lanes, peer
from collectors.streams import Refusals

_BATCH_NAME = re.compile(r"[A-Za-z0-9._~+=-]{1,128}")
_COUNTED = {401: "no token", 429: "too much at once", 503: "not stored in time"}
_SHORT = 64 << 10  # bytes of a body that are decompressed at once, and not in a thread


class Limits(Protocol):
    """The options that bound a request."""

    max_body: int
    max_records: int
    max_requests: int
    body_timeout: Span
    append_timeout: Span


@dataclass(slots=True)
class Visit:
    """A request whose sender is known and whose body is here."""

    entry: Entry
    body: bytes
    """Decompressed."""
    batch: str | None
    """The batch's name."""
    origin: str
    """The sender's address."""
    sender: str
    """The name on its certificate."""


class Desk:
    """What all kinds of requests share."""

    def __init__(self, limits: Limits, access: Access, sink: Sink, refusals: Refusals) -> None:
        self.limits = limits
        self.access = access
        self.refusals = refusals
        self._sink = sink
        self._lanes = Lanes()
        self._places = Places(limits.max_requests, access.entries, sink)

    @asynccontextmanager
    async def visit(self, request: Request) -> AsyncIterator[Visit]:
        """A place for the request, while it is worked on; raises Refusal."""
        try:
            async with self._visit(request) as visit:
                yield visit
        except Refusal as refusal:
            if refusal.status in _COUNTED:
                self.refusals.add(_COUNTED[refusal.status], request.client.host if request.client else "")
            raise

    @asynccontextmanager
    async def _visit(self, request: Request) -> AsyncIterator[Visit]:
        entry = self.access.known(request)
        batch = request.headers.get("idempotency-key") or request.headers.get("x-batch-id")
        if batch is not None and not _BATCH_NAME.fullmatch(batch):
            raise Refusal(400, "Idempotency-Key: 1 to 128 letters, digits and ._~+=- are allowed")
        with self._places.turn(entry):
            try:
                async with asyncio.timeout(self.limits.body_timeout / SECOND):
                    body = await bodies.take(request, self.limits.max_body)
            except TimeoutError:
                raise Refusal(408, "the body took too long to come") from None
            if entry is None:
                entry, batch = await self.access.signed(request, body, batch)
            body = await self._unpacked(body, request.headers.get("content-encoding", ""))
            names = getattr(request.state, "names", None) or [""]
            origin = peer(tuple(request.client)) if request.client else ""
            yield Visit(entry, body, batch, origin, names[0])

    async def _unpacked(self, body: bytes, encoding: str) -> bytes:
        if not encoding or len(body) <= _SHORT // 64:
            return bodies.unpack(body, encoding, self.limits.max_body)
        return await asyncio.to_thread(bodies.unpack, body, encoding, self.limits.max_body)

    async def append(self, visit: Visit, frames: Sequence[tuple[int, Frame]], lane: str | None) -> tuple[int, str]:
        """Append records, each with its place in the batch; how many were dead, and the lane they have.

        `lane` names a batch that is recognised when it comes again; without one they get numbers of their own.
        """
        self._places.spend(visit.entry, len(frames))
        received, source = now(), visit.entry.source
        try:
            async with asyncio.timeout(self.limits.append_timeout / SECOND):
                if lane is not None:
                    return await self._sink.append(source, _numbered(visit, frames, lane, received)), lane
                with self._lanes.take() as taken:
                    records = taken.number([frame for _, frame in frames], received, visit.origin, visit.sender)
                    return await self._sink.append(source, records), taken.name
        except (TimeoutError, BusError):
            raise Refusal(503, "not stored in time; send it again with the same Idempotency-Key", retry=5) from None


def _numbered(visit: Visit, frames: Iterable[tuple[int, Frame]], lane: str, received: int) -> list[Raw]:
    """The records of a named batch: the same name and place are the same record."""
    return [
        Raw(
            data=data,
            lane=lane,
            seq=place,
            received=received,
            origin=visit.origin,
            place=place,
            truncated=truncated,
            sender=visit.sender,
        )
        for place, (data, truncated) in frames
    ]


class Events:
    """Answers applications."""

    def __init__(self, desk: Desk, sink: Sink) -> None:
        self._desk = desk
        self._sink = sink

    def routes(self) -> list[Route]:
        """What is answered."""
        return [
            Route("/v1/events", self._events, methods=["POST"]),
            Route("/v1/events", self._other, methods=["GET", "PUT", "DELETE", "PATCH"]),
            Route("/healthz", self._health, methods=["GET"]),
        ]

    async def _other(self, request: Request) -> Response:
        return answer(405, {"error": "events are posted"}, {"Allow": "POST"})

    async def _health(self, request: Request) -> Response:
        state = self._sink.state()
        return answer(503 if state == "down" else 200, {"state": state})

    async def _events(self, request: Request) -> Response:
        try:
            async with self._desk.visit(request) as visit:
                kind = request.headers.get("content-type", "")
                frames = bodies.frames(visit.body, kind, self._desk.limits.max_records)
                lane = f"b.{visit.batch}" if visit.batch is not None else None
                dead, _ = await self._desk.append(visit, list(enumerate(frames)), lane)
        except Refusal as refusal:
            headers = refusal.headers() | ({"WWW-Authenticate": "Bearer"} if refusal.status == 401 else {})
            at = {} if refusal.at is None else {"at": refusal.at}
            return answer(refusal.status, {"error": refusal.reason, **at}, headers)
        return answer(200, {"accepted": len(frames), "dead": dead})
