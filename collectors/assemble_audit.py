"""Linux audit: the records of one event, which others may come between, are put together by the event's number.

    type=SYSCALL msg=audit(1795376040.243:24287): arch=c000003e syscall=2 success=no ...
    type=CWD msg=audit(1795376040.243:24287): cwd="/home/ana"
    type=PROCTITLE msg=audit(1795376040.243:24287): proctitle=636174

An event is complete with `PROCTITLE` or `EOE`, when a program and not the kernel reported it, or when an event comes
that is two seconds younger; that is what the audit tools themselves go by.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from collectors.assemble import Group, Line, Record, Span

_MOST_OPEN = 64  # events that are unfinished at once
_MOST_KEPT = 2_000  # lines of all of them
_MOST_BYTES = 4 << 20
_YOUNGER = 2  # seconds
_ID = re.compile(
    rb"(?:\bnode=([^\s]{1,255}) )?(?:type=([A-Z0-9_]{1,40})\S{0,10} )?(?:msg=)?audit\((\d{1,12})\.\d{1,9}:\d{1,20}\)"
)
_LOOK = 1_024  # bytes in which the number stands, behind what a syslog header may be
_LAST = frozenset((b"PROCTITLE", b"EOE", b"KERNEL", b"USER"))
_ALONE = re.compile(
    rb"(?:USER|CRED|ADD|DEL|GRP|ACCT|SERVICE|SYSTEM|DAEMON|CRYPTO|VIRT|ROLE|LABEL|USYS|RESP|CHUSER|CHGRP|SOFTWARE)_"
)


class _Event(Group):
    """An unfinished event."""

    __slots__ = ("second",)

    def __init__(self, second: int) -> None:
        super().__init__()
        self.second = second


class Audit:
    """Keeps unfinished events, few of them, in the order in which they began."""

    def __init__(self) -> None:
        self._open: dict[bytes, _Event] = {}
        self._kept = self._size = 0

    def add(self, line: Line) -> Sequence[Record]:
        """The events that this line completes; one without a number stands alone."""
        if not line.data:
            return ()
        found = _ID.search(line.data, 0, _LOOK)
        if found is None:
            return (Record(line.data, line.start, line.truncated, line.number),)
        return list(self._add(line, found))

    def _add(self, line: Line, found: re.Match[bytes]) -> Iterator[Record]:
        second = int(found[3])
        key = (found[1] or b"") + b" " + found[0][found[0].rindex(b"(") :]
        for old in [old for old, event in self._open.items() if event.second + _YOUNGER <= second]:
            yield self._finish(old)
        while self._kept >= _MOST_KEPT or self._size >= _MOST_BYTES:
            yield self._finish(next(iter(self._open)))
        if key in self._open and not self._open[key].fits(line):
            yield self._finish(key)
        if key not in self._open:
            if len(self._open) >= _MOST_OPEN:
                yield self._finish(next(iter(self._open)))
            self._open[key] = _Event(second)
        event = self._open[key]
        self._size -= event.size
        # What syslog put in front is the same on all lines, and the parser looks for it on the first one.
        event.add(line._replace(data=line.data[found.start() :]) if len(event) else line)
        self._kept += 1
        self._size += event.size
        kind = found[2] or b""
        if kind in _LAST or _ALONE.match(kind):
            yield self._finish(key)

    def _finish(self, key: bytes) -> Record:
        event = self._open.pop(key)
        self._kept -= len(event)
        self._size -= event.size
        return event.record()

    def end(self) -> Sequence[Record]:
        """Every unfinished event, the oldest first."""
        return [self._finish(key) for key in list(self._open)]

    def head(self, line: Line) -> bool:
        """The beginning of a file says nothing about the rest."""
        return False

    def spans(self) -> list[Span]:
        """The lines of unfinished events."""
        return sorted((line.start, line.end) for event in self._open.values() for line in event.lines)

    def waiting(self) -> bool:
        """Whether there are unfinished events."""
        return bool(self._open)
