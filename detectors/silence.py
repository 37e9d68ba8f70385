"""A source that has stopped speaking, or never began: what it would have told is not being seen.

Silence is measured in append times (`event.ingested`), not in event times: a feed that delivers yesterday's events
speaks today, and no late event changes what was silent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from almena.alert import Alert, alert_id
from almena.clock import HOUR, format_time
from almena.event import Event
from almena.hit import Hit
from almena.state import State
from detectors._anomaly import Finding, Words, check_level, length, model_alert, said_time, time_in

RULE: dict[str, Any] = {"id": "almena.silence", "name": "Silent source", "version": "1", "tags": []}

WORDS: Words = {
    "es": {
        "title": "Fuente en silencio",
        "what_happened": "La fuente {almena.source.name} calla desde {since}; se espera que hable cada {expect}.",
        "why_it_matters": "Lo que ocurra ahí no se está viendo. Apagar los registros suele ser el primer paso de "
        "quien no quiere ser visto; también se calla lo que se descompone.",
        "what_to_do": "Revise que el equipo esté encendido, que su servicio de registros corra y que haya red hasta "
        "el recolector. Si alguien lo apagó sin aviso, trátelo como incidente.",
        "false_positives": "Mantenimiento anunciado, horario sin actividad, un plazo demasiado corto para la fuente.",
    },
    "en": {
        "title": "Silent source",
        "what_happened": "The source {almena.source.name} has been silent since {since}; expected every {expect}.",
        "why_it_matters": "What happens there is not being seen. Turning the logs off is often the first step of one "
        "who does not want to be seen; things that break fall silent too.",
        "what_to_do": "Check that the machine is on, that its logging service runs and that the network reaches the "
        "collector. If somebody turned it off without notice, treat it as an incident.",
        "false_positives": "Announced maintenance, hours without activity, a term too short for the source.",
    },
}

NEVER = {
    "es": "La fuente {almena.source.name} no ha hablado nunca; se le espera cada {expect} desde {since}.",
    "en": "The source {almena.source.name} has never spoken; expected every {expect} since {since}.",
}
"""What happened, where the source was configured and never heard."""

RESUMED = {
    "es": "La fuente {almena.source.name} volvió a hablar a las {until}, tras {silent} de silencio desde {since}; "
    "se espera que hable cada {expect}.",
    "en": "The source {almena.source.name} spoke again at {until}, after {silent} of silence since {since}; "
    "expected every {expect}.",
}
"""What happened, once the source has spoken again."""

SOURCES = 10_000
"""Sources remembered per partition."""

ANNOUNCE = HOUR
"""How often the expected sources are announced, so that one that never speaks is missed."""


@dataclass(kw_only=True)
class Silence:
    """A source that has stopped speaking, or never began, beyond what its `expect` allows.

    The detect role sends hits for the first and last append of each source in a batch, and for as many in between
    that every longer pause shows, so that batches do not matter. It also announces every expected source when it starts
    and hourly afterwards: an announcement starts the clock of a source nothing is known of, and no other. The
    alert's last revision says when the source spoke again.
    """

    expected: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    """By source its agency and how often it speaks at least, microseconds; filled from the collectors' `expect`."""
    level: str = "high"
    """The alerts' level: informational, low, medium, high or critical."""

    def __post_init__(self) -> None:
        """Raises ValueError for settings that cannot work."""
        check_level(self.level)
        self._announced: dict[str, int] = {}

    @property
    def depth(self) -> int:
        """Its hits are of events alone."""
        return 0

    @property
    def name(self) -> str:
        """What `Hit.detector` says to reach it."""
        return "silence"

    @property
    def version(self) -> str:
        """How the state is laid out; a changed `expect` counts from the next time the source speaks or wakes."""
        return "1"

    def select(self, events: Sequence[Event]) -> Iterator[Hit]:
        """Hits whose time is an append time, keyed by source."""
        spoken: dict[str, set[int]] = {}
        earliest = None
        for event in events:
            time = time_in(event, "event.ingested", -1)
            if time < 0:
                continue
            earliest = time if earliest is None else min(earliest, time)
            source = event.get("almena.source.name")
            if isinstance(source, str) and source in self.expected:
                spoken.setdefault(source, set()).add(time)
        if earliest is None:
            return
        for source in self.expected:
            if source not in self._announced or earliest - self._announced[source] >= ANNOUNCE:
                yield self._announcement(source, earliest)
        for source, times in spoken.items():
            for time in _edges(sorted(times), self.expected[source][1]):
                yield Hit(time, f"{source}/{time}", self.name, source, {"seen": True})

    def announce(self, time: int) -> Iterator[Hit]:
        """What a detect role sends when it starts, at append time `time`: a source that never speaks is missed too."""
        for source in self.expected:
            yield self._announcement(source, time)

    def _announcement(self, source: str, time: int) -> Hit:
        self._announced[source] = time
        return Hit(time, f"{source}/~{time}", self.name, source, {"seen": False})

    def observe(self, hits: Sequence[Hit], state: State) -> Iterator[Alert]:
        """The source speaks: whatever alert was open ends."""
        known = state.table("sources", limit=SOURCES)
        for hit in hits:
            source, seen = hit.group, bool(hit.fields.get("seen"))
            record = known.get(source)
            if source not in self.expected or (record is not None and not seen):
                continue
            if record is not None and record["alert"]:
                yield self._alert(source, record, hit.time)
            known.put(source, {"last": hit.time, "seen": seen, "alert": None})
            state.wake(source, hit.time + self.expected[source][1] + 1)

    def advance(self, now: int, due: Sequence[str], state: State) -> Iterator[Alert]:
        """Append time has passed what was expected of the source."""
        known = state.table("sources", limit=SOURCES)
        for source in due:
            record = known.get(source)
            if source not in self.expected or record is None:
                known.delete(source)
                continue
            agency, expect = self.expected[source]
            if record["last"] + expect + 1 > now:
                state.wake(source, record["last"] + expect + 1)
                continue
            identity = alert_id(now, RULE["id"], agency, source, str(record["last"]), appended=now)
            record["alert"] = {"id": identity, "at": now, "agency": agency, "expect": expect}
            known.put(source, record)
            yield self._alert(source, record, None)

    def _alert(self, source: str, record: Mapping[str, Any], until: int | None) -> Alert:
        """The alert of a silence that lasts (`until` is None) or is over."""
        opened, since = record["alert"], record["last"]
        moment = opened["at"] if until is None else until
        silent, expect = length(moment - since), length(opened["expect"])
        first = {
            "@timestamp": format_time(opened["at"]),
            "event.action": "source-silent" if until is None else "source-resumed",
            "organization.id": opened["agency"],
            "almena.source.name": source,
        }
        happened = RESUMED if until is not None else None if record["seen"] else NEVER
        words = {
            language: {**texts, **({"what_happened": happened[language]} if happened else {})}
            for language, texts in WORDS.items()
        }
        finding = Finding(
            observed=silent,
            expected=f"≤ {expect}",
            contributions=[{"feature": "silence", "observed": silent, "expected": f"≤ {expect}"}],
        )
        alert = model_alert(
            finding,
            identity=opened["id"],
            rule=RULE,
            level=self.level,
            words=words,
            values={"since": said_time(since), "until": said_time(moment), "silent": silent, "expect": expect},
            first=first,
            last={**first, "@timestamp": format_time(moment)},
            count=1,
            entity=f"almena.source.name={source}",
            moment=moment,
        )
        alert["event.start"] = format_time(since)
        return alert


def _edges(times: Sequence[int], expect: int) -> Iterator[int]:
    """The first and the last of sorted times, and as many between that only true pauses are longer than `expect`."""
    told = before = times[0]
    yield told
    for time in times[1:]:
        if time - told > expect and before != told:
            yield (told := before)
        if time - told > expect:
            yield (told := time)
        before = time
    if before != told:
        yield before
