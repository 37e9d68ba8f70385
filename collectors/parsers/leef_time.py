"""Times as LEEF's products write them: what `devTimeFormat` says of a date decides where it could be read two ways.

devTime=Nov 22 2026 13:34:00 GMT-06:00<tab>devTimeFormat=MMM dd yyyy HH:mm:ss z
"""

from __future__ import annotations

import re
from functools import lru_cache

from almena.clock import DAY, HOUR, MINUTE, to_datetime
from almena.errors import ParseError
from collectors.base import Context
from collectors.parsers.common import MONTHS, epoch, fraction, instant, local, zone_of

_CLOCK = re.compile(
    r"(\d{1,2}):(\d\d):(\d\d)(?:[.,:](\d{1,9}))?(?: ?([AaPp])\.?[Mm]\.?)?"
    r"(?: ?(?:UTC|GMT|Z)?([+-])(\d{1,2}):?(\d\d)?| ?(UTC|GMT|Z|[A-Z]{3,5}))?(?= |$)",
    re.ASCII,
)
_NAMED = re.compile(r"(?:[A-Z][a-z]{2},? )?([A-Z][a-z]{2})[ -](\d{1,2}),?(?:[ -](\d{4}))?(?= |$)", re.ASCII)
_DAY_NAMED = re.compile(r"(?:[A-Z][a-z]{2},? )?(\d{1,2})[-/ ]([A-Z][a-z]{2})[-/ ](\d{4})(?= |$)", re.ASCII)
_NUMBERS = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})(?= |$)", re.ASCII)
_YEAR_FIRST = re.compile(r"(\d{4})[/.-](\d{1,2})[/.-](\d{1,2})(?= |T|$)", re.ASCII)
_YEAR = re.compile(r" (\d{4})$", re.ASCII)
_LONGEST = 64


def moment_of(written: str, order: str, context: Context) -> int | None:
    """The time in microseconds, None for what is none; `order` is `devTimeFormat`, empty where there is none."""
    written = written.strip()
    if written.isascii() and written.isdigit():
        return epoch(int(written)) if 9 < len(written) < 20 else None
    if len(written) > _LONGEST:
        return None
    try:
        if written[:4].isdigit() and written[4:5] == "-" and written[10:11] == "T":
            return instant(written, context.zone)
        return _read(written, order[:2] == "dd", context.zone, context.received // DAY)
    except (ParseError, OverflowError):
        return None


@lru_cache(maxsize=4_096)
def _read(written: str, day_first: bool, zone: str, received_day: int) -> int | None:
    clock = _CLOCK.search(written)
    if clock is None:
        return None
    hour, minute, second, part, half, sign, hours, minutes, name = clock.groups()
    when = int(hour) % 12 + (12 if half in "Pp" else 0) if half else int(hour)
    date = _date(written, written[clock.end() :], day_first, received_day)
    if date is None or when > 23:
        return None
    known = sign is not None or name in ("UTC", "GMT", "Z")
    moment = local(*date, f"{when:02d}:{minute}:{second}", zone_of("UTC" if known else zone)) + fraction(part)
    if sign is None:
        return moment
    away = int(hours) * HOUR + int(minutes or 0) * MINUTE
    return moment - away if sign == "+" else moment + away


def _date(written: str, rest: str, day_first: bool, received_day: int) -> tuple[int, int, int] | None:
    """Year, month and day."""
    if (found := _YEAR_FIRST.match(written)) is not None:
        return int(found[1]), int(found[2]), int(found[3])
    if (found := _DAY_NAMED.match(written)) is not None:
        month = MONTHS.get(found[2])
        return (int(found[3]), month, int(found[1])) if month is not None else None
    if (found := _NAMED.match(written)) is not None:
        month, year = MONTHS.get(found[1]), found[3]
        if year is None and (behind := _YEAR.search(rest)) is not None:
            year = behind[1]  # as date(1) writes it
        if month is None:
            return None
        return (int(year) if year else _nearest(month, int(found[2]), received_day)), month, int(found[2])
    if (found := _NUMBERS.match(written)) is not None:
        one, two = int(found[1]), int(found[2])
        month, day = (two, one) if day_first or one > 12 else (one, two)
        return int(found[3]), month, day
    return None


def _nearest(month: int, day: int, received_day: int) -> int:
    """The year in which the day lies nearest to that of the receipt."""
    received = to_datetime(received_day * DAY)
    away = (month - received.month) * 31 + day - received.day
    return received.year - 1 if away > 186 else received.year + 1 if away < -186 else received.year
