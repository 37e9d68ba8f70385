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
from collectors.parsers import zeek_logs
from collectors.parsers.common import MAX_FIELDS, epoch, instant
from collectors.parsers.format import Format
from collectors.parsers.network import put_end, put_transport
from collectors.parsers.zeek_columns import columns_of

_HEADER = 64  # lines of a header at most
_SHAPES = (
    ("conn_state", "conn"),
    ("qtype_name", "dns"),
    ("rcode_name", "dns"),
    ("status_code", "http"),
    ("user_agent", "http"),
    ("cipher", "ssl"),
    ("server_name", "ssl"),
    ("auth_attempts", "ssh"),
    ("mailfrom", "smtp"),
    ("note", "notice"),
    ("mime_type", "files"),
)


def fits(document: dict[str, Any]) -> bool:
    """Whether a JSON object is a record of Zeek."""
    if "ts" not in document:
        return False
    return (
        "id.orig_h" in document or "_path" in document or ("uid" in document and "id" in document) or "fuid" in document
    )


def convert(document: dict[str, Any], context: Context) -> Event:
    """The event of one JSON record; raises ParseError without a time."""
    facts = flatten(document)
    if len(facts) > MAX_FIELDS:
        raise ParseError(f"more than {MAX_FIELDS} fields")
    path = facts.get("_path")
    name = path if isinstance(path, str) and path else _guess(facts)
    return _event(name[:64], facts, context)


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
    facts = {name: [] if cell == empty else cell for name, cell in zip(names, cells, strict=True) if cell != unset}
    event |= _event(path, facts, context)
    return True


@lru_cache(maxsize=256)
def _parsed(head: str) -> tuple[str, tuple[str, ...], str, str] | None:
    path, empty, unset = "unknown", "(empty)", "-"
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


def _guess(facts: dict[str, Any]) -> str:
    return next((name for key, name in _SHAPES if key in facts), "unknown")


def _time(value: Any, context: Context) -> int:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
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
    put_end(event, "source", get("id.orig_h"), get("id.orig_p"))
    put_end(event, "destination", get("id.resp_h"), get("id.resp_p"))
    if "proto" in facts:
        put_transport(event, get("proto"))
    if isinstance(community := get("community_id"), str):
        event["network.community_id"] = community
    if isinstance(system := get("_system_name"), str):
        event["observer.name"] = system
    reader = zeek_logs.READERS.get(path)
    if reader is None:
        event["event.category"], event["event.type"] = ["network"], ["info"]
    else:
        reader(facts, event)
    return event


FORMAT = Format(
    name="zeek",
    dataset="zeek.unknown",
    read=read,
    begins=("#separator", "#fields\tts\t"),
    convert=convert,
    fits=fits,
    words=False,
)
