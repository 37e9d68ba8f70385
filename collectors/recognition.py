"""What a source turns out to send: the parser `auto` with a memory for each source, and templates of unknown lines.

The format that most of a source's records had is tried first from then on, and is told in the log and as a metric.
Lines that no format understands are grouped by their template (Drain), so that a person can see what kinds there are.
"""

from __future__ import annotations

import logging
from collections import Counter

from drain3 import TemplateMiner
from drain3.template_miner_config import TemplateMinerConfig

from almena import metrics
from almena.event import Event
from collectors.base import Context
from collectors.parsers import auto, formats

log = logging.getLogger("almena.recognition")

_SAMPLE = 100
_MOST_SOURCES = 10_000
_MOST_TEMPLATES = 256
_LONGEST, _MOST_WORDS = 1_024, 64
_FORMATS = {each.name: each for each in formats.FORMATS}


class Recogniser:
    """A parser that learns what each source sends."""

    def __init__(self) -> None:
        self._sources: dict[str, _Memory] = {}

    def __call__(self, raw: bytes, context: Context) -> Event:
        """One event from one record; raises ParseError only for what is empty, too long or no text."""
        memory = self._sources.get(context.source)
        if memory is None:
            memory = _Memory(context.source)
            if len(self._sources) < _MOST_SOURCES:
                self._sources[context.source] = memory
        event = auto.read(raw, context, _FORMATS.get(memory.favourite))
        name = event.get("event.module")
        memory.count(auto.UNKNOWN if name is None else str(name))
        if name is None:
            event["almena.template"] = memory.template(event["event.original"])
        return event


class _Memory:
    """What one source has sent so far."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._seen: Counter[str] = Counter()
        self._told = ""
        self._miner: TemplateMiner | None = None
        self.favourite = ""

    def count(self, name: str) -> None:
        """One more record of a format; at every hundredth the favourite is chosen anew."""
        self._seen[name] += 1
        metrics.EVENTS_RECOGNISED.labels(self._source, name).inc()
        if self._seen.total() < _SAMPLE:
            return
        self.favourite, share = self._seen.most_common(1)[0]
        if self.favourite != self._told:
            self._told = self.favourite
            log.info(
                "%s: %d of %d records are of the format %s; 'parser = \"%s\"' says so for good",
                self._source,
                share,
                self._seen.total(),
                self.favourite,
                self.favourite if self.favourite != auto.UNKNOWN else "auto",
            )
        self._seen.clear()

    def template(self, line: str) -> str:
        """The line with what varies as `<*>`, as far as the lines before it show."""
        if self._miner is None:
            config = TemplateMinerConfig()
            config.drain_max_clusters = _MOST_TEMPLATES
            self._miner = TemplateMiner(None, config)
        words = line[:_LONGEST].split()[:_MOST_WORDS]
        return str(self._miner.add_log_message(" ".join(words))["template_mined"])
