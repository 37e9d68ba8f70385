"""Log files: every line once, through rotation, truncation, packing and restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from almena.clock import SECOND, Span
from almena.errors import ConfigError
from collectors.assemblers import assembler_for
from collectors.base import Common, Sink, Source
from collectors.checkpoint import patiently
from collectors.followed import Reading
from collectors.listing import Listing
from collectors.tail import Tail


@dataclass(kw_only=True)
class File(Common):
    """Files that grow by lines, in UTF-8 or UTF-16; the place reached is remembered only after the lines are durable.

    Files packed with gzip, zstd, xz or bz2 are read once; one that is what a file that was followed has become is read
    on from the place reached there. Of a file that is copied and truncated, lines that were written between the copy
    and the truncation and not yet read are lost; rotation by renaming loses none.
    """

    paths: list[str]
    """Files to read; `*`, `?`, `[...]` and `**` name many."""
    exclude: list[str] = field(default_factory=list)
    """Files to leave out, such as `*.gz`; with a slash the whole path is meant, without one the file's name."""
    start: Literal["beginning", "end"] = "beginning"
    """Where to begin in files that are there at the very first start; later ones are read from the beginning."""
    multiline: str = ""
    """How lines become records: `lines` (each is one), `indented` (indented ones continue), `java` (stack traces too),
    `timed` (those without a time continue), or a regular expression (RE2) found in the first line of each record. When
    empty, as the parser needs it."""
    hold: Span = field(default_factory=lambda: Span(2 * SECOND))
    """How long an unfinished record waits for its next line."""
    poll: Span = field(default_factory=lambda: Span(SECOND // 4))
    """How often to look for more."""
    linger: Span = field(default_factory=lambda: Span(30 * SECOND))
    """How long a rotated file is watched after its last growth, for writers that are slow to open the new one."""
    max_line: int = 1 << 20
    """Longest line in bytes; a longer one is cut there and flagged."""
    max_files: int = 10_000
    """Most files that are followed; others are not read, and the log says so."""
    max_unpacked: int = 1 << 34
    """Most bytes that are read of one packed file, unpacked."""
    checkpoint: str = ""
    """File that remembers the places reached; `<data>/checkpoints/<name>.json` when empty."""

    def __post_init__(self) -> None:
        for name in ("max_line", "max_files", "max_unpacked"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: {getattr(self, name)} is less than 1")
        assembler_for(self.parser, self.multiline)

    def sources(self, name: str) -> Iterable[Source]:
        """One source, named as the collector."""
        return [self.source(name)]

    async def run(self, name: str, sink: Sink) -> None:
        """Read until cancelled."""
        if not self.paths:
            raise ConfigError(f"collectors.{name}: paths: names no file")
        source = self.source(name)
        tail = await asyncio.to_thread(self._open, name)
        try:
            while True:
                records = await patiently(tail.poll)
                if records:
                    await sink.append(source, records)
                for reason, count in tail.lost.items():
                    sink.dropped(source, reason, count)
                tail.lost.clear()
                await patiently(tail.commit)
                if not tail.more:
                    await asyncio.sleep(self.poll / SECOND)
        finally:
            await asyncio.to_thread(tail.close)

    def _open(self, name: str) -> Tail:
        reading = Reading(
            limit=self.max_line,
            linger=self.linger / SECOND,
            hold=self.hold / SECOND,
            unpacked=self.max_unpacked,
            assembler=assembler_for(self.parser, self.multiline),
        )
        memory = Path(self.checkpoint or f"data/checkpoints/{name}.json")
        listing = Listing(self.paths, self.exclude, most=self.max_files)
        return Tail(listing, memory, reading, at_end=self.start == "end")
