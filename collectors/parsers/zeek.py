"""Zeek's logs, as JSON or as the tab-separated files it writes by itself, with their header in front of a line.

    {"_path": "conn", "ts": 1795376040.5, "uid": "C1", "id.orig_h": "10.20.0.5", "id.orig_p": 51022, ...}
    #fields\tts\tuid\tid.orig_h\t...\n1795376040.5\tC1\t10.20.0.5\t...

Without a header the columns are those that a fresh installation writes, told apart by their number and shape.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event, flatten
from collectors.base import Context
from collectors.parsers import zeek_logs, zeek_shapes
from collectors.parsers.common import MAX_FIELDS, epoch, instant, unescape
from collectors.parsers.format import Format
from collectors.parsers.network import put_end, put_transport
from collectors.parsers.zeek_columns import columns_of

_HEADER = 64  # lines of a header at most


def convert(document: dict[str, Any], context: Context) -> Event:
    """The event of one JSON record; raises ParseError without a time."""
    facts = flatten(document) if dict in map(type, document.values()) else document
    if len(facts) > MAX_FIELDS:
        raise ParseError(f"more than {MAX_FIELDS} fields")
    path = facts.get("_path")
    return _event(path[:64] if isinstance(path, str) and path else _log(facts, context), facts, context)


def read(message: str, event: Event, context: Context) -> bool:
    """Read a line of a tab-separated log, with or without its header in front."""
    *head, line = message.split("\n") if message[:1] == "#" else (message,)
    if line.startswith("#") or "\t" not in line or len(head) > _HEADER:
        return False
    cells = line.rstrip("\r").split("\t")
    found = _head("\n".join(head)) if head else columns_of(cells, context.origin)
    if found is None or len(cells) > MAX_FIELDS:
        return False
    path, names, empty, unset = found
    if len(cells) != len(names):
        if head:
            raise ParseError("a line of Zeek with another number of columns than its header names")
        return False
    facts: dict[str, Any] = {
        name: [] if cell == empty else cell for name, cell in zip(names, cells, strict=True) if cell != unset
    }
    if "\\x" in line:
        facts = {name: unescape(cell) if isinstance(cell, str) else cell for name, cell in facts.items()}
    event |= _event(path or _log(facts, context), facts, context)
    return True


@lru_cache(maxsize=256)
def _parsed(head: str) -> tuple[str, tuple[str, ...], str, str] | None:
    path, empty, unset = "", "(empty)", "-"
    names: tuple[str, ...] = ()
    for line in head.split("\n"):
        key, _, rest = line.rstrip("\r").partition("\t")
        if key == "#fields":
            names = tuple(rest.split("\t"))
        elif key == "#path":
            path = rest[:64]
        elif key == "#empty_field":
            empty = rest
        elif key == "#unset_field":
            unset = rest
    return (path, names, empty, unset) if names else None


def _head(head: str) -> tuple[str, tuple[str, ...], str, str] | None:
    return _parsed(head) if len(head) < 1_000 else _parsed.__wrapped__(head)


def _log(facts: dict[str, Any], context: Context) -> str:
    """The log of a record that does not say it."""
    name = zeek_shapes.named(context.origin) if context.origin else None
    return name if name in zeek_logs.READERS else zeek_shapes.log_of(facts)


def _time(value: Any, context: Context) -> int:
    if type(value) is float:
        return round(value * 1e6) if 0 <= value < 1e11 else epoch(value)
    if type(value) is int:
        return epoch(value)
    if isinstance(value, str) and value:
        whole, _, part = value.partition(".")
        if whole.isascii() and whole.isdigit() and len(whole) < 12 and (part.isdigit() or not part):
            return int(whole) * 1_000_000 + int(part[:6].ljust(6, "0"))
        return instant(value, "UTC")
    raise ParseError("a record of Zeek without a time")


def _event(path: str, facts: dict[str, Any], context: Context) -> Event:
    event: Event = {
        "@timestamp": format_time(_time(facts.get("ts"), context)),
        "event.dataset": f"zeek.{zeek_logs.DATASETS.get(path, path)}",
        "observer.vendor": "Zeek",
    }
    uid = facts.get("uid") or facts.get("fuid")
    if isinstance(uid, str):
        event["almena.zeek.uid"] = uid
    get = facts.get
    protocol = get("proto")
    ports = protocol != "icmp"  # whose type and code stand there
    put_end(event, "source", get("id.orig_h"), get("id.orig_p") if ports else None)
    put_end(event, "destination", get("id.resp_h"), get("id.resp_p") if ports else None)
    if protocol is not None:
        put_transport(event, protocol)
    if isinstance(community := get("community_id"), str):
        event["network.community_id"] = community
    if isinstance(system := get("_system_name"), str):
        event["observer.name"] = system
    zeek_logs.READERS.get(path, zeek_logs.other)(facts, event)
    return event


FORMAT = Format(
    name="zeek",
    dataset="zeek.unknown",
    read=read,
    programs=("zeek", "bro"),
    begins=("#separator", "#fields\tts\t"),
    convert=convert,
    fits=zeek_shapes.is_zeek,
    words=False,
)
