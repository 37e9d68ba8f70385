"""What a collector and a parser are: bytes from a source, handed on with an identity given once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from almena.clock import SECOND, Span
from almena.event import Event


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where records come from, for whom, and what is expected of it."""

    name: str
    """Unique in the installation, such as `portal-nginx` or `apps.payments`."""
    agency: str
    """The agency it belongs to; becomes `organization.id`."""
    parser: str
    """The parser its records go through."""
    zone: str = "America/Mexico_City"
    """Time zone of times written without one."""
    expect: Span | None = None
    """How often it speaks at least; silence beyond that raises an alert."""
    lateness: Span = Span(5 * SECOND)
    """How late its events may come and still count in live windows."""
    resent: bool = True
    """Whether what was not acknowledged comes again; what comes only once is counted when it is lost."""
    unauthenticated: bool = False
    """Whether anybody may send in its name; its events say so."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Raw:
    """One record as it came, with the identity it keeps for ever."""

    data: bytes
    lane: str
    """A stretch of the source whose sequence only grows: a file generation, a connection, a batch."""
    seq: int
    """Its number in the lane; a repeat at or below the lane's highest is dropped by detect."""
    received: int
    """When it was received, microseconds since 1970 UTC."""
    origin: str = ""
    """The sender's address, or the file's path."""
    place: int = 0
    """The byte offset or line in its file, or the index in its batch."""
    truncated: bool = False
    """True when the record was longer than the cap and only its beginning was kept."""
    damage: str = ""
    """Why no parser need look at it: damaged already where it came from; empty for a whole record."""
    sender: str = ""
    """The name on the sender's certificate, verified; empty where it showed none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """What a parser may know beside the bytes."""

    received: int
    """When the record was received, microseconds since 1970 UTC: for missing years and dates."""
    zone: str = "America/Mexico_City"
    """Time zone of times written without one."""
    source: str = ""
    """The source's name."""
    origin: str = ""
    """The sender's address, or the file's path."""


class Parser(Protocol):
    """A pure function from bytes to an event."""

    def __call__(self, raw: bytes, context: Context) -> Event:
        """Raises ParseError for what it does not understand, in time linear in the input, and nothing else.

        The event has `@timestamp` and `event.dataset`, and `event.original` where the raw text helps a person.
        """


class Sink(Protocol):
    """Where collectors hand records on."""

    async def append(self, source: Source, records: Sequence[Raw]) -> int:
        """Parse, mask and append; when it returns the records (or their dead letters) are durable.

        Returns how many became dead letters. Waits while there is no room and for as long as the bus refuses.
        A caller that is cancelled while it waits has still handed its records over.
        """

    def state(self, source: Source | None = None) -> Literal["open", "full", "down"]:
        """Whether an append, of this source where it is given, would go through at once, wait for room, or wait for a
        bus that refuses."""

    def dropped(self, source: Source, reason: str, count: int) -> None:
        """Count records that are lost for good, such as datagrams the kernel threw away; durable soon after."""

    def filled(self, source: Source, share: float, *, lost: int = 0, sender: str = "") -> None:
        """Say how full is what waits of this source, 0 to 1, how many records were just `lost` for it, and of whom
        most of it is; from nine tenths on a flood is announced, and its end when half was not reached for a while.

        Nothing needs to be said below half.
        """


class Collector(Protocol):
    """One way in; its fields are its configuration."""

    def sources(self, name: str) -> Iterable[Source]:
        """Every source that comes in this way; `name` is the collector's in the configuration."""

    async def run(self, name: str, sink: Sink) -> None:
        """Collect until cancelled; what was acknowledged to a sender has been appended before."""


@dataclass(kw_only=True)
class Common:
    """Options every collector has."""

    agency: str
    """The agency its events belong to."""
    parser: str = "syslog"
    """The parser its records go through."""
    zone: str = "America/Mexico_City"
    """Time zone of times written without one."""
    expect: Span | None = None
    """How often it speaks at least, such as `5m`; silence beyond that raises an alert."""
    lateness: Span = field(default_factory=lambda: Span(5 * SECOND))
    """How late its events may come and still count in live windows."""

    def source(self, name: str) -> Source:
        """The one source of a collector that has no more."""
        return Source(
            name=name,
            agency=self.agency,
            parser=self.parser,
            zone=self.zone,
            expect=self.expect,
            lateness=self.lateness,
        )
