"""How the tables of Windows events are written: ids, action, category, type, which data go to which field, outcome.

    4728 4732 | added-member-to-group | iam | group change | subject group | success

The last column is empty where the audit keywords or a status tell the outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from collectors.parsers.common import address, number

Copies = tuple[tuple[str, str], ...]
"""ECS field and event datum, in pairs; of several data for one field the last that is given counts."""

NOTHING = frozenset(("", "-", "%%1793", "S-1-0-0", "NULL SID", "(null)", "LOCAL", "NULL", "N/A"))
"""What Windows writes for no value."""


class Meaning(NamedTuple):
    """What one event id says."""

    action: str
    category: tuple[str, ...]
    type: tuple[str, ...]
    copies: tuple[tuple[str, str, Callable[[str], Any] | None], ...] = ()
    """ECS field, event datum, and what makes the one of the other; None for the text as it is."""
    outcome: str | None = None
    """Fixed outcome; None leaves it to the audit keywords or the status."""


def _positive(value: str) -> int | None:
    found = number(value)
    return found if found is not None and found > 0 else None


def _port(value: str) -> int | None:
    found = number(value)
    return found if found is not None and 0 <= found < 65_536 else None


def _guid(value: str) -> str:
    return value.strip("{}")


def _host(value: str) -> str | None:
    r"""A host's name, without the `\\` in front of it; None for an address, which is no name."""
    found = value.lstrip("\\")
    return None if not found or address(found) is not None else found


def _ip(value: str) -> str | None:
    return address(value.lstrip("\\"))


def _hash(value: str) -> str:
    return value.removeprefix("0x").lower()


_KINDS: dict[str, Callable[[str], Any]] = {
    "ip": _ip,
    "sha256": _hash,
    "port": _port,
    "pid": _positive,
    "id": _positive,
    "bytes": _positive,
    "entity_id": _guid,
}


def _kind(field: str) -> Callable[[str], Any] | None:
    last = field.rpartition(".")[2]
    if field in ("source.domain", "destination.domain"):
        return _host
    return None if last == "id" and field != "process.thread.id" else _KINDS.get(last)


def table(text: str, sets: Mapping[str, Copies]) -> dict[str, Meaning]:
    """The meanings in a table, by event id; `sets` are the names of its fifth column."""
    found: dict[str, Meaning] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        codes, action, category, kind, names, outcome = (part.strip() for part in line.split("|"))
        copies = tuple((field, datum, _kind(field)) for name in names.split() for field, datum in sets[name])
        meaning = Meaning(action, tuple(category.split()), tuple(kind.split()), copies, outcome or None)
        for code in codes.split():
            found[code] = meaning
    return found
