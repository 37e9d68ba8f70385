"""Time as Almena keeps it: integers of microseconds since 1970 UTC, and RFC 3339 text that sorts like time."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import ciso8601

from almena.errors import ConfigError

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

FOREVER = 2**62
"""The watermark at the end of a replay: nothing more will come."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LIMIT = 253_402_300_799 * SECOND  # the end of year 9999, the last that RFC 3339 can write
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(us|ms|s|m|h|d|w)")
_UNITS = {"us": 1, "ms": 1000, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}


class Span(int):
    """A length of time in microseconds, written in configuration as `500ms`, `5s`, `10m`, `1h30m`, `7d`."""

    @classmethod
    def parse(cls, text: object) -> Span:
        """Read `text`; raises ConfigError when it is no length of time."""
        if isinstance(text, str):
            compact = text.strip().lower()
            parts = _SPAN.findall(compact)
            if parts and _SPAN.sub("", compact).strip() == "":
                return cls(round(sum(float(number) * _UNITS[unit] for number, unit in parts)))
        raise ConfigError(f"{text!r} is no length of time; write it like '30s', '5m', '1h30m' or '7d'")

    def __str__(self) -> str:
        for unit in ("w", "d", "h", "m", "s", "ms"):
            if self and self % _UNITS[unit] == 0:
                return f"{int(self) // _UNITS[unit]}{unit}"
        return f"{int(self)}us"


def now() -> int:
    """Microseconds since 1970 UTC. Only collectors, the bus and people's screens ask; detectors never do."""
    return time.time_ns() // 1000


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")


def format_time(micros: int) -> str:
    """RFC 3339 in UTC with six decimals, so that comparing texts compares times."""
    seconds, fraction = divmod(micros if 0 <= micros <= _LIMIT else min(max(micros, 0), _LIMIT), SECOND)
    return f"{_second(seconds)}.{fraction:06d}Z"


def parse_time(text: str) -> int:
    """Read RFC 3339 or ISO 8601; a time without zone is UTC. Raises ValueError."""
    moment: datetime = ciso8601.parse_datetime(text)
    return from_datetime(moment)


def from_datetime(moment: datetime) -> int:
    """Microseconds since 1970 UTC of `moment`; a time without zone is UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * SECOND + delta.microseconds


def to_datetime(micros: int) -> datetime:
    """The moment as a datetime in UTC."""
    return _EPOCH + timedelta(microseconds=min(max(micros, 0), _LIMIT))
