"""Keeps the ledger in the store: totals per source, exact sums of what was dropped, and which rules run."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from almena import metrics
from almena.bus import ALERTS, DEAD, Record, Stored
from almena.clock import format_time, parse_time
from almena.dead import Seal, letter_of
from almena.desk.floods import flood_alert
from almena.errors import AlmenaError, Conflict, Refused, StoreError
from almena.event import decode
from almena.state import Partition
from almena.store import ALL, LEDGER, Document, Store

log = logging.getLogger("almena.desk")

MOST_DROPS = 100_000
"""Sources and reasons whose drops are summed, per partition."""

LANES = 10_000
"""Processes whose numbered drops are remembered, per partition, so that a repeat counts once."""

_OWNER = "ledger"
_LONGEST = 256
_LARGEST = 2**62
_TRIES = 20


class Ledger:
    """One partition of the ledger topic: sums live in its state, so that each record counts exactly once."""

    def __init__(self, partition: int, state: Partition, store: Store, seal: Seal | None = None) -> None:
        """`state` is committed together with the position the records were read to; without `seal` what is damaged
        is only counted."""
        self.state = state
        self._partition = partition
        self._store = store
        self._seal = seal
        self._drops = state.state(_OWNER).table("drops", limit=MOST_DROPS)
        self._lanes = state.state(_OWNER).table("lanes", limit=LANES)

    def step(self, records: Sequence[Stored]) -> dict[str, list[Record]]:
        """Add up and write the totals; raises StoreError, and adds nothing, when the store is down.

        Returns the dead letters of what is damaged, and the alerts of floods.
        """
        sums: dict[str, dict[str, Any]] = {}
        documents: dict[str, Document] = {}
        lanes: dict[str, int] = {}
        dead: list[Record] = []
        alerts: list[Record] = []
        for record in records:
            try:
                entry = decode(record.value)
                if entry["kind"] == "flood":
                    alert = flood_alert(entry, record.time)
                    alerts.append(Record(str(alert["almena.alert.id"]), msgspec.json.encode(alert)))
                else:
                    self._take(record, entry, sums, documents, lanes)
            except (AlmenaError, LookupError, TypeError, ValueError, ArithmeticError) as error:
                metrics.STORE_FAILURES.inc()
                log.error("ledger/%d: record %d is damaged: %r", record.partition, record.offset, error)
                if self._seal is not None:
                    dead.append(letter_of(record, "ledger", error, self._seal))
        for key, total in sums.items():
            documents[f"drop/{key}/{self._partition}"] = _drop(total)
        for identity, document in documents.items():
            self._write(identity, document)
        for key, total in sums.items():
            self._drops.put(key, total)
        for lane, number in lanes.items():
            self._lanes.put(lane, number)
        return {topic: found for topic, found in ((DEAD, dead), (ALERTS, alerts)) if found}

    def _take(
        self,
        record: Stored,
        entry: Mapping[str, Any],
        sums: dict[str, dict[str, Any]],
        documents: dict[str, Document],
        lanes: dict[str, int],
    ) -> None:
        match entry["kind"]:
            case "source":
                source = _text(entry["source"])
                documents[f"source/{source}/{_number(entry['partition'])}"] = _source(entry, record.time)
            case "drop":
                count = _number(max(int(entry["count"]), 0))
                if self._is_repeat(entry, lanes):
                    return
                source, reason = _text(entry["source"]), _text(entry["reason"])
                key = f"{source}/{reason}"
                total = sums.get(key) or dict(self._drops.get(key) or {"count": 0})
                total |= {"source": source, "reason": reason, "agency": _text(entry.get("agency"))}
                total["count"] = min(total["count"] + count, _LARGEST)
                sums[key] = total | {"time": format_time(record.time)}
            case "rules":
                documents["rules"] = {
                    "@timestamp": format_time(record.time),
                    "almena.rules.loaded": _number(entry["loaded"]),
                    "almena.rules.rejected": _entries(entry["rejected"], "rule", "reason"),
                    "almena.rules.shadow": _entries(entry.get("shadow"), "rule", "title", "why", "detail", "since"),
                    "almena.rules.hash": _text(entry["hash"]),
                }
            case "member":
                since = _text(entry["since"])
                parse_time(since)
                documents[f"rules/{_text(entry['member'])}"] = {
                    "@timestamp": format_time(record.time),
                    "almena.rules.member": _text(entry["member"]),
                    "almena.rules.stage": _text(entry["stage"]),
                    "almena.rules.host": _text(entry.get("host") or ""),
                    "almena.rules.loaded": _number(entry["loaded"]),
                    "almena.rules.hash": _text(entry["hash"]),
                    "almena.rules.since": since,
                    "almena.rules.refused": _entries(entry["refused"]),
                }
            case kind:
                raise ValueError(f"unknown kind {kind!r}")

    def _is_repeat(self, entry: Mapping[str, Any], lanes: dict[str, int]) -> bool:
        """Whether the drop was counted before: who counts numbers its entries, since an append may come twice."""
        if entry.get("lane") is None:
            return False
        lane, number = _text(entry["lane"]), _number(entry["seq"])
        known = lanes.get(lane, self._lanes.get(lane, -1))
        lanes[lane] = max(known, number)
        return bool(number <= known)

    def _write(self, identity: str, document: Document) -> None:
        """Make the document what is stored, unless what is stored is newer."""
        try:
            for _ in range(_TRIES):
                if self._store.create_many(LEDGER, {identity: document})[identity] != "different":
                    return
                found = self._store.get(LEDGER, identity, scope=ALL)
                if found is None:
                    continue
                if str(found.document["@timestamp"]) > str(document["@timestamp"]):
                    return  # another process owns the partition since, and its commit will say so
                try:
                    self._store.replace(LEDGER, identity, document, found.version)
                except Conflict:
                    continue
                return
        except Refused as error:
            metrics.STORE_FAILURES.inc()
            log.error("%s; it is missing from the ledger", error)
            return
        raise StoreError(f"ledger/{identity}: others change it all the time; tried {_TRIES} times")


def _source(entry: Mapping[str, Any], moment: int) -> Document:
    counts = ("events", "repeats", "late", "future")
    return {
        "@timestamp": format_time(moment),
        "organization.id": _text(entry.get("agency")),
        "almena.source.name": _text(entry["source"]),
        "almena.source.partition": _number(entry["partition"]),
        "almena.source.first": format_time(_number(entry.get("first") or 0)),
        "almena.source.last_event": format_time(_number(entry.get("last_event") or 0)),
        "almena.source.last_ingested": format_time(_number(entry.get("last_ingested") or 0)),
        "almena.source.delay": _number(entry.get("delay") or 0, -_LARGEST),
        **{f"almena.source.{name}": _number(entry.get(name) or 0) for name in counts},
    }


def _drop(total: Mapping[str, Any]) -> Document:
    return {
        "@timestamp": total["time"],
        "organization.id": total["agency"],
        "almena.source.name": total["source"],
        "almena.drop.reason": total["reason"],
        "almena.drop.count": total["count"],
    }


def _text(value: Any) -> str:
    """A name as every store takes it."""
    return "" if value is None else str(value)[:_LONGEST].replace("\x00", "?")


def _number(value: Any, least: int = 0) -> int:
    """A count or a time; raises ValueError and TypeError for what is none."""
    number = int(value)
    if not least <= number <= _LARGEST:
        raise ValueError("a number is out of range")
    return number


def _entries(value: Any, *names: str) -> list[dict[str, Any]]:
    """A list of objects that all have these texts; raises ValueError."""
    entries = list(value or ())
    if not all(isinstance(item, dict) and all(isinstance(item.get(name), str) for name in names) for item in entries):
        raise ValueError(f"a list holds something else than objects with {', '.join(names) or 'names'}")
    return entries
