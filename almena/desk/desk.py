"""What the desk does with alerts and dead letters: each step may be repeated and gives the same documents."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from almena import metrics
from almena.alert import SEVERITY, Alert, quiet_state
from almena.bus import DEAD as DEAD_TOPIC
from almena.bus import Record, Stored
from almena.clock import format_time, parse_time
from almena.dead import HEADERS, Seal, letter_of, stage_of
from almena.desk import outbox
from almena.desk.grouping import agency_of, compare, group_of, incoming, level_of, merge, revision_of
from almena.desk.notify import Common
from almena.desk.settings import DeskSettings
from almena.desk.suppressions import Suppressions
from almena.ecs import check
from almena.errors import Conflict, Refused, StoreError
from almena.event import decode
from almena.store import ALERTS, ALL, DEAD, OUTBOX, SESSIONS, Document, Store, Versioned
from almena.words import safe

log = logging.getLogger("almena.desk")

_TRIES = 20
_COUNTERS = {"shadow": metrics.ALERTS_SHADOW, "history": metrics.ALERTS_HISTORY}
_BY_LEVEL = sorted(SEVERITY, key=lambda level: SEVERITY[level])


class Desk:
    """Stores alerts with their group, state and suppression, and puts into the outbox whom to tell."""

    def __init__(
        self,
        store: Store,
        settings: DeskSettings,
        suppressions: Suppressions,
        channels: Mapping[str, Common],
        seal: Seal | None = None,
    ) -> None:
        """`channels` are by the name they have in the configuration; none means that nobody is told.

        With `seal` the bytes of what is damaged are kept in dead letters.
        """
        self._store = store
        self._settings = settings
        self._suppressions = suppressions
        self._channels = channels
        self._seal = seal

    def alerts(self, batch: Sequence[Stored]) -> dict[str, list[Record]]:
        """Store the alerts of `batch`, then what is to be told about them; raises StoreError when the store is down.

        Returns the dead letters of what is no alert.
        """
        dead: list[Record] = []
        if not batch:
            return {}
        self._suppressions.refresh(batch[-1].time)
        best: dict[str, tuple[Alert, int]] = {}
        for record in batch:
            alert = self._prepare(record, dead)
            known = best.get(alert["almena.alert.id"])
            verdict = "newer" if known is None else compare(known[0], alert)
            if verdict == "newer":
                best[alert["almena.alert.id"]] = (alert, record.time)
            elif verdict == "different":
                _report_difference(alert)
        stored = self._keep({identity: alert for identity, (alert, _) in best.items()})
        self._page([(stored[identity], moment) for identity, (_, moment) in best.items()])
        return {DEAD_TOPIC: dead} if dead else {}

    def dead(self, batch: Sequence[Stored]) -> dict[str, list[Record]]:
        """Store dead letters; what was stored before, and perhaps replayed since, stays as it is."""
        letters = dict(_letter(record, self._seal) for record in batch)
        outcomes = self._create(DEAD, letters)
        for identity, outcome in outcomes.items():
            if outcome == "created":
                metrics.DEAD_LETTERS.labels(stage_of(letters[identity].get("almena.dead.parser"))).inc()
        return {}

    def expire(self, moment: int) -> int:
        """Remove what is older than the settings keep; returns how many documents went."""
        settings = self._settings
        kept = {
            ALERTS: settings.keep_alerts,
            DEAD: settings.keep_dead,
            SESSIONS: settings.keep_sessions,
            OUTBOX: settings.keep_outbox,
        }
        return sum(self._store.expire(kind, moment - span) for kind, span in kept.items())

    def _prepare(self, record: Stored, dead: list[Record]) -> Alert:
        """The alert in a record, with group, state and suppression as a new one has them; what is none is `dead`."""
        try:
            alert = check(incoming(decode(record.value)))
            identity = alert["almena.alert.id"]
            parse_time(alert["@timestamp"])
            if not isinstance(identity, str) or not identity:
                raise ValueError("no id")
        except Exception as error:
            metrics.STORE_FAILURES.inc()
            log.error("alert %s/%d is damaged: %s", record.topic, record.offset, error)
            alert = _damaged(record, f"{type(error).__name__}: {error}")
            if self._seal is not None:
                dead.append(letter_of(record, "alert", error, self._seal))
        alert.setdefault("event.ingested", format_time(record.time))
        alert["almena.alert.level"] = level_of(alert)
        alert["almena.alert.group"] = group_of(alert, self._settings.window)
        apart = quiet_state(alert)
        alert["almena.alert.status"] = apart or "open"
        if apart:
            return alert
        suppression = self._suppressions.find(alert, record.time)
        if suppression is not None:
            alert["almena.alert.status"] = "suppressed"
            alert["almena.alert.suppression.name"] = suppression.name
            alert["almena.alert.suppression.owner"] = suppression.owner
            alert["almena.alert.suppression.reason"] = suppression.reason
        return alert

    def _keep(self, alerts: Mapping[str, Alert]) -> dict[str, Document]:
        """Create or revise; returns the alerts as they are stored."""
        stored: dict[str, Document] = dict(alerts)
        for identity, outcome in self._create(ALERTS, stored).items():
            if outcome == "created":
                _count(stored[identity])
            else:
                stored[identity] = self._revise(identity, stored[identity])
        return stored

    def _create(self, kind: str, documents: dict[str, Document]) -> dict[str, str]:
        """Create all at once, or one by one when one is refused: it is then replaced by less of itself."""
        try:
            return dict(self._store.create_many(kind, documents))
        except Refused:
            pass
        outcomes: dict[str, str] = {}
        for identity in list(documents):
            try:
                outcomes |= self._store.create_many(kind, {identity: documents[identity]})
            except Refused as error:
                metrics.STORE_FAILURES.inc()
                log.error("%s; a shorter document is stored in its place", error)
                less = _minimal(documents.pop(identity), str(error))
                name = _plain_id(identity)
                documents[name] = less | ({"almena.alert.id": name} if kind == ALERTS else {})
                outcomes |= self._store.create_many(kind, {name: documents[name]})
                if name != identity:
                    documents[identity] = documents[name]
        return outcomes

    def _revise(self, identity: str, alert: Alert) -> Document:
        """Let the newer revision win, and keep what people decided."""
        for _ in range(_TRIES):
            found = self._store.get(ALERTS, identity, scope=ALL)
            if found is None:
                self._create(ALERTS, {identity: alert})
                continue
            verdict = compare(found.document, alert)
            if verdict == "different":
                _report_difference(alert)
            if verdict != "newer":
                return found.document
            document = self._replaced(found, merge(found.document, alert))
            if document is not None:
                return document
        raise StoreError(f"alerts/{identity}: others change it all the time; tried {_TRIES} times")

    def _replaced(self, found: Versioned, document: Document) -> Document | None:
        """The document as written over `found`, or None when somebody was faster."""
        try:
            self._store.replace(ALERTS, found.id, document, found.version)
        except Conflict:
            return None
        except Refused as error:
            metrics.STORE_FAILURES.inc()
            log.error("%s; the revision before it stays", error)
            return found.document
        return document

    def _page(self, alerts: Sequence[tuple[Document, int]]) -> None:
        """Put into the outbox the first alert of each group that reaches a channel; later ones only count."""
        messages: dict[str, Document] = {}
        for alert, moment in alerts:
            level, agency = level_of(alert), agency_of(alert)
            if (
                alert.get("almena.alert.status") != "open"
                or level == "informational"
                or not self._is_recent(alert, moment)
            ):
                continue
            for name, channel in self._channels.items():
                if channel.takes(level, agency) and not self._told_worse(alert, name, messages):
                    identity, document = outbox.entry(alert, name, moment)
                    messages.setdefault(identity, document)
        if messages:
            self._store.create_many(OUTBOX, messages)

    def _told_worse(self, alert: Document, channel: str, messages: Mapping[str, Document]) -> bool:
        """Whether the channel was already told of this group at a higher level."""
        worse = _BY_LEVEL[_BY_LEVEL.index(level_of(alert)) + 1 :]
        names = [outbox.entry_id(str(alert["almena.alert.group"]), level, channel) for level in worse]
        return any(name in messages or self._store.get(OUTBOX, name, scope=ALL) is not None for name in names)

    def _is_recent(self, alert: Document, moment: int) -> bool:
        try:
            seen = parse_time(str(alert.get("almena.alert.last_seen") or alert["@timestamp"]))
        except ValueError:
            return True
        return moment - seen <= self._settings.page_within


def _count(alert: Document) -> None:
    counter = _COUNTERS.get(quiet_state(alert), metrics.ALERTS)
    counter.labels(level_of(alert), agency_of(alert)).inc()
    if alert.get("almena.alert.status") == "suppressed":
        metrics.ALERTS_SUPPRESSED.labels(alert.get("almena.alert.suppression.name", "")).inc()


def _report_difference(alert: Alert) -> None:
    metrics.STORE_FAILURES.inc()
    log.error(
        "alert %s came again with other content under the same revision; the first stays",
        safe(alert["almena.alert.id"]),
    )


def _plain_id(identity: str) -> str:
    """An id that every store takes."""
    plain = identity.encode("ascii", "replace").decode().replace("\x00", "?")[:200]
    return plain or "nameless"


def _text(value: Any, longest: int = 500) -> str:
    """Any value as text that can be stored."""
    return safe(value if isinstance(value, str) else "", longest).encode("utf-8", "replace").decode()


def _minimal(document: Document, reason: str) -> Document:
    """What is kept of a document that the store refused: who, what, when, and that it is not all."""
    names = ("@timestamp", "organization.id", "rule.id", "rule.name", "message", "event.reason")
    kept: Document = {name: _text(document[name]) for name in names if document.get(name)}
    for name, value in document.items():
        if name.startswith(("almena.alert.", "almena.dead.")) and isinstance(value, (str, int)):
            kept[name] = _text(value) if isinstance(value, str) else value
    if "almena.alert.id" not in document:
        return kept | {"almena.dead.sealed": "", "almena.dead.reason": _text(f"refused by the store: {reason}")}
    level = level_of(document)
    kept |= {"event.kind": "alert", "event.module": "almena", "event.severity": SEVERITY[level]}
    kept |= {"event.risk_score": float(SEVERITY[level]), "almena.alert.level": level}
    kept["almena.alert.refused"] = _text(reason)
    kept["almena.alert.revision"] = list(revision_of(document))
    kept["almena.alert.words"] = _incomplete(str(kept.get("message") or kept.get("rule.id") or ""), _text(reason))
    clean = check(kept)
    clean.pop("almena.misfit", None)
    return clean


def _damaged(record: Stored, reason: str) -> Alert:
    """An alert in place of a record that holds none."""
    level, moment = "high", format_time(record.time)
    return {
        "@timestamp": moment,
        "event.kind": "alert",
        "event.module": "almena",
        "event.severity": SEVERITY[level],
        "event.risk_score": float(SEVERITY[level]),
        "message": "Damaged alert",
        "rule.id": "almena.damaged",
        "rule.name": "Damaged alert",
        "almena.alert.id": f"{moment[:4]}{moment[5:7]}-damaged-{record.topic}-{record.partition}-{record.offset}",
        "almena.alert.count": 1,
        "almena.alert.entity": "",
        "almena.alert.first_seen": moment,
        "almena.alert.last_seen": moment,
        "almena.alert.revision": [0, 1],
        "almena.alert.refused": _text(reason),
        "almena.alert.words": _incomplete("Damaged alert", _text(reason)),
    }


def _incomplete(title: str, reason: str) -> dict[str, dict[str, str]]:
    return {
        "es": {
            "title": title,
            "what_happened": f"Se detectó esta alerta, pero solo se pudo guardar una parte: {reason}",
            "what_to_do": "Revise la regla y los registros originales de la fuente en ese momento.",
        },
        "en": {
            "title": title,
            "what_happened": f"This alert was found, but only a part of it could be stored: {reason}",
            "what_to_do": "Check the rule, and the source's own logs of that moment.",
        },
    }


def _letter(record: Stored, seal: Seal | None) -> tuple[str, Document]:
    """The id and document of a dead letter."""
    try:
        letter, headers = decode(record.value), record.headers
        identity = _plain_id(str(letter["id"]))
    except Exception as error:
        metrics.STORE_FAILURES.inc()
        log.error("dead letter %s/%d is damaged: %s", record.topic, record.offset, error)
        dead = letter_of(record, "dead", error, seal or (lambda data: ""))
        letter, headers = decode(dead.value), dead.headers
        identity = str(letter["id"])
    document: Document = {
        "@timestamp": letter.get("received"),
        "organization.id": letter.get("agency"),
        "almena.source.name": letter.get("source"),
        "almena.dead.status": "open",
        **{f"almena.dead.{name}": headers.get(name) for name in HEADERS},
        **{f"almena.dead.{name}": letter.get(name) for name in ("parser", "at", "lane", "seq", "origin", "place")},
    }
    single = {name: value for name, value in document.items() if isinstance(value, (str, int))}
    document = {"@timestamp": format_time(record.time)} | check(single)
    document.pop("almena.misfit", None)
    for name, longest in (("reason", 1_000), ("sealed", None)):
        if isinstance(text := letter.get(name), str):
            document[f"almena.dead.{name}"] = text[:longest]
    return identity, document
