"""What a format is: how its records are known among others, and the pure function that reads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers import header
from collectors.parsers.common import json_object, text

Reader = Callable[[str, Event, Context], bool]
"""Reads a message into the event, which has what the syslog header said; a time of the message's own goes to
`@timestamp`. Returns False for a message of another format, raises ParseError for a damaged one of this format;
the event is not used then."""

Converter = Callable[[dict[str, Any], Context], Event]
"""The event of a JSON object; raises ParseError when it lacks what it must have."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """One format: lines (`read`), JSON objects (`convert`), or both; alone, or as the message of a syslog line."""

    name: str
    """What configuration and `--parser` call it."""
    dataset: str
    """`event.dataset` of its events, unless the reader is more particular."""
    read: Reader | None = None
    """Reads a line, or several that belong together."""
    programs: tuple[str, ...] = ()
    """Names by which its programs sign syslog messages."""
    program: str = ""
    """The one `process.name` its events get, whichever of `programs` signed; empty for the one that did."""
    begins: tuple[str, ...] = ()
    """Texts one of which its messages begin with, particular enough to be taken for no syslog header."""
    marks: tuple[str, ...] = ()
    """Fields of the syslog header of which its messages have one, such as a parameter of its structured data."""
    within: bool = False
    """Whether its messages stand among others that the same programs sign, so that what it does not understand is not
    its own."""
    relayed: bool = False
    """Whether the program that signs its syslog lines only passes on what others did."""
    words: bool = True
    """Whether the message is a sentence for people, kept as `message`; not so what is fields throughout."""
    convert: Converter | None = None
    """Reads a JSON object."""
    fits: Callable[[dict[str, Any]], bool] | None = None
    """Whether a JSON object is of this format: a glance at its keys."""
    whole: bool = False
    """Whether its events have every field of its JSON objects, which are not kept as they came then."""

    def parse(self, raw: bytes, context: Context) -> Event:
        """One event of this format, with or without a syslog header; raises ParseError for everything else."""
        if raw[:1] == b"{" and self.convert is not None:
            document = json_object(raw)
            return self.document(document, {}, context, "" if self.whole else raw.strip(b" \r\n\0").decode())
        line = text(raw)
        if line[0] == "{" and self.convert is not None:
            return self.document(json_object(raw), {}, context, line)
        event: Event = {}
        at = 0
        if not self.known(line, 0) and header.begins(line):
            at = header.read(line, event, context, self.known)
        elif line[0] != "<":
            at = header.signed(line, event, self.programs)
        found = None
        if at and line[0].isdigit() and event.get("process.name") not in self.programs:
            found = self.message(line, 0, {}, context)  # what begins with a time may be no syslog header
        if found is None:
            found = self.message(line, at, dict(event) if self.programs else event, context)
        if found is None and not self.within and event.get("process.name") in self.programs:
            return self.unread(line, at, event, context)
        if found is None:
            raise ParseError(f"no record of {self.name}; the parser 'auto' recognises the format by itself", 0)
        return found

    def known(self, line: str, at: int) -> bool:
        """Whether a message of this format begins there."""
        if self.convert is not None and line.startswith('{"', at):
            return True
        return bool(self.begins) and line.startswith(self.begins, at)

    def message(self, line: str, at: int, event: Event, context: Context) -> Event | None:
        """What begins at `at`, added to the event that the header gave; None when it is of another format."""
        message = line[at:] if at else line
        if self.convert is not None and message[:1] == "{":
            document = json_object(message.encode())
            if self.fits is not None and not self.fits(document):
                return None
            return self.document(document, event, context, line)
        if self.read is None:
            return None
        if not self._signed(event) and not self.known(line, at):
            return None
        event["event.dataset"] = self.dataset
        if not self.read(message, event, context):
            return None
        if self.words:
            self._sign(event)
            if "message" not in event:
                event["message"] = message
        return finish(event, line, context)

    def _signed(self, event: Event) -> bool:
        """Whether the header names no program, or one of the format's, or bears one of its marks."""
        program = event.get("process.name")
        if program is None or not self.programs or program in self.programs:
            return True
        return any(mark in event for mark in self.marks)

    def unread(self, line: str, at: int, event: Event, context: Context) -> Event:
        """The event of a message that one of the format's programs signed and that says nothing known."""
        event["event.dataset"] = self.dataset
        event["message"] = line[at:]
        self._sign(event)
        return finish(event, line, context)

    def _sign(self, event: Event) -> None:
        if self.program:
            event["process.name"] = self.program
        elif self.programs and "process.name" not in event:
            event["process.name"] = self.programs[0]

    def document(self, document: dict[str, Any], event: Event, context: Context, line: str) -> Event:
        """The event of a JSON object, added to what the header said; `line` is the whole as it came. Raises
        ParseError."""
        assert self.convert is not None
        if self.relayed:
            event.pop("process.name", None)
            event.pop("process.pid", None)
        found = self.convert(document, context)
        event = event | found if event else found
        if "@timestamp" not in event:
            event["@timestamp"] = format_time(context.received)
        event.setdefault("event.kind", "event")
        event.setdefault("event.dataset", self.dataset)
        if not self.whole:
            event.setdefault("event.original", line)
        return event


def finish(event: Event, line: str, context: Context) -> Event:
    """The event with what every event has: time, kind, and the line as it came."""
    if "@timestamp" not in event:
        event["@timestamp"] = format_time(context.received)
    if "event.kind" not in event:
        event["event.kind"] = "event"
    event["event.original"] = line
    return event
