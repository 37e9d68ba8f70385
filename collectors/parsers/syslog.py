"""Syslog lines of any sender: the header, and inside it every format that is known by its program or its beginning.

    <38>Nov 22 13:34:00 web1 sshd[811]: Failed password for root from 192.0.2.7 port 22 ssh2
    <165>1 2026-11-22T19:34:00.003Z web1 app 811 ID47 [origin@32473 unit="7"] message

What no format understands stays a line of syslog.
"""

from __future__ import annotations

from almena.event import Event
from collectors.base import Context
from collectors.parsers import formats, header
from collectors.parsers.common import text
from collectors.parsers.format import finish


def parse(raw: bytes, context: Context) -> Event:
    """One event from one syslog message; raises ParseError when it has neither a priority nor a time."""
    line = text(raw)
    event: Event = {}
    at = header.read(line, event, context, formats.known)
    found = formats.recognise(line, at, event, context)
    return found[1] if found is not None else plain(line, at, event, context)


def bare(message: str, event: Event, context: Context) -> Event:
    """The event of a message whose header was read by somebody else, added to what that said."""
    found = formats.recognise(message, 0, event, context)
    return found[1] if found is not None else plain(message, 0, event, context)


def plain(line: str, at: int, event: Event, context: Context) -> Event:
    """The event of a message that no format understands."""
    event["event.dataset"] = "system.syslog"
    event["message"] = line[at:]
    return finish(event, line, context)
