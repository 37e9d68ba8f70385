"""Dead letters of the bus: a record that its reader cannot understand, sealed, with where it lay, why, and who tried.

What no parser understands becomes one at intake, in the same form. Beside the letter's JSON its headers say what a
person at a terminal of the bus wants to know: topic, partition and offset of the record, the class of the error, which
attempt it was, and the hash of the rules that ran.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from almena.bus import Record, Stored
from almena.clock import format_time

LARGEST = 1 << 20
"""Bytes that are kept of a record; a letter must always find room on the bus."""

HEADERS = ("topic", "partition", "offset", "error", "attempt", "rules")
"""The headers that say more than the letter itself."""

_STAGES = {"event": "detect", "hit": "correlate", "alert": "desk", "ledger": "desk", "dead": "desk"}
_LONGEST = 256

Seal = Callable[[bytes], str]
"""Encrypts what could not be masked; see `almena.sealing.Secret.seal`."""


def letter_of(record: Stored, kind: str, error: Exception, seal: Seal, *, rules: str = "") -> Record:
    """The dead letter of a record that is no `kind` (`event`, `hit`, `alert`, `ledger`, `dead`), as a record."""
    given = {name: record.headers.get(name, "")[:_LONGEST] for name in ("source", "agency", "lane", "seq")}
    reason = f"no {kind}: {type(error).__name__}: {error}"[:300]
    if len(record.value) > LARGEST:
        reason = f"{reason} (cut: it had {len(record.value)} bytes)"
    letter = {
        "id": f"{record.topic}-{record.partition}-{record.offset}",
        **given,
        "parser": kind,
        "reason": reason.encode("utf-8", "replace").decode(),
        "at": None,
        "received": format_time(record.time),
        "origin": f"{record.topic}/{record.partition}",
        "place": record.offset,
        "sealed": seal(record.value[:LARGEST]),
    }
    headers = {
        **given,
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "error": type(error).__name__,
        "attempt": str(attempt_of(record.headers.get("attempt", ""))),
    }
    if rules:
        headers["rules"] = rules
    return Record(f"{given['source']}/{given['lane']}", msgspec.json.encode(letter), headers)


def attempt_of(text: str) -> int:
    """Which attempt a header speaks of: 1 where it says nothing sensible."""
    return max(int(text), 1) if text.isascii() and text.isdigit() and len(text) < 7 else 1


def stage_of(parser: object) -> str:
    """The role that wrote a letter of that parser."""
    return _STAGES.get(str(parser), "collect")
