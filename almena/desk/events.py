"""Keeps events in the store, one document each, so that people can search them beside the alerts."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence

from almena import metrics
from almena.bus import Record, Stored
from almena.clock import DAY, format_time, to_datetime
from almena.detect import MARKER, SKEW
from almena.errors import ConfigError, ParseError, Refused
from almena.event import decode, event_time
from almena.store import EVENTS, Document, Store
from almena.store.settings import EventSettings

log = logging.getLogger("almena.desk")

GROUP = "archive"
"""The group that reads the topic `events` for the store."""

LONGEST_ID = 400
"""Characters of an event's id that stand in its document's id; a longer one stands there as its hash."""


class Events:
    """Stores events as they are on the bus; done again it stores nothing twice."""

    def __init__(self, store: Store, settings: EventSettings) -> None:
        """What was older than `settings.keep` at its append is left out: it would go at once.

        Raises ConfigError when events are to be kept in a store that cannot let go of whole days.
        """
        if not store.by_period:
            raise ConfigError(
                "events: keep: only a store in Elasticsearch keeps events; "
                'write keep = "0s", or store = "https://HOST:9200" with [elasticsearch]'
            )
        self._store = store
        self._keep = int(settings.keep)

    def step(self, records: Sequence[Stored]) -> Mapping[str, list[Record]]:
        """Store the events of `records`; raises StoreError when the store is down."""
        documents: dict[str, Document] = {}
        old = 0
        for record in records:
            if MARKER in record.headers:
                continue
            try:
                identity, document, moment = _document(record)
            except (ParseError, ValueError, KeyError, TypeError):
                continue  # detect makes it a dead letter
            if moment < record.time - self._keep:
                old += 1
            else:
                documents.setdefault(identity, document)
        if old:
            log.info("%d events were older than events are kept, and are not stored", old)
        if documents:
            self._create(documents)
        return {}

    def expire(self, moment: int) -> int:
        """Remove whole days that are older than events are kept; returns how many events went."""
        return self._store.expire(EVENTS, moment - self._keep)

    def _create(self, documents: Mapping[str, Document]) -> None:
        try:
            self._store.create_many(EVENTS, documents)
            return
        except Refused:
            pass
        for identity, document in documents.items():
            try:
                self._store.create_many(EVENTS, {identity: document})
            except Refused as error:
                metrics.STORE_FAILURES.inc()
                log.error("%s; it is left out, and rules have seen it all the same", error)


def _document(record: Stored) -> tuple[str, Document, int]:
    """Id, document and time of an event; a time in the future is the append's, as it is for rules."""
    event = decode(record.value)
    name = str(event["event.id"])
    moment = event_time(event)
    ingested = format_time(record.time)
    document: Document = {**event, "event.ingested": ingested}
    if moment > record.time + SKEW:
        before = event.get("almena.misfit")
        misfit = before if isinstance(before, dict) else {}
        document |= {"almena.misfit": {**misfit, "@timestamp": event["@timestamp"]}, "@timestamp": ingested}
        moment = record.time
    if len(name) > LONGEST_ID or "\x00" in name:
        name = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return f"{to_datetime(moment - moment % DAY):%Y%m%d}-{name}", document, moment
