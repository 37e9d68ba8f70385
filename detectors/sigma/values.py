"""An event's values as rules compare them: text, numbers, times, addresses; whatever a stranger sent."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any
from zoneinfo import ZoneInfo

from almena.clock import parse_time, to_datetime
from almena.event import Event

ENVELOPE = frozenset(
    {
        "@timestamp",
        "ecs.version",
        "event.dataset",
        "event.id",
        "event.ingested",
        "event.kind",
        "event.module",
        "organization.id",
        "organization.name",
        "almena.source.name",
        "almena.source.transport",
    }
)
"""Fields that intake writes about an event: keywords do not search them."""

MISFIT = "almena.misfit"
"""Where intake keeps fields that are in no schema; rules read them under their own names."""

_NUMBER = re.compile(r"[+-]?\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,3})?")
_LONGEST_INTEGER = 10**300


def present(value: object) -> bool:
    """True for anything but nothing: None and lists of nothing do not count."""
    if isinstance(value, list):
        return any(item is not None for item in value)
    return value is not None


def scalar(value: object) -> str | None:
    """One value as text, or None for what is not one value."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if -_LONGEST_INTEGER < value < _LONGEST_INTEGER else None
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return None


def fold(text: str) -> str:
    """`text` in lower case, character by character: neither its length nor a neighbour changes a character's.

    Python's own makes two characters of `İ` and another sigma at a word's end.
    """
    return text.lower() if text.isascii() else text.replace("İ", "i").lower().replace("ς", "σ")


def texts(value: object) -> tuple[str, ...]:
    """A field's value as texts: none, one, or those of a list."""
    if type(value) is str:
        return (value,)
    if isinstance(value, list):
        return tuple(text for item in _leaves(value) if (text := scalar(item)) is not None)
    text = scalar(value)
    return () if text is None else (text,)


def everything(event: Event) -> Iterator[str]:
    """Every value of the event as text, however deep, but not what intake wrote about it."""
    for name, value in event.items():
        if name not in ENVELOPE:
            for item in _leaves(value):
                text = scalar(item)
                if text is not None:
                    yield text


def _leaves(value: object) -> Iterator[object]:
    if not isinstance(value, (list, dict)):
        yield value
        return
    stack: list[Any] = [iter(value.values() if isinstance(value, dict) else value)]
    while stack:
        for item in stack[-1]:
            if isinstance(item, (list, dict)):
                stack.append(iter(item.values() if isinstance(item, dict) else item))
                break
            yield item
        else:
            stack.pop()


def number(value: object) -> int | float | None:
    """The number a value is or says, or None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, str) and len(value) <= 100 and _NUMBER.fullmatch(value) and value.isascii():
        try:
            return int(value)
        except ValueError:
            found = float(value)
            return found if math.isfinite(found) else None
    return None


def numbers(value: object) -> tuple[int | float, ...]:
    """A field's value as numbers: none, one, or those of a list."""
    if isinstance(value, list):
        return tuple(found for item in _leaves(value) if (found := number(item)) is not None)
    found = number(value)
    return () if found is None else (found,)


def address(text: str) -> IPv4Address | IPv6Address | None:
    """The address `text` says, or None; an IPv4 address written as IPv6 (`::ffff:10.0.0.1`) is that address."""
    return _address(text) if len(text) <= 64 else None


@lru_cache(maxsize=65_536)
def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


@lru_cache(maxsize=16)
def zone(name: str) -> ZoneInfo:
    """The time zone called `name`; raises ZoneInfoNotFoundError or ValueError."""
    return ZoneInfo(name)


def time_part(value: object, part: str, zone_name: str) -> int | None:
    """The `part` (`hour`, `week`, ...) of a time written as text, in the zone, or None."""
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        moment = to_datetime(parse_time(value)).astimezone(zone(zone_name))
    except (ValueError, OverflowError):
        return None
    return moment.isocalendar().week if part == "week" else int(getattr(moment, part))


class View:
    """One event as predicates see it: each value turned to text, lower case, bytes or numbers at most once."""

    __slots__ = ("_bytes", "_everything", "_lowered", "_misfit", "_numbers", "_texts", "event")

    def __init__(self, event: Event) -> None:
        """The event is read, never changed."""
        self.event = event
        misfit = event.get(MISFIT)
        self._misfit: Mapping[str, Any] = misfit if isinstance(misfit, dict) else {}
        self._texts: dict[str, tuple[str, ...]] = {}
        self._lowered: dict[str, tuple[str, ...]] = {}
        self._bytes: dict[str, tuple[bytes, ...]] = {}
        self._numbers: dict[str, tuple[int | float, ...]] = {}
        self._everything: dict[str, tuple[Any, ...]] = {}

    def value(self, field: str) -> Any:
        """The field's value as it came, or None."""
        value = self.event.get(field)
        return self._misfit.get(field) if value is None and self._misfit else value

    def has(self, field: str) -> bool:
        """True when the event has the field, whatever its value, be it nothing."""
        return field in self.event or field in self._misfit

    def texts(self, field: str) -> tuple[str, ...]:
        """The field's values as text."""
        found = self._texts.get(field)
        if found is None:
            found = self._texts[field] = texts(self.value(field))
        return found

    def lowered(self, field: str) -> tuple[str, ...]:
        """The field's values as text in lower case."""
        found = self._lowered.get(field)
        if found is None:
            found = self._lowered[field] = tuple([fold(text) for text in self.texts(field)])
        return found

    def encoded(self, field: str) -> tuple[bytes, ...]:
        """The field's values as UTF-8, for regular expressions."""
        found = self._bytes.get(field)
        if found is None:
            found = self._bytes[field] = tuple([text.encode("utf-8", "replace") for text in self.texts(field)])
        return found

    def numbers(self, field: str) -> tuple[int | float, ...]:
        """The field's values that are numbers."""
        found = self._numbers.get(field)
        if found is None:
            found = self._numbers[field] = numbers(self.value(field))
        return found

    def all_texts(self) -> tuple[str, ...]:
        """Every value of the event as text."""
        if "texts" not in self._everything:
            self._everything["texts"] = tuple(everything(self.event))
        return self._everything["texts"]

    def all_lowered(self) -> tuple[str, ...]:
        """Every value of the event as text in lower case."""
        if "lowered" not in self._everything:
            self._everything["lowered"] = tuple([fold(text) for text in self.all_texts()])
        return self._everything["lowered"]

    def all_encoded(self) -> tuple[bytes, ...]:
        """Every value of the event as UTF-8."""
        if "bytes" not in self._everything:
            self._everything["bytes"] = tuple([text.encode("utf-8", "replace") for text in self.all_texts()])
        return self._everything["bytes"]
