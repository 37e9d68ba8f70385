"""What all parsers share: bytes to text or JSON under a cap, and times, numbers and addresses from text."""

from __future__ import annotations

import ipaddress
import re
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import ciso8601
import msgspec

from almena.clock import SECOND, from_datetime
from almena.errors import ParseError
from almena.event import Event, decode, flatten

MAX_BYTES = 1 << 20
"""Longest record a parser reads; collectors cut and flag what is longer."""

MAX_FIELDS = 4_096
"""Most fields one event may have."""

_BOMS_16 = (b"\xff\xfe", b"\xfe\xff")
_BOM_8 = b"\xef\xbb\xbf"
_ESCAPE = re.compile(r"(?:\\x[0-9A-Fa-f]{2})+|\\[\\\"'nrtbvf]", re.ASCII)
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "v": "\v", "f": "\f"}
_UTF_16 = "UTF-16 text; let the sender write UTF-8"

_encode = msgspec.json.Encoder().encode


def text(raw: bytes) -> str:
    """A line of a text log without its end; bytes that are no UTF-8 stand as `\\xNN`, so that none is lost.

    Raises ParseError for what is empty, too long or UTF-16. NULs around the line, as a crash leaves them, go.
    """
    line = _checked(raw).strip(b"\x00\r\n")
    if 0 in line and line.count(0) * 4 > len(line):
        raise ParseError(_UTF_16, 0)
    if line[:3] == _BOM_8:
        line = line[3:]
    if not line or line.isspace():
        raise ParseError("empty line", 0)
    return line.decode("utf-8", "backslashreplace")


def json_object(raw: bytes) -> dict[str, Any]:
    """One JSON object in UTF-8; of equal keys the last counts. Raises ParseError for everything else."""
    data = _checked(raw).strip(b" \t\r\n").removesuffix(b",")  # an element of a list that is written line by line
    if data.startswith(_BOM_8):
        data = data[3:]
    if not data:
        raise ParseError("empty line", 0)
    if data.count(0, 0, 64) * 4 > len(data[:64]):
        raise ParseError(_UTF_16, 0)
    return decode(data)


def _checked(raw: bytes) -> bytes:
    if len(raw) > MAX_BYTES:
        raise ParseError(f"longer than {MAX_BYTES} bytes", MAX_BYTES)
    if raw[:2] in _BOMS_16:
        raise ParseError(_UTF_16, 0)
    return raw


def flat(document: dict[str, Any]) -> Event:
    """The document with dotted names and plain values: nulls go, objects inside lists become their JSON text."""
    fields = {name: plain(value) for name, value in flatten(document).items() if value is not None and value != []}
    if len(fields) > MAX_FIELDS:
        raise ParseError(f"more than {MAX_FIELDS} fields")
    return fields


def plain(value: Any) -> Any:
    """A value an event may have: text, number, boolean, or a list of those."""
    if isinstance(value, list):
        return [item if isinstance(item, (str, int, float)) else as_text(item) for item in value if item is not None]
    return as_text(value) if isinstance(value, dict) else value


def as_text(value: Any) -> str:
    """Any JSON value as text: strings as they are, everything else as JSON writes it."""
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    try:
        return _encode(value).decode()
    except RecursionError:
        raise ParseError("JSON nested too deeply") from None


def given(value: Any) -> str | None:
    """The text of a value, or None for what loggers write when there is none: nothing, `-`, `(null)`."""
    if isinstance(value, str):
        return None if value in NOTHING else value
    return None if value is None else as_text(value)


NOTHING = frozenset(("", "-", "(null)"))
"""What loggers write when there is nothing."""


@lru_cache(maxsize=64)
def zone_of(name: str) -> tzinfo:
    """The time zone called `name`; raises ParseError when there is none."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise ParseError("the source's time zone is not known; write one such as 'America/Mexico_City'") from None


def instant(written: str, zone: str) -> int:
    """RFC 3339 or ISO 8601 as microseconds since 1970 UTC; without an offset it is in `zone`. Raises ParseError."""
    try:
        moment: datetime = ciso8601.parse_datetime(written)
    except ValueError:
        if len(written) < 64 and written[16:19] == ":60":
            return instant(f"{written[:16]}:59{written[19:]}", zone) + SECOND
        raise ParseError("a time that cannot be read or does not exist") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone_of(zone))
    return from_datetime(moment)


def local(year: int, month: int, day: int, clock: str, zone: tzinfo) -> int:
    """Microseconds of a date with `clock` as HH:MM:SS in `zone`; raises ParseError when there is no such time."""
    second = int(clock[6:8])
    try:
        moment = datetime(year, month, day, int(clock[:2]), int(clock[3:5]), min(second, 59), tzinfo=zone)
    except ValueError:
        raise ParseError("a time that cannot be read or does not exist") from None
    if second > 60:
        raise ParseError("a time that cannot be read or does not exist")
    return from_datetime(moment) + (SECOND if second == 60 else 0)


def epoch(number: float) -> int:
    """Seconds, milliseconds, microseconds or nanoseconds since 1970 as microseconds, told apart by their size."""
    for limit, factor in ((1e11, 1_000_000.0), (1e14, 1_000.0), (1e17, 1.0), (1e20, 0.001)):
        if 0 <= number < limit:
            return int(number) if factor == 1.0 else round(number * factor)
    raise ParseError("a time that cannot be read or does not exist")


def fraction(digits: str | None) -> int:
    """The microseconds in the digits behind a second's point."""
    return int(digits[:6].ljust(6, "0")) if digits else 0


def number(value: Any) -> int | None:
    """A whole number written in decimal or as 0x..., or None; never more than 18 digits."""
    if type(value) is int:
        return value
    if isinstance(value, str):
        if len(value) > 18 or not value.isascii():
            return None
        if value.isdigit():
            return int(value)
        try:
            return int(value, 16 if value[:2] in ("0x", "0X") else 10)
        except ValueError:
            return None
    return int(value) if isinstance(value, int) else None


@lru_cache(maxsize=65_536)
def canonical(value: str) -> str | None:
    """`address` of a text that is known to be short."""
    try:
        found = ipaddress.ip_address(value.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)


def address(value: Any) -> str | None:
    """An IP address in its one written form (`::ffff:10.0.0.1` is 10.0.0.1, a scope is left off), or None."""
    return canonical(value) if isinstance(value, str) and len(value) <= 64 else None


def unescape(value: str) -> str:
    r"""What a web server escaped: `\xNN` (runs of them as UTF-8 where they are), `\"`, `\\`, `\n` and the like."""
    return _ESCAPE.sub(_unescaped, value) if "\\" in value else value


def _unescaped(match: re.Match[str]) -> str:
    found = match[0]
    if found[1] == "x":
        return bytes.fromhex(found.replace("\\x", "")).decode("utf-8", "backslashreplace")
    return _CONTROLS.get(found[1], found[1])


def put_source(event: Event, value: str, port: Any = None) -> None:
    """Set `source.*` from what a log calls the client: an address, or a host's name."""
    event["source.address"] = value
    found = address(value)
    if found is not None:
        event["source.ip"] = found
    elif value[:5] != "unix:":
        event["source.domain"] = value
    if (digits := number(port)) is not None and 0 < digits < 65_536:
        event["source.port"] = digits


MONTHS = {
    name: index
    for index, name in enumerate("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), start=1)  # noqa: SIM905
}
"""English months as logs write them."""
