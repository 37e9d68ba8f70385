"""Records of several lines one after the other: stack traces, statements, audit records with a line for each value.

One class per habit. Each says which line begins a record and which ends one; everything between belongs together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import cast

from almena.errors import ConfigError
from collectors.assemble import Group, Line, Record, Span

_ISO_TIME = rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d"
_CTIME = rb"[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d "
_LONGEST_PATTERN = 1_000


class Indented:
    """Lines that begin with a space or a tab continue the record before."""

    def __init__(self) -> None:
        self._group = Group()

    def begins(self, data: bytes) -> bool:
        """Whether a line begins a record; the group before is still there to look at."""
        return data[:1] not in (b" ", b"\t", b"")

    def ends(self, data: bytes) -> bool:
        """Whether a line, just taken, ends its record."""
        return False

    def ignored(self, data: bytes) -> bool:
        """Whether a line that continues nothing is no record either, such as the title of a file."""
        return False

    def is_json(self, data: bytes) -> bool:
        """Whether a line is an object of its own, and no part of a statement over several lines."""
        return data.startswith(b"{") and all(line.data.startswith(b"{") for line in self._group.lines[:1])

    def add(self, line: Line) -> Sequence[Record]:
        """The records before this line, when it begins another, and its own when it ends it."""
        found = []
        if self._group.lines and (self.begins(line.data) or not self._group.fits(line)):
            found.append(self._finish())
        if not self._group.lines and (not line.data or self.ignored(line.data)):
            return found
        self._group.add(line)
        if self.ends(line.data):
            found.append(self._finish())
        return found

    def _finish(self) -> Record:
        record, self._group = self._group.record(), Group()
        return record

    def end(self) -> Sequence[Record]:
        """The record so far."""
        return [self._finish()] if self._group.lines else ()

    def head(self, line: Line) -> bool:
        """The beginning of a file says nothing about the rest."""
        return False

    def spans(self) -> list[Span]:
        """The lines of the record so far."""
        return [(line.start, line.end) for line in self._group.lines]

    def waiting(self) -> bool:
        """Whether there is a record so far."""
        return bool(self._group.lines)


class Snort(Indented):
    """Alerts in full begin with `[**]` and end with an empty line; shorter ones have a line each."""

    def begins(self, data: bytes) -> bool:
        """Whether a line begins a record."""
        return data.startswith(b"[**]") or not self._group.lines[0].data.startswith(b"[**]")

    def ends(self, data: bytes) -> bool:
        """Whether a line, just taken, ends its record."""
        return not data


class Patterned(Indented):
    """Lines that a regular expression of the operator's does not find continue the record before."""

    def __init__(self, found: Callable[[bytes], bool]) -> None:
        super().__init__()
        self._found = found

    def begins(self, data: bytes) -> bool:
        """Whether the expression is found in the line."""
        return self._found(data)


def finder(pattern: str) -> Callable[[bytes], bool]:
    """What looks for a regular expression in time linear in the line; raises ConfigError when RE2 refuses it."""
    import re2

    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.encoding = re2.Options.Encoding.LATIN1  # lines are bytes, in UTF-8 or not
    try:
        if len(pattern) > _LONGEST_PATTERN:
            raise ConfigError(f"multiline: longer than {_LONGEST_PATTERN} characters")
        search = re2.compile(pattern.encode("utf-8"), options=options).search
    except (re2.error, UnicodeEncodeError) as error:
        said = error.args[0] if error.args else ""
        reason = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        raise ConfigError(f"multiline: RE2 refuses the regular expression {pattern[:200]!r}: {reason}") from None
    return cast(Callable[[bytes], bool], lambda data: search(data) is not None)


class Java(Indented):
    """Stack traces: what is indented, the exception's own line, its causes."""

    _continues = re.compile(
        rb"[ \t]|Caused by: |Suppressed: |\.\.\. \d|"
        rb"[\w$]{1,100}(?:\.[\w$]{1,100}){1,20}(?:Exception|Error|Throwable)(?::|\s|$)"
    )

    def begins(self, data: bytes) -> bool:
        """Whether a line is none of those."""
        return bool(data) and self._continues.match(data) is None


class PostgreSQL(Indented):
    """PostgreSQL indents by a tab what continues a message; in its CSV a line goes on while a quote is open."""

    _csv = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [A-Za-z0-9+:/_-]{1,40},")

    def begins(self, data: bytes) -> bool:
        """Whether a line stands at the beginning, outside of quotes."""
        lines = self._group.lines
        if lines and self._csv.match(lines[0].data):
            return self._group.quotes % 2 == 0
        return bool(data) and not data.startswith(b"\t")


class MySQL(Indented):
    """MySQL and MariaDB: the slow log's blocks, the general log's and the error log's timed lines, the XML audit."""

    _begin = re.compile(
        rb"# Time: |" + _ISO_TIME + rb"|\d{6} [ \d]\d:\d\d:\d\d[ \t]|\d{8} [ \d]\d:\d\d:\d\d[, ]|\t\t +\d+ [A-Z]|"
        rb" ?<AUDIT_RECORD|<\d{1,3}>|\S{1,200}, Version: "
    )

    def begins(self, data: bytes) -> bool:
        """Whether a line begins a statement; `# User@Host:` does when no `# Time:` stands before it."""
        if data.startswith(b"# User@Host: "):
            return not all(line.data.startswith(b"# Time: ") for line in self._group.lines)
        return self._begin.match(data) is not None or self.is_json(data)

    def ends(self, data: bytes) -> bool:
        """Whether it is the end of a record of the XML audit."""
        return data.endswith((b"</AUDIT_RECORD>", b"/>")) and self._group.lines[0].data.lstrip().startswith(b"<AUDIT_")

    def ignored(self, data: bytes) -> bool:
        """Whether it is the frame of an XML file, or the title that a server writes when it starts."""
        return data.startswith((b"<?xml ", b"<AUDIT>", b"</AUDIT>", b"Tcp port: ", b"Time   "))


class ModSecurity(Indented):
    """ModSecurity's serial audit log: from the section A of a transaction to its section Z, or a line of JSON."""

    _section = re.compile(rb"--(-?[A-Za-z0-9@_-]{4,64}-?)-([A-Z])--\Z")

    def begins(self, data: bytes) -> bool:
        """Whether it is a section A; inside a transaction anything may be a part of the request it tells about."""
        lines = self._group.lines
        if lines and self._section.match(lines[0].data):
            return False
        found = self._section.match(data)
        return data.startswith(b"{") or (found is not None and found[2] == b"A")

    def ends(self, data: bytes) -> bool:
        """Whether it is the section Z of the same transaction: its id is random, nobody outside knows it."""
        first, last = self._section.match(self._group.lines[0].data), self._section.match(data)
        if last is None or last[2] != b"Z":
            return data.startswith(b"{") and len(self._group.lines) == 1
        return first is None or first[1] == last[1]


class Oracle(Indented):
    """Oracle's audit files as text (`.aud`) and XML, its alert log and its listener's."""

    _begin = re.compile(
        rb"[ \t]*<AuditRecord\b|" + _CTIME + rb"|" + _ISO_TIME + rb"|\d\d-[A-Z]{3}-\d{4} \d\d:|<\d{1,3}>"
    )
    _title = re.compile(
        rb"<\?xml |[ \t]*</?Audit[ >]|[ \t]*<Version>|Audit file |Oracle (?:Database|Unified)|(?:Version|Build label|"
        rb"ORACLE_HOME|ORACLE_BASE|System name|Node name|Release|Machine|Instance name|Redo thread mounted|"
        rb"Oracle process number|Unix process pid|Windows thread id|With the |and |JServer |PL/SQL )"
    )

    def begins(self, data: bytes) -> bool:
        """Whether a line begins a record of XML, or bears a time."""
        return self._begin.match(data) is not None or self.is_json(data)

    def ends(self, data: bytes) -> bool:
        """Whether it is the end of a record of XML."""
        return data.rstrip().endswith(b"</AuditRecord>")

    def ignored(self, data: bytes) -> bool:
        """Whether it is the frame of an XML file, or of the block of text that an `.aud` file begins with."""
        return self._title.match(data) is not None


class Timed(Indented):
    """Lines that bear no time continue the one before: SQL Server's error log, and applications of all kinds."""

    _begin = re.compile(
        rb"[<\[]?(?:\d{1,3}>)?(?:" + _ISO_TIME + rb"|\d\d[/.-](?:\d\d|[A-Z][a-z]{2})[/.-]\d{4}|" + _CTIME + rb")"
    )

    def begins(self, data: bytes) -> bool:
        """Whether a line begins with a time."""
        return self._begin.match(data) is not None or self.is_json(data)


class WindowsDNS(Indented):
    """The debug log of Windows' DNS server: details of a packet are indented; a key to it stands at the beginning."""

    _title = re.compile(rb"DNS Server log file|Log file wrap|Message logging key|[ \t-]")

    def ignored(self, data: bytes) -> bool:
        """Whether it is a line of the key."""
        return self._title.match(data) is not None


class WindowsDHCP(Indented):
    """The audit log of Windows' DHCP server: lines, under a list of what their numbers mean."""

    _title = re.compile(
        rb"\s*(?:Microsoft DHCP|Registro de actividad)|Event ID |Id\. de evento|\d{2,5}\+?\t|QResult:|"
        rb"ID,Date,Time|Id\.,Fecha,"
    )

    def begins(self, data: bytes) -> bool:
        """Every line."""
        return True

    def ends(self, data: bytes) -> bool:
        """Every line."""
        return True

    def ignored(self, data: bytes) -> bool:
        """Whether it is a line of the list, or the names of the columns."""
        return self._title.match(data) is not None
