"""Windows event logs (EVTX), exported or copied: each is read once when it is whole, and on from there when it grew."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import threading
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec

from almena.clock import SECOND, Span, now
from almena.errors import ConfigError
from collectors import checkpoint
from collectors.base import Common, Raw, Sink, Source
from collectors.eventlog import Found, records
from collectors.listing import Listing

log = logging.getLogger("almena.evtx")

_TOGETHER = 1_000  # records handed on at once
_TOGETHER_BYTES = 4 << 20
_REMEMBERED = 10_000  # logs, and files, that are known


@dataclass(kw_only=True)
class Evtx(Common):
    """Windows event logs (EVTX), exported (`wevtutil epl`) or copied; each is read once, when it is whole.

    Of a log that comes again with more in it, under whatever name, only what is behind the last record read is handed
    on. What is damaged becomes a dead letter, and the rest goes on.
    """

    paths: list[str]
    """Event logs to read; `*`, `?`, `[...]` and `**` name many."""
    exclude: list[str] = field(default_factory=list)
    """Files to leave out; with a slash the whole path is meant, without one the file's name."""
    parser: str = "windows"
    """The parser its records go through; they are JSON."""
    settle: Span = field(default_factory=lambda: Span(10 * SECOND))
    """A log unchanged for so long is whole."""
    poll: Span = field(default_factory=lambda: Span(SECOND))
    """How often to look for more."""
    patience: Span = field(default_factory=lambda: Span(10 * SECOND))
    """How long the decoder may take over 64 KiB of a log; what it hangs on becomes a dead letter."""
    max_files: int = 10_000
    """Most logs that are looked at; others are not read, and the log says so."""
    checkpoint: str = ""
    """File that remembers the places reached; `<data>/checkpoints/<name>.json` when empty."""

    def sources(self, name: str) -> Iterable[Source]:
        """One source, named as the collector."""
        return [self.source(name)]

    async def run(self, name: str, sink: Sink) -> None:
        """Read logs as they are whole, until cancelled."""
        if not self.paths:
            raise ConfigError(f"collectors.{name}: paths: names no file")
        memory = Path(self.checkpoint or f"data/checkpoints/{name}.json")
        known = await asyncio.to_thread(checkpoint.load, memory, Known) or Known()
        save = partial(checkpoint.save, memory, known)
        listing = Listing(self.paths, self.exclude, most=self.max_files)
        told: set[str] = set()
        while True:
            for seen in await asyncio.to_thread(self._whole, listing, known, told):
                try:
                    await self._read(self.source(name), sink, seen.path, known, save)
                except OSError as error:
                    _tell(told, seen.path, f"cannot be read: {error.strerror}")
                    continue
                known.files = [*known.files, seen][-_REMEMBERED:]
                await checkpoint.patiently(save)
            await asyncio.sleep(self.poll / SECOND)

    def _whole(self, listing: Listing, known: Known, told: set[str]) -> list[Seen]:
        """Logs that are whole and not read yet, the oldest first."""
        files = set(known.files)
        found = [
            Seen(path, status.st_size, status.st_mtime_ns)
            for path, status in listing.files(partial(_tell, told))
            if now() - status.st_mtime_ns // 1000 >= self.settle and status.st_size
        ]
        return sorted((seen for seen in found if seen not in files), key=lambda seen: (seen.changed, seen.path))

    async def _read(self, source: Source, sink: Sink, path: str, known: Known, save: partial[None]) -> None:
        """Hand on what is new in one log; every record has the same identity when it is read again."""
        survey = Survey(known)
        async with aclosing(self._batches(path)) as batches:
            async for batch in batches:
                await asyncio.to_thread(survey.look, batch)
        place = survey.place()
        await checkpoint.patiently(save)
        async with aclosing(self._batches(path)) as batches:
            async for batch in batches:
                new = [(index, found) for index, found in batch if place.is_new(index, found)]
                if new:
                    await sink.append(source, _raws(new, place.lane, path))
                    place.reach(*batch[-1])
                    await checkpoint.patiently(save)

    async def _batches(self, path: str) -> AsyncGenerator[list[Indexed], None]:
        """All that is in a log, some at a time; raises OSError."""
        reader = _Reader(Path(path), self.patience / SECOND)
        try:
            while batch := await asyncio.to_thread(reader.next):
                yield batch
        finally:
            await asyncio.to_thread(reader.close)


Indexed = tuple[int, Found]
"""What is in a log, with its index from 0."""


class _Reader:
    """A log read by one thread after the other; a stop waits for what is being read."""

    def __init__(self, path: Path, patience: float) -> None:
        self._records = records(path, patience=patience)
        self._index = 0
        self._lock = threading.Lock()

    def next(self) -> list[Indexed]:
        """Some more; none at the end."""
        batch: list[Indexed] = []
        size = 0
        with self._lock:
            for found in self._records:
                batch.append((self._index, found))
                self._index += 1
                size += len(found.data)
                if len(batch) == _TOGETHER or size >= _TOGETHER_BYTES:
                    break
        return batch

    def close(self) -> None:
        """Let go of the file and of the process that decodes it."""
        with self._lock:
            self._records.close()


def _raws(batch: Iterable[Indexed], lane: str, path: str) -> list[Raw]:
    received, origin = now(), path.encode("utf-8", "backslashreplace").decode()
    return [
        Raw(
            data=found.data,
            lane=lane,
            seq=index,
            received=received,
            origin=origin,
            place=found.place,
            truncated=found.truncated,
            damage=found.damage,
        )
        for index, found in batch
    ]


def _tell(told: set[str], path: str, what: str) -> None:
    """Log once of each path."""
    if path not in told and len(told) < _REMEMBERED:
        told.add(path)
        log.warning("%s: %s", path, what)


class Seen(msgspec.Struct, frozen=True):
    """A file that was read."""

    path: str
    size: int
    changed: int


class Place(msgspec.Struct):
    """How far a log was read."""

    lane: str
    first: str
    """What its first record was."""
    after: int = 0
    """Records up to this number of the log were handed on under another lane."""
    index: int = 0
    """How many of its records, damaged ones too, were gone through."""
    last: str = ""
    """What the last of them was."""

    def is_new(self, index: int, found: Found) -> bool:
        """Whether a record was not handed on yet."""
        return index >= self.index and (found.number > self.after or found.number == 0)

    def reach(self, index: int, found: Found) -> None:
        """Everything up to that record is durable."""
        if index >= self.index:
            self.index, self.last = index + 1, _print(found)


class Known(msgspec.Struct):
    """All logs that were read, under whatever name."""

    files: list[Seen] = []
    places: list[Place] = []


class Survey:
    """Goes through a log once to see what of it is known."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._lasts = {place.last: place for place in known.places if place.last}
        self._first = ""
        self._again: Place | None = None
        self._after = 0

    def look(self, batch: Iterable[Indexed]) -> None:
        """The next records of the log."""
        for index, found in batch:
            mark = _print(found)
            self._first = self._first or mark
            place = self._lasts.get(mark)
            if place is not None:
                self._after = max(self._after, found.number)
                if (place.first, place.index) == (self._first, index + 1):
                    self._again = place

    def place(self) -> Place:
        """Where to go on: behind what was read of the same log, or of another one of which this is the rest."""
        places = self._known.places
        begun = next((place for place in places if place.first == self._first and not place.last), None)
        found = self._again or begun or Place(secrets.token_hex(8), self._first, self._after)
        self._known.places = [*(place for place in places if place is not found), found][-_REMEMBERED:]
        return found


def _print(found: Found) -> str:
    """What a record is known by, wherever it is found again."""
    return hashlib.blake2b(found.data, digest_size=16).hexdigest()
