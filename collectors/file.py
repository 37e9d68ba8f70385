"""Log files: every line once, through rotation, truncation and restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from almena.clock import SECOND, Span
from almena.errors import ConfigError
from collectors.base import Common, Sink, Source
from collectors.checkpoint import patiently
from collectors.tail import Tail


@dataclass(kw_only=True)
class File(Common):
    """Files that grow by lines; the place reached is remembered only after the lines are durable."""

    paths: list[str]
    """Files to read; `*`, `?`, `[...]` and `**` name many. Compressed files are not read."""
    start: Literal["beginning", "end"] = "beginning"
    """Where to begin in files that are there at the very first start; later ones are read from the beginning."""
    poll: Span = field(default_factory=lambda: Span(SECOND // 4))
    """How often to look for more."""
    linger: Span = field(default_factory=lambda: Span(30 * SECOND))
    """How long a rotated file is watched after its last growth, for writers that are slow to open the new one."""
    max_line: int = 1 << 20
    """Longest line in bytes; a longer one is cut there and flagged."""
    checkpoint: str = ""
    """File that remembers the places reached; `<data>/checkpoints/<name>.json` when empty."""

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
                await patiently(tail.commit)
                if not tail.more:
                    await asyncio.sleep(self.poll / SECOND)
        finally:
            await asyncio.to_thread(tail.close)

    def _open(self, name: str) -> Tail:
        memory = Path(self.checkpoint or f"data/checkpoints/{name}.json")
        return Tail(self.paths, memory, start=self.start, limit=self.max_line, linger=self.linger / SECOND)
