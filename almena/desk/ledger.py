"""Keeps the ledger in the store: totals per source, exact sums of what was dropped, and which rules run."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from almena import metrics
from almena.bus import Record, Stored
from almena.clock import format_time
from almena.errors import AlmenaError, Conflict, Refused, StoreError
from almena.event import decode
from almena.state import Partition
from almena.store import ALL, LEDGER, Document, Store

log = logging.getLogger("almena.desk")

MOST_DROPS = 100_000
"""Sources and reasons whose drops are summed, per partition."""

_OWNER = "ledger"
_TRIES = 20


class Ledger:
    """One partition of the ledger topic: sums live in its state, so that each record counts exactly once."""

    def __init__(self, partition: int, state: Partition, store: Store) -> None:
        """`state` is committed together with the position the records were read to."""
        self.state = state
        self._partition = partition
        self._store = store
        self._drops = state.state(_OWNER).table("drops", limit=MOST_DROPS)

    def step(self, records: Sequence[Stored]) -> dict[str, list[Record]]:
        """Add up and write the totals; raises StoreError, and adds nothing, when the store is down."""
        sums: dict[str, dict[str, Any]] = {}
        documents: dict[str, Document] = {}
        for record in records:
            try:
                self._take(record, decode(record.value), sums, documents)
            except (AlmenaError, KeyError, TypeError, ValueError) as error:
                metrics.STORE_FAILURES.inc()
                log.error("ledger/%d: record %d is damaged: %r", record.partition, record.offset, error)
        for key, total in sums.items():
            documents[f"drop/{key}/{self._partition}"] = _drop(total)
        for identity, document in documents.items():
            self._write(identity, document)
        for key, total in sums.items():
            self._drops.put(key, total)
        return {}

    def _take(
        self,
        record: Stored,
        entry: Mapping[str, Any],
        sums: dict[str, dict[str, Any]],
        documents: dict[str, Document],
    ) -> None:
        match entry["kind"]:
            case "source":
                documents[f"source/{entry['source']}/{int(entry['partition'])}"] = _source(entry, record.time)
            case "drop":
                source, reason, count = str(entry["source"]), str(entry["reason"]), int(entry["count"])
                key = f"{source}/{reason}"
                total = sums.get(key) or dict(self._drops.get(key) or {"count": 0})
                total |= {"source": source, "reason": reason, "agency": str(entry.get("agency") or "")}
                sums[key] = total | {"count": total["count"] + max(count, 0), "time": format_time(record.time)}
            case "rules":
                documents["rules"] = {
                    "@timestamp": format_time(record.time),
                    "almena.rules.loaded": int(entry["loaded"]),
                    "almena.rules.rejected": list(entry["rejected"]),
                    "almena.rules.shadow": list(entry.get("shadow") or ()),
                    "almena.rules.hash": str(entry["hash"]),
                }
            case "member":
                documents[f"rules/{entry['member']}"] = {
                    "@timestamp": format_time(record.time),
                    "almena.rules.member": str(entry["member"]),
                    "almena.rules.stage": str(entry["stage"]),
                    "almena.rules.loaded": int(entry["loaded"]),
                    "almena.rules.hash": str(entry["hash"]),
                    "almena.rules.since": str(entry["since"]),
                    "almena.rules.refused": list(entry["refused"]),
                }
            case kind:
                raise ValueError(f"unknown kind {kind!r}")

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
    totals = {f"almena.source.{name}": int(entry.get(name) or 0) for name in ("events", "repeats", "late", "future")}
    return {
        "@timestamp": format_time(moment),
        "organization.id": str(entry.get("agency") or ""),
        "almena.source.name": str(entry["source"]),
        "almena.source.partition": int(entry["partition"]),
        "almena.source.first": format_time(int(entry.get("first") or 0)),
        "almena.source.last_event": format_time(int(entry.get("last_event") or 0)),
        "almena.source.last_ingested": format_time(int(entry.get("last_ingested") or 0)),
        **totals,
    }


def _drop(total: Mapping[str, Any]) -> Document:
    return {
        "@timestamp": total["time"],
        "organization.id": total["agency"],
        "almena.source.name": total["source"],
        "almena.drop.reason": total["reason"],
        "almena.drop.count": total["count"],
    }
