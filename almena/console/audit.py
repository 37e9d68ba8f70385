"""The audit: who did what and when, each entry sealed with the hash of the one before it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from almena.clock import format_time
from almena.errors import Conflict, StoreError
from almena.store import ALL, AUDIT, Document, Store

_HEAD = "head"
_TRIES = 1_000


def record(store: Store, *, time: int, action: str, user: str, agency: str = "", facts: Mapping[str, Any]) -> int:
    """Append one entry and return its sequence; `facts` are flat fields beside the usual ones.

    The entry's id is its sequence, so two writers cannot take the same place; the head is only a hint where to look.
    """
    sequence, previous = head(store)
    for _ in range(_TRIES):
        sequence += 1
        entry: Document = {
            "@timestamp": format_time(time),
            "event.action": action,
            "user.name": user,
            **({"organization.id": agency} if agency else {}),
            **facts,
            "almena.audit.sequence": sequence,
            "almena.audit.previous": previous,
        }
        entry["almena.audit.hash"] = seal(entry)
        place = _place(sequence)
        if store.create_many(AUDIT, {place: entry})[place] == "created":
            _advance(store, sequence, entry["almena.audit.hash"], time)
            return sequence
        previous = _hash_at(store, sequence)
    raise StoreError("the audit is too busy; nothing was recorded")


def seal(entry: Document) -> str:
    """The hash of an entry with the one before it, without its own."""
    content = {name: value for name, value in entry.items() if name != "almena.audit.hash"}
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()


def head(store: Store) -> tuple[int, str]:
    """Sequence and hash of the last entry; (0, "") before the first."""
    hint = store.get(AUDIT, _HEAD, scope=ALL)
    sequence = int(hint.document["almena.audit.sequence"]) if hint else 0
    known = str(hint.document["almena.audit.hash"]) if hint else ""
    while (entry := store.get(AUDIT, _place(sequence + 1), scope=ALL)) is not None:
        sequence, known = sequence + 1, str(entry.document["almena.audit.hash"])
    return sequence, known


def verify(store: Store) -> int:
    """Walk the whole chain and return its length; raises StoreError at the first entry that was changed or removed."""
    sequence, previous = 0, ""
    hint = store.get(AUDIT, _HEAD, scope=ALL)
    last = int(hint.document["almena.audit.sequence"]) if hint else 0
    while True:
        found = store.get(AUDIT, _place(sequence + 1), scope=ALL)
        if found is None:
            if sequence < last:
                raise StoreError(f"audit: entry {sequence + 1} of {last} is missing")
            return sequence
        sequence += 1
        entry = found.document
        if entry.get("almena.audit.previous") != previous or entry.get("almena.audit.hash") != seal(entry):
            raise StoreError(f"audit: entry {sequence} was changed after it was written")
        previous = str(entry["almena.audit.hash"])


def _place(sequence: int) -> str:
    return f"{sequence:012d}"


def _hash_at(store: Store, sequence: int) -> str:
    entry = store.get(AUDIT, _place(sequence), scope=ALL)
    if entry is None:
        raise StoreError(f"audit: entry {sequence} disappeared")
    return str(entry.document["almena.audit.hash"])


def _advance(store: Store, sequence: int, known: str, time: int) -> None:
    """Move the hint forward; somebody else may have moved it further already."""
    document: Document = {
        "@timestamp": format_time(time),
        "almena.audit.sequence": sequence,
        "almena.audit.hash": known,
    }
    hint = store.get(AUDIT, _HEAD, scope=ALL)
    if hint is None:
        store.create_many(AUDIT, {_HEAD: document})
    elif int(hint.document["almena.audit.sequence"]) < sequence:
        try:
            store.replace(AUDIT, _HEAD, document, hint.version)
        except Conflict:
            return
