"""What one program says: as whole syslog lines, or as its bare messages without them."""

from __future__ import annotations

from collections.abc import Sequence

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import Reader, text


def parse(raw: bytes, context: Context, programs: Sequence[str], read: Reader) -> Event:
    """One event of one of `programs`; a bare message is the first one's and has the time of its receipt.

    Raises ParseError for syslog lines of others and for bare messages that `read` does not know.
    """
    from collectors.parsers import syslog  # which reads what these programs say inside of it

    line, said = text(raw), " or ".join(programs)
    if syslog.begins(line):
        event = syslog.convert(line, context)
        if event.get("process.name") not in programs:
            raise ParseError(f"a syslog line, but none of {said}; parse it with 'syslog'")
        return event
    event = {"@timestamp": format_time(context.received), "process.name": programs[0]}
    if not read(line, event):
        raise ParseError(f"neither a syslog line nor a message of {programs[0]} that is known", 0)
    event |= {"event.kind": "event", "event.dataset": "system.auth", "message": line, "event.original": line}
    return event
