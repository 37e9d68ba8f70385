"""Records of the Linux audit system: single lines, or all of one event joined; of files, of syslog, of the kernel.

    type=SYSCALL msg=audit(1795376040.243:24287): arch=c000003e syscall=2 success=no exit=-13 ... comm="cat" key="sshd"
    node=web1 type=USER_LOGIN msg=audit(1795376040.243:24288): pid=811 ... msg='op=login acct="ana" ... res=failed'

What the audit daemon has looked up (behind the separator 0x1D, such as `UID="root"`) is used; every field stands under
`auditd.log.*` by its own name, hexadecimal texts decoded.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from almena.clock import SECOND, format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers import auditd_event
from collectors.parsers.auditd_names import ARCHITECTURES, TYPES
from collectors.parsers.common import MAX_FIELDS, fraction, local, zone_of
from collectors.parsers.format import Format

_HEAD = re.compile(
    r"(?:node=(\S{1,256}) )?type=([A-Z0-9_]{1,64}|UNKNOWN\[\d{1,5}\]) (?:msg=)?audit\("
    r"(?:(\d{1,11})|(\d\d)/(\d\d)/(\d{4}) (\d\d:\d\d:\d\d))(?:\.(\d{1,9}))?:(\d{1,20})\) ?: ?",
    re.ASCII,
)
_KERNEL = re.compile(r"(?:\[ {0,8}\d{1,12}\.\d{1,9}\] )?audit: (?=type=)", re.ASCII)
_PAIR = re.compile(r"""([A-Za-z_][\w.\[\]-]{0,63})=("[^"]*+"?|'[^']*+'?|\{[^}]*+\}?|[^\s"']*+)""", re.ASCII)
_AVC = re.compile(r"avc: {1,2}(denied|granted) {1,2}\{ ([^}]{0,256}?) ?\}", re.ASCII)
_HEX = re.compile(r"(?:[0-9A-F]{2})+", re.ASCII)
_LOGIN = (("old auid=", "old-auid="), ("new auid=", "auid="), ("old ses=", "old-ses="), ("new ses=", "ses="))
_TEXTS = frozenset(
    (
        *("exe", "cmd", "data", "path", "comm", "file", "name", "watch", "cwd", "acct", "dir", "vm", "device", "key"),
        *("proctitle", "cgroup", "profile", "operation", "ocomm", "grp", "new_group", "root_dir", "sw", "info"),
        *(
            "old-disk",
            "new-disk",
            "old-fs",
            "new-fs",
            "old-net",
            "new-net",
            "old-chardev",
            "new-chardev",
            "invalid_context",
        ),
    )
)
"""Fields that the kernel writes in hexadecimal when they hold more than plain characters."""
_ARGUMENT = re.compile(r"a(\d{1,5})(?:\[(\d{1,5})\])?", re.ASCII)
_NOTHING = ("?", "(null)", "", "(none)")
_SEPARATOR = "\x1d"
_MOST_RECORDS = 256


class Record(NamedTuple):
    """One record of an event."""

    type: str
    fields: dict[str, str]
    """Its fields by their own names, decoded."""
    known: dict[str, str]
    """What the daemon looked up for some of them, by their names in upper case."""


def read(message: str, event: Event, context: Context) -> bool:
    """Read an event's records into the event; False when the first line is none."""
    kernel = _KERNEL.match(message)
    lines = (message[kernel.end() :] if kernel is not None else message).split("\n", _MOST_RECORDS)
    records: list[Record] = []
    count = 0
    for line in lines[:_MOST_RECORDS]:
        head = _HEAD.match(line)
        if head is None:
            if not records:
                return False
            continue
        if not records:
            _say(head, event, context)
        record = _record(head[2], line[head.end() :])
        count += len(record.fields)
        if count > MAX_FIELDS:
            raise ParseError(f"more than {MAX_FIELDS} fields")
        if record.type != "EOE" or not records:
            records.append(record)
    auditd_event.build(event, records)
    return True


def _say(head: re.Match[str], event: Event, context: Context) -> None:
    node, _, seconds, month, day, year, clock, digits, serial = head.groups()
    if seconds is not None:
        moment = int(seconds) * SECOND
    else:
        moment = local(int(year), int(month), int(day), clock, zone_of(context.zone))
    event["@timestamp"] = format_time(moment + fraction(digits))
    event["auditd.log.sequence"] = int(serial[:18])
    if node is not None:
        event["host.name"] = event["auditd.log.node"] = node


def _record(kind: str, body: str) -> Record:
    if kind.isdigit():
        kind = TYPES.get(kind, kind)
    elif kind[0] == "U" and kind.startswith("UNKNOWN["):
        kind = TYPES.get(kind[8:-1], kind)
    body, _, looked_up = body.partition(_SEPARATOR)
    if kind == "LOGIN":
        for before, after in _LOGIN:
            body = body.replace(before, after, 1)
    fields: dict[str, str] = {}
    at = body.find("msg='")
    if at >= 0:
        # What a program says of itself; its texts hold no quotes but these.
        end = body.rfind("'")
        if not looked_up and end > at + 4:
            looked_up = body[end + 1 :].strip()  # a relay dropped the separator
        inner = body[at + 5 : end if end > at + 4 else len(body)]
        _pairs(body[:at], fields, kind)
        _pairs(inner, fields, kind)
        words = inner[: _first_pair(inner)].strip(" :")
        if words:
            fields["msg"] = words
    else:
        _pairs(body, fields, kind)
    avc = _AVC.search(body, 0, 2_048) if "avc:" in body else None
    if avc is not None:
        fields["seresult"], fields["seperms"] = avc[1], avc[2].replace(" ", ",")
    if (arch := fields.get("arch")) in ARCHITECTURES:
        fields["arch"] = ARCHITECTURES[arch]
    known: dict[str, str] = {}
    if looked_up:
        _pairs(looked_up, known, kind)
    for name in [name for name in fields if name.isupper() and len(name) > 2]:
        known.setdefault(name, fields.pop(name))  # a relay made a space of the separator
    return Record(kind, fields, known)


def _first_pair(text: str) -> int:
    match = _PAIR.search(text)
    return match.start() if match is not None else len(text)


def _pairs(text: str, fields: dict[str, str], kind: str) -> None:
    """The pairs of a text; values that say nothing are left out."""
    for name, value in _PAIR.findall(text):
        mark = value[:1]
        if mark in ('"', "'", "{"):
            value = value[1:-1] if len(value) > 1 and value[-1] in "\"'}" else value[1:]
            value = value.strip() if mark == "{" else value
        elif value in _NOTHING:
            continue
        elif (name in _TEXTS or (kind == "EXECVE" and _ARGUMENT.fullmatch(name))) and _HEX.fullmatch(value):
            value = bytes.fromhex(value).decode("utf-8", "backslashreplace")
        if value:
            fields[name] = value
        if len(fields) > MAX_FIELDS:
            raise ParseError(f"more than {MAX_FIELDS} fields")


FORMAT = Format(
    name="auditd",
    dataset="auditd.log",
    read=read,
    programs=("audispd", "audisp-syslog", "auditd", "audisp-remote", "kernel"),
    begins=("type=", "node=", "audit: type="),
    words=False,
)
