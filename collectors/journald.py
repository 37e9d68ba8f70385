"""The journal of systemd: every record once, through restarts of the collector, of journalctl and of the machine."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import shutil
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from almena.clock import now
from almena.errors import ConfigError
from collectors import checkpoint
from collectors.base import Common, Raw, Sink, Source
from collectors.checkpoint import patiently
from collectors.framing import Frame, Framer
from collectors.sockets import Lane, Lanes

log = logging.getLogger("almena.collect")

_READ = 256 << 10  # bytes taken from journalctl at once
_LONGEST_LINE = 16 << 20  # bytes of a record as journalctl writes it; a list of bytes takes four times its length
_LONGEST_VALUE = 64 << 10  # characters, or elements of a list, of a value in a record that is too long
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0  # seconds before journalctl is started again
_PATIENCE = 2.0  # seconds in which journalctl ends when told so
_CURSOR = re.compile(rb'[{,]"__CURSOR":"([^"\\]{1,512})"')
_PLACE = re.compile(r"s=([0-9a-f]{1,32});i=([0-9a-f]{1,16})(?:;|$)", re.ASCII)


class _Memory(msgspec.Struct):
    cursor: str


class _Head(msgspec.Struct):
    cursor: str = msgspec.field(name="__CURSOR")


@dataclass(kw_only=True)
class Journald(Common):
    """The journal of this machine, or journal files that other machines send here, followed by `journalctl`.

    The place reached is remembered only after its records are durable; each has the number that the journal gave it.
    """

    parser: str = "journal"
    """The parser its records go through."""
    directory: str = ""
    """Folder of journal files, such as `/var/log/journal/remote`; this machine's own journal when empty."""
    units: list[str] = field(default_factory=list)
    """Units of which records are taken, such as `ssh.service`; those of all when empty."""
    start: Literal["beginning", "end"] = "beginning"
    """Where to begin at the very first start."""
    max_record: int = 1 << 20
    """Longest record in bytes; the values of a longer one are cut, and it is flagged."""
    program: str = "journalctl"
    """The program that reads journals, by name or by path."""
    checkpoint: str = ""
    """File that remembers the place reached; `<data>/checkpoints/<name>.json` when empty."""

    def sources(self, name: str) -> Iterable[Source]:
        """One source, named as the collector."""
        return [self.source(name)]

    async def run(self, name: str, sink: Sink) -> None:
        """Read until cancelled."""
        program = shutil.which(self.program)
        if program is None:
            raise ConfigError(f"collectors.{name}: program: there is no {self.program!r}; it comes with systemd")
        if self.directory and not Path(self.directory).is_dir():
            raise ConfigError(f"collectors.{name}: directory: {self.directory} is no folder")
        memory = Path(self.checkpoint or f"data/checkpoints/{name}.json")
        saved = await asyncio.to_thread(checkpoint.load, memory, _Memory)
        with Lanes().take() as stray:
            follower = _Follower(self, self.source(name), sink, [program, *self._which()], memory, stray)
            follower.cursor = saved.cursor if saved is not None else ""
            if saved is None and self.start == "end":
                await follower.skip()
            await follower.run()

    def _which(self) -> list[str]:
        """Options that say which records, and how they are written."""
        found = ["--output=json", "--all", "--no-pager", "--quiet", *(f"--unit={unit}" for unit in self.units)]
        return [*found, "--merge", f"--directory={self.directory}"] if self.directory else found


class _Follower:
    """Follows one journal."""

    def __init__(
        self, options: Journald, source: Source, sink: Sink, command: Sequence[str], memory: Path, stray: Lane
    ) -> None:
        self.cursor = ""
        """The last record that is durable; empty before the first."""
        self._limit = options.max_record
        self._every = not options.units
        self._origin = options.directory or "journal"
        self._source = source
        self._sink = sink
        self._command = command
        self._memory = memory
        self._stray = stray  # for records whose place is not known
        self._resuming = False

    async def skip(self) -> None:
        """Go to the journal's end."""
        async with self._running("--lines=1") as process:
            assert process.stdout is not None
            line = await process.stdout.read(_READ)
        cursor = _cursor_of(line.strip())
        if cursor:
            await self._remember(cursor)

    async def run(self) -> None:
        """Follow until cancelled, with a new journalctl whenever one ends."""
        wait = _FIRST_WAIT
        while True:
            began = time.monotonic()
            where = [f"--cursor={self.cursor}"] if self.cursor else []
            self._resuming = bool(self.cursor)
            async with self._running("--follow", "--no-tail", *where) as process:
                told = await self._follow(process)
            wait = _FIRST_WAIT if time.monotonic() - began > _LONGEST_WAIT else min(2 * wait, _LONGEST_WAIT)
            log.error("%s: journalctl ended (%s); started again in %.1f s", self._source.name, told, wait)
            await asyncio.sleep(wait)

    @contextlib.asynccontextmanager
    async def _running(self, *options: str) -> AsyncIterator[asyncio.subprocess.Process]:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *self._command,
            *options,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            limit=_READ,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"},
        )
        try:
            yield process
        finally:
            await _end(process)

    async def _follow(self, process: asyncio.subprocess.Process) -> str:
        """Append what it writes until it ends; returns what it said of the reason."""
        assert process.stdout is not None
        assert process.stderr is not None
        framer = Framer(_LONGEST_LINE)
        async with asyncio.TaskGroup() as group:
            saying = group.create_task(_last_words(process.stderr))
            while data := await process.stdout.read(_READ):
                frames = framer.feed(data)
                if frames:
                    await self._append(frames)
        return saying.result() or f"exit code {await process.wait()}"

    async def _append(self, frames: Sequence[Frame]) -> None:
        moment, records, cursor = now(), [], self.cursor
        for line, cut in frames:
            found = _cursor_of(line)
            if self._resuming:
                self._resuming = False
                if self._is_known(found):
                    continue
            cursor = found or cursor
            data, truncated = (line, cut) if len(line) <= self._limit else (_cut(line, self._limit), True)
            records.append(self._record(Frame(data, truncated), found, moment))
        if records:
            await self._sink.append(self._source, records)
            await self._remember(cursor)

    def _is_known(self, cursor: str) -> bool:
        """Whether the first record is the last of before; where that is gone, so are some behind it."""
        last, first = _PLACE.match(self.cursor), _PLACE.match(cursor)
        if last is None or first is None or last[1] != first[1]:
            self._sink.dropped(self._source, "gone from the journal", 1)
            return False
        missing = int(first[2], 16) - int(last[2], 16) - 1
        if missing > 0 and self._every:
            self._sink.dropped(self._source, "gone from the journal", missing)
        return missing == -1

    def _record(self, frame: Frame, cursor: str, moment: int) -> Raw:
        place = _PLACE.match(cursor)
        if place is None:
            return self._stray.number([frame], moment, self._origin)[0]
        lane, seq = f"j.{place[1]}", int(place[2], 16)
        data, truncated = frame
        return Raw(data=data, lane=lane, seq=seq, received=moment, origin=self._origin, place=seq, truncated=truncated)

    async def _remember(self, cursor: str) -> None:
        await patiently(lambda: checkpoint.save(self._memory, _Memory(cursor)))
        self.cursor = cursor


def _cursor_of(line: bytes) -> str:
    """The place of a record in its journal, also of one that was cut; empty where it has none."""
    try:
        return msgspec.json.decode(line, type=_Head).cursor[:512]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        found = _CURSOR.search(line)
        return found[1].decode("ascii", "replace") if found is not None else ""


def _cut(line: bytes, limit: int) -> bytes:
    """A record with its long values cut; one that is too long even so, or no JSON, is cut as it stands."""
    try:
        document: dict[str, Any] = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return line[:limit]
    for name, value in document.items():
        if isinstance(value, (str, list)):
            document[name] = value[:_LONGEST_VALUE]
    shorter = msgspec.json.encode(document)
    return shorter if len(shorter) <= limit else line[:limit]


async def _last_words(stream: asyncio.StreamReader) -> str:
    """The last line of what a program says of itself, printable."""
    said = b""
    while data := await stream.read(4_096):
        said = (said + data)[-1_000:]
    line = said.decode("utf-8", "replace").strip().rpartition("\n")[2]
    return "".join(sign if sign.isprintable() else "?" for sign in line)


async def _end(process: asyncio.subprocess.Process) -> None:
    for stop in (process.terminate, process.kill):
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                stop()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    await process.wait()
    # What it wrote last would keep its pipes open.
    transport = getattr(process, "_transport", None)
    if transport is not None:
        transport.close()
