"""The outbox: what is to be told waits in the store until it was told, so that no kill loses a page."""

from __future__ import annotations

import hashlib
import logging
import random
import threading
import time
from collections.abc import Iterator, Mapping

from almena import metrics
from almena.alert import SEVERITY
from almena.clock import SECOND, Span, format_time, now
from almena.desk.message import Composer
from almena.desk.notify import Common
from almena.desk.settings import DeskSettings
from almena.errors import AlmenaError, Conflict, StoreError
from almena.store import ALERTS, ALL, OUTBOX, Document, Filter, Query, Store, Versioned
from almena.words import safe

log = logging.getLogger("almena.desk")

LEASE = 30 * SECOND
"""How much longer than a delivery may take a claimed message belongs to its claimer."""

STATUS, DUE, CHANNEL = "almena.outbox.status", "almena.outbox.next_attempt", "almena.outbox.channel"
_WORST_FIRST = sorted(SEVERITY, key=lambda level: -SEVERITY[level])
_PAUSE = 1.0


def entry(alert: Document, channel: str, moment: int) -> tuple[str, Document]:
    """The id and document of a message to be told: one per group, level and channel, whoever creates it."""
    group, level = str(alert["almena.alert.group"]), str(alert["almena.alert.level"])
    identity = entry_id(group, level, channel)
    return identity, {
        "@timestamp": format_time(moment),
        "organization.id": alert.get("organization.id"),
        "rule.id": alert.get("rule.id"),
        "almena.alert.id": alert["almena.alert.id"],
        "almena.alert.group": group,
        "almena.alert.level": level,
        CHANNEL: channel,
        STATUS: "pending",
        DUE: format_time(moment),
        "almena.outbox.attempts": 0,
        "almena.outbox.key": hashlib.blake2b(identity.encode(), digest_size=16).hexdigest(),
    }


def entry_id(group: str, level: str, channel: str) -> str:
    """The id of the message that stands for a group at a level."""
    return f"{group}/{level}/{channel}"


class Outbox:
    """Delivers what is due, channel by channel; several may run at once, each message is claimed by one."""

    def __init__(
        self, store: Store, settings: DeskSettings, channels: Mapping[str, Common], composer: Composer
    ) -> None:
        """`channels` are by the name they have in the configuration."""
        self._store = store
        self._settings = settings
        self._channels = channels
        self._composer = composer

    def run(self, stop: threading.Event) -> None:
        """Deliver until `stop` is set; each channel has a thread of its own, so that a slow one delays no other."""
        threads = [
            threading.Thread(target=self._channel, args=(name, stop), name=f"notify-{name}", daemon=True)
            for name in self._channels
        ]
        for thread in threads:
            thread.start()
        while not stop.wait(_PAUSE):
            try:
                self.tidy()
            except StoreError as error:
                log.warning("outbox: %s; trying again", error)
                stop.wait(_PAUSE * 5)
        for thread in threads:
            thread.join(timeout=10.0)

    def _channel(self, name: str, stop: threading.Event) -> None:
        """Deliver one channel's messages, at most `per_minute` of them."""
        told: list[float] = []
        while not stop.wait(_PAUSE):
            told = [at for at in told if at > time.monotonic() - 60.0]
            room = self._channels[name].per_minute - len(told)
            try:
                count = self.deliver(name, now(), limit=room) if room > 0 else 0
            except StoreError as error:
                log.warning("outbox: %s: %s; trying again", name, error)
                stop.wait(_PAUSE * 5)
                continue
            told += [time.monotonic()] * count

    def deliver(self, channel: str, moment: int, *, limit: int = 50) -> int:
        """Try what is due on `channel` at `moment`, the worst first; returns how many were tried."""
        tried = 0
        for item in self._due(channel, moment, limit):
            claimed = self._claim(item, moment)
            if claimed is not None:
                self._try(claimed)
                tried += 1
        return tried

    def tidy(self) -> None:
        """Publish how much waits, and fail what waits for a channel that is no longer configured."""
        waiting = Query(kind=OUTBOX, scope=ALL, filters=(Filter(STATUS, "in", ("pending",)),))
        metrics.OUTBOX_DEPTH.set(self._store.count(waiting))
        orphans = Query(
            kind=OUTBOX,
            scope=ALL,
            filters=(*waiting.filters, Filter(CHANNEL, "in", tuple(self._channels), negate=True)),
            sort=DUE,
        )
        for item in self._store.search(orphans).items:
            self._finish(item, "failed", error="the channel is no longer configured")

    def _due(self, channel: str, moment: int, limit: int) -> Iterator[Versioned]:
        left = limit
        for level in _WORST_FIRST:
            if left <= 0:
                return
            query = Query(
                kind=OUTBOX,
                scope=ALL,
                filters=(
                    Filter(STATUS, "in", ("pending",)),
                    Filter(CHANNEL, "in", (channel,)),
                    Filter("almena.alert.level", "in", (level,)),
                    Filter(DUE, "lt", (format_time(moment + 1),)),
                ),
                sort=DUE,
                descending=False,
                limit=min(left, 1_000),
            )
            items = self._store.search(query).items
            left -= len(items)
            yield from items

    def _claim(self, found: Versioned, moment: int) -> Versioned | None:
        """The message as ours for as long as a delivery takes, or None when another has it."""
        current = self._store.get(OUTBOX, found.id, scope=ALL)
        if current is None or current.version != found.version:
            return None
        document = {
            **current.document,
            DUE: format_time(moment + self._channels[str(current.document[CHANNEL])].timeout + LEASE),
            "almena.outbox.attempts": int(current.document.get("almena.outbox.attempts", 0)) + 1,
        }
        try:
            return Versioned(current.id, self._store.replace(OUTBOX, current.id, document, current.version), document)
        except Conflict:
            return None

    def _try(self, item: Versioned) -> None:
        """Deliver one claimed message and write down how it went."""
        channel = str(item.document[CHANNEL])
        alert = self._store.get(ALERTS, str(item.document["almena.alert.id"]), scope=ALL)
        if alert is None:
            self._finish(item, "failed", error="the alert is no longer stored")
            return
        if alert.document.get("almena.alert.status") not in ("open", None):
            self._finish(item, "unneeded")
            return
        group = Filter("almena.alert.group", "in", (str(item.document["almena.alert.group"]),))
        count = self._store.count(Query(kind=ALERTS, scope=ALL, filters=(group,)))
        try:
            message = self._composer.compose(
                alert.document, key=str(item.document["almena.outbox.key"]), count=max(count, 1)
            )
            self._channels[channel].send(message)
        except Exception as error:
            if not isinstance(error, AlmenaError):
                log.exception("channel %s broke; its message stays in the outbox", channel)
            self._failed(item, safe(error, 300))
        else:
            self._finish(item, "delivered")

    def _failed(self, item: Versioned, reason: str) -> None:
        attempts = int(item.document["almena.outbox.attempts"])
        if attempts >= self._settings.attempts:
            self._finish(item, "failed", error=reason)
            return
        metrics.NOTIFICATIONS.labels(item.document[CHANNEL], "retry").inc()
        pause = backoff(attempts, self._settings.first_retry, self._settings.longest_retry)
        log.warning(
            "channel %s: attempt %d: %s; next in %d s", item.document[CHANNEL], attempts, reason, pause / SECOND
        )
        self._write(item, {DUE: format_time(now() + pause), "almena.outbox.error": reason})

    def _finish(self, item: Versioned, status: str, *, error: str = "") -> None:
        metrics.NOTIFICATIONS.labels(item.document.get(CHANNEL, ""), status).inc()
        if status == "failed":
            log.error("message %s was not delivered: %s", item.id, error)
        changes = {STATUS: status, "almena.outbox.done": format_time(now())}
        self._write(item, changes | ({"almena.outbox.error": error} if error else {}))

    def _write(self, item: Versioned, changes: Document) -> None:
        try:
            self._store.replace(OUTBOX, item.id, {**item.document, **changes}, item.version)
        except Conflict:
            log.warning("message %s was claimed by another desk meanwhile", item.id)


def backoff(attempts: int, first: Span, longest: Span) -> int:
    """Microseconds until the next attempt: twice the last pause, less up to half of it at random."""
    pause = min(int(longest), int(first) * 2 ** min(attempts - 1, 40))
    return int(pause * random.uniform(0.5, 1.0))  # noqa: S311 (spreads load, keeps no secret)
