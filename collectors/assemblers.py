"""Which parser wants its lines put together, and how: one line for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from collectors.assemble import Assembler, Line, Record, Span
from collectors.assemble_audit import Audit
from collectors.assemble_header import Header
from collectors.assemble_lines import (
    Indented,
    Java,
    ModSecurity,
    MySQL,
    Oracle,
    Patterned,
    PostgreSQL,
    Timed,
    finder,
)


class Recognised:
    """For the parser that recognises formats by itself: what the first line that says so stands for."""

    def __init__(self) -> None:
        self._inner: Assembler | None = None

    def add(self, line: Line) -> Sequence[Record]:
        """As the lines say; one by one until they do."""
        if self._inner is None:
            self._inner = _kind_of(line.data)
        if self._inner is not None:
            return self._inner.add(line)
        return (Record(line.data, line.start, line.truncated, line.number),) if line.data else ()

    def head(self, line: Line) -> bool:
        """Whether the file has a header."""
        if self._inner is None:
            self._inner = _kind_of(line.data)
        return self._inner is not None and self._inner.head(line)

    def end(self) -> Sequence[Record]:
        """Everything there is."""
        return self._inner.end() if self._inner is not None else ()

    def spans(self) -> list[Span]:
        """The lines that are needed still."""
        return self._inner.spans() if self._inner is not None else []

    def waiting(self) -> bool:
        """Whether there are unfinished records."""
        return self._inner is not None and self._inner.waiting()


def _kind_of(data: bytes) -> Assembler | None:
    if data.startswith((b"#separator ", b"#Software: ", b"#Version: ", b"#Fields: ")):
        return Header()
    return Audit() if b"audit(" in data[:1_024] else None


ASSEMBLERS: Mapping[str, Callable[[], Assembler]] = {
    "auditd": Audit,
    "auto": Recognised,
    "exchange": Header,
    "iis": Header,
    "java": Java,
    "modsecurity": ModSecurity,
    "mssql": Timed,
    "mysql": MySQL,
    "oracle": Oracle,
    "postgresql": PostgreSQL,
    "zeek": Header,
}
"""Assemblers by the name of the parser that their records are for; other parsers read line by line."""

_NAMED: Mapping[str, Callable[[], Assembler]] = {"indented": Indented, "java": Java, "timed": Timed}


def assembler_for(parser: str, multiline: str = "") -> Callable[[], Assembler] | None:
    """What makes the assemblers for a parser, or None when every line is a record.

    `multiline` says it otherwise: `lines`, `indented`, `java`, `timed`, or a regular expression. Raises ConfigError
    for one that RE2 refuses.
    """
    if multiline == "lines":
        return None
    if multiline:
        return _NAMED.get(multiline) or partial(Patterned, finder(multiline))
    return ASSEMBLERS.get(parser)
