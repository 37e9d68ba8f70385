"""Which parser wants its lines put together, and how: one line for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from collectors.assemble import Assembler, Line, Record, Span
from collectors.assemble_audit import Audit
from collectors.assemble_header import Header, is_header
from collectors.assemble_lines import (
    Indented,
    Java,
    ModSecurity,
    MySQL,
    Oracle,
    Patterned,
    PostgreSQL,
    Snort,
    Timed,
    WindowsDHCP,
    WindowsDNS,
    finder,
)


class Recognised:
    """For the parser that recognises formats by itself: headers are headers, audit events come together."""

    def __init__(self) -> None:
        self._header = Header()
        self._audit = Audit()

    def add(self, line: Line) -> Sequence[Record]:
        """As each line says by itself; one that says nothing is a record."""
        if b"audit(" in line.data[:1_024]:
            return self._audit.add(line)
        if self.head(line) or not line.data:
            return ()
        return (self._header.record(line),)

    def head(self, line: Line) -> bool:
        """Whether it is a line of a header; others that begin with `#` are records here."""
        return is_header(line.data) and self._header.head(line)

    def end(self) -> Sequence[Record]:
        """Everything there is."""
        return self._audit.end()

    def spans(self) -> list[Span]:
        """The lines that are needed still."""
        return sorted(self._header.spans() + self._audit.spans())

    def waiting(self) -> bool:
        """Whether there are unfinished records."""
        return self._audit.waiting()


ASSEMBLERS: Mapping[str, Callable[[], Assembler]] = {
    "auditd": Audit,
    "auto": Recognised,
    "dhcp_windows": WindowsDHCP,
    "exchange": Header,
    "iis": Header,
    "java": Java,
    "keycloak": Java,
    "modsecurity": ModSecurity,
    "mssql": Timed,
    "mysql": MySQL,
    "oracle": Oracle,
    "postgresql": PostgreSQL,
    "snort": Snort,
    "windows_dns": WindowsDNS,
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
