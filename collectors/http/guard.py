"""Connections of the server: bounded in number and in patience, with the names on their certificates."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from collectors.http.access import certificate_names

PATIENCE = 10.0
"""Seconds for a request's header to come, and for the rest of a body that was refused."""


class Server(uvicorn.Server):
    """A server that leaves signals to the process it runs in."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def guarded(most: int, refused: Callable[[str, str], None]) -> type[asyncio.Protocol]:
    """The protocol of a server with `most` connections; `refused` is told why one had to go, and whose it was."""

    class Bounded(_Guarded):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > most:
                self._make_room()

        def _make_room(self) -> None:
            """Let go of one that asks nothing: of the address with the most of them, the one silent for longest."""
            idle = [each for each in self.connections if isinstance(each, _Guarded) and each.is_idle()]
            counts = Counter(each.host for each in idle)
            gone = max(idle, key=lambda each: (counts[each.host], -each.since), default=self)
            refused("too many", gone.host)
            gone.transport.abort()

    return Bounded


class _Guarded(H11Protocol):
    """A connection that is closed when nothing is asked or a refused body goes on; uvicorn would wait for ever."""

    _guard: asyncio.TimerHandle | None = None
    host = ""
    since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.host = str(self.client[0]) if self.client else ""
        names = certificate_names(transport.get_extra_info("peercert"))
        self.app_state = {**self.app_state, "names": names, "hang_up": transport.close}
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

    def is_idle(self) -> bool:
        """Whether it is the sender's turn, and nothing is being worked on."""
        return self._guard is not None and not self.transport.is_closing()

    def _watch(self) -> None:
        """Set the timer while it is the sender's turn, and let it run however slowly bytes drip in."""
        answered = self.cycle is not None and self.cycle.response_complete
        waiting = self.conn.their_state is h11.IDLE or (self.conn.their_state is h11.SEND_BODY and answered)
        if waiting and self._guard is None:
            self.since = time.monotonic()
            self._guard = self.loop.call_later(PATIENCE, self.transport.abort)
        elif not waiting and self._guard is not None:
            self._guard.cancel()
            self._guard = None
