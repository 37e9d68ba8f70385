"""What the anomaly detectors share: small facts of an event, and an alert that explains itself in two languages."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from almena.alert import SEVERITY, Alert, build
from almena.clock import DAY, HOUR, MINUTE, SECOND, format_time, parse_time
from almena.event import Event, event_time
from almena.hit import WIDEST, Hit
from almena.words import render, safe

LONGEST_FACT = 128
"""Bytes of one field that a hit carries; a longer value is cut."""

LONGEST_PATH = 512
"""Bytes of the path of the file that an event was read from."""

LONGEST_HIT = 1_800
"""Bytes of all fields of one hit together; what comes behind that is left out."""

Words = Mapping[str, Mapping[str, str]]
"""Templates by language (`es`, `en`) and key (`title`, `what_happened`, ...), see `almena.words.render`."""


def facts(event: Event, names: Sequence[str]) -> dict[str, Any]:
    """The fields `names` of the event, in that order, small enough for a hit: lists give their first three values."""
    found: dict[str, Any] = {}
    room = LONGEST_HIT
    for name in names:
        value = event.get(name)
        if isinstance(value, list):
            value = [_cut(str(item), LONGEST_FACT) for item in value[:3]]
        elif isinstance(value, str):
            value = _cut(value, LONGEST_PATH if name == "log.file.path" else LONGEST_FACT)
        elif not isinstance(value, (int, float)) or not -WIDEST <= value < WIDEST:  # nor NaN
            continue
        room -= len(name) + (len(str(value).encode("utf-8", "replace")) if not isinstance(value, int) else 8)
        if room < 0:
            break
        found[name] = value
    return found


def _cut(text: str, longest: int) -> str:
    if len(text) * 4 <= longest:
        return text
    return text.encode("utf-8", "replace")[:longest].decode("utf-8", "ignore")


def time_of(event: Event) -> int | None:
    """`@timestamp` in microseconds, or None where a stranger wrote something else."""
    try:
        return event_time(event)
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


def time_in(fields: Mapping[str, Any], name: str, default: int) -> int:
    """The time in the field `name`, microseconds, or `default`."""
    try:
        return parse_time(fields[name])
    except (KeyError, ValueError, TypeError, OverflowError):
        return default


def number(value: object) -> float:
    """A count that a log line says, 0.0 where it says none; never negative, never infinite."""
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            return min(max(float(value), 0.0), 1e15)
        except (ValueError, OverflowError):
            return 0.0
    return 0.0


def network_of(address: str, v4: int, v6: int) -> str | None:
    """The network of `address` with `v4` or `v6` bits, or None for text that is no address of another machine.

    >>> network_of("192.0.2.7", 24, 48)
    '192.0.2.0/24'
    >>> network_of("127.0.0.1", 24, 48) is None
    True
    """
    return _network(address, v4, v6) if len(address) <= 64 else None


@lru_cache(maxsize=65_536)
def _network(address: str, v4: int, v6: int) -> str | None:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    if found.is_loopback or found.is_unspecified or found.is_multicast or found.is_link_local:
        return None
    bits = v4 if found.version == 4 else v6
    return str(ipaddress.ip_network(f"{found}/{bits}" if bits < found.max_prefixlen else str(found), strict=False))


def check_level(level: str) -> None:
    """Raises ValueError where `level` is none of Sigma's."""
    if level not in SEVERITY:
        raise ValueError(f"level: {level!r} is not known; one of {', '.join(SEVERITY)}")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What a model has to say beside the events: the numbers an alert shows."""

    observed: str
    """What was seen."""
    expected: str
    """What would have been normal."""
    p: float | None = None
    """How often the same is seen when nothing is wrong, 0 to 1; None where the detector has no such measure."""
    history: int = 0
    """How many observations `expected` rests on."""
    peers: float | None = None
    """The share of peers that do the same, 0 to 1."""
    contributions: Sequence[Mapping[str, Any]] = ()
    """Up to three of `{"feature", "observed", "expected"}`, the strongest first."""


def model_alert(
    finding: Finding,
    *,
    identity: str,
    rule: Mapping[str, Any],
    level: str,
    words: Words,
    values: Mapping[str, Any],
    first: Event,
    last: Event,
    count: int,
    entity: str,
    moment: int,
) -> Alert:
    """The alert of a model: `values` fill the templates of `words` beside the first event's own fields.

    `moment` (microseconds) and `count` are its revision: of two versions the later one counts.
    """
    view = {**first, **values}
    said = {language: {key: render(text, view) for key, text in texts.items()} for language, texts in words.items()}
    root = {"kind": "model", "contributions": [dict(item) for item in finding.contributions]}
    return build(
        identity=identity,
        rule=rule,
        level=level,
        reason=said["es"]["what_happened"],
        words=said,
        first=first,
        last=last,
        count=count,
        explanation={"condition": str(rule["id"]), "root": root},
        entity=entity,
        revision=(moment, count),
        extra=_anomaly(finding, str(rule["id"]).rpartition(".")[2]),
    )


def _anomaly(finding: Finding, detector: str) -> dict[str, Any]:
    fields = {
        "almena.anomaly.detector": detector,
        "almena.anomaly.observed": safe(finding.observed, 1_000),
        "almena.anomaly.expected": safe(finding.expected, 1_000),
        "almena.anomaly.history": finding.history,
        "almena.anomaly.p": finding.p,
        "almena.anomaly.peers": finding.peers,
        "almena.anomaly.contributions": {"top": [dict(item) for item in finding.contributions]},
    }
    return {name: value for name, value in fields.items() if value is not None}


def appended(hit: Hit) -> int:
    """When the hit's event was put on the bus, microseconds; its event time where it does not say."""
    return time_in(hit.fields, "event.ingested", hit.time)


def day_of(moment: int) -> int:
    """The event-time day (UTC) that `moment` lies in, as a number."""
    return moment // DAY


def said_time(moment: int) -> str:
    """A moment as people read it, to the second, in UTC."""
    return format_time(moment)[:19].replace("T", " ") + " UTC"


def length(micros: int) -> str:
    """A length of time as people read it, in its two largest units.

    >>> length(3 * 86_400_000_000 + 7_200_000_000)
    '3 d 2 h'
    """
    parts = []
    for unit, size in (("d", DAY), ("h", HOUR), ("min", MINUTE), ("s", SECOND)):
        count, micros = divmod(micros, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"
