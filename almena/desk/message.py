"""Puts an alert into the words that wake somebody up: how bad, what, where, since when, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from babel.dates import format_datetime

from almena.clock import parse_time, to_datetime
from almena.desk.grouping import agency_of, level_of
from almena.desk.notify import Message
from almena.explanation import summary
from almena.store import Document
from almena.words import MISSING, safe

LONGEST_LINE = 600
"""Characters of one line of a message."""

_LEVELS = {
    "es": {"informational": "Informativa", "low": "Baja", "medium": "Media", "high": "Alta", "critical": "Crítica"},
    "en": {"informational": "Informational", "low": "Low", "medium": "Medium", "high": "High", "critical": "Critical"},
}
_LABELS = {
    "es": {
        "what": "Qué pasó",
        "where": "Dónde",
        "who": "De quién se trata",
        "since": "Desde cuándo",
        "bad": "Gravedad",
        "proof": "Qué se cumplió",
        "why": "Por qué importa",
        "do": "Qué hacer",
        "count": "Alertas del grupo",
        "link": "Ver",
        "until": "última señal",
        "ask": "Abra la alerta en la consola y avise a la persona responsable de la dependencia.",
    },
    "en": {
        "what": "What happened",
        "where": "Where",
        "who": "Who it is about",
        "since": "Since",
        "bad": "Severity",
        "proof": "What held",
        "why": "Why it matters",
        "do": "What to do",
        "count": "Alerts in the group",
        "link": "See",
        "until": "last sign",
        "ask": "Open the alert in the console and tell whoever answers for the agency.",
    },
}


@dataclass(frozen=True, kw_only=True)
class Composer:
    """Makes messages in one language, zone and console."""

    language: str = "es"
    zone: str = "America/Mexico_City"
    console_url: str = ""
    agencies: Mapping[str, str] = field(default_factory=dict)
    """Names of agencies by id."""

    def compose(self, alert: Document, *, key: str, count: int) -> Message:
        """The message for an alert that stands for a group of `count`; every value in it is safe to show."""
        words, labels = self._words(alert), _LABELS[self.language]
        level, identity = level_of(alert), str(alert.get("almena.alert.id", ""))
        title = words.get("title") or alert.get("message") or identity
        since, until = self._time(alert.get("almena.alert.first_seen")), self._time(alert.get("almena.alert.last_seen"))
        url = f"{self.console_url.rstrip('/')}/alertas/{quote(identity, safe='')}" if self.console_url else ""
        name = _LEVELS[self.language][level]
        lines = [
            (labels["what"], words.get("what_happened") or alert.get("event.reason") or title),
            (labels["where"], self._where(alert)),
            (labels["who"], alert.get("almena.alert.entity")),
            (labels["since"], since if since == until else f"{since} ({labels['until']}: {until})"),
            (labels["bad"], f"{name} ({alert.get('message') or ''}, {alert.get('rule.id') or ''})"),
            (labels["proof"], summary(alert.get("almena.alert.explanation"), self.language)),
            (labels["why"], words.get("why_it_matters")),
            (labels["do"], words.get("what_to_do") or labels["ask"]),
            (labels["count"], count if count > 1 else None),
            (labels["link"], url),
        ]
        return Message(
            key=key,
            title=_line(f"[{name}] {title}", 240),
            text="\n".join(
                f"{label}: {safe(' '.join(str(value).split()), LONGEST_LINE)}" for label, value in lines if value
            ),
            level=level,
            agency=agency_of(alert),
            alert=identity,
            group=str(alert.get("almena.alert.group") or ""),
            rule=str(alert.get("rule.id") or ""),
            time=str(alert.get("almena.alert.first_seen") or alert.get("@timestamp") or ""),
            count=count,
            url=url,
        )

    def _words(self, alert: Document) -> Mapping[str, Any]:
        words = alert.get("almena.alert.words")
        words = words if isinstance(words, dict) else {}
        found = words.get(self.language) or words.get("es") or words.get("en")
        return found if isinstance(found, dict) else {}

    def _where(self, alert: Document) -> str:
        agency = agency_of(alert)
        places = [self.agencies.get(agency, agency), *(alert.get(name) for name in ("host.name", "service.name"))]
        return " · ".join(safe(place) for place in places if place) or MISSING

    def _time(self, text: object) -> str:
        try:
            moment = to_datetime(parse_time(str(text))).astimezone(ZoneInfo(self.zone))
        except ValueError:
            return MISSING
        locale = "es_MX" if self.language == "es" else "en"
        return f"{format_datetime(moment, 'd MMM y, HH:mm:ss', locale=locale)} ({self.zone})"


def _line(value: object, longest: int = LONGEST_LINE) -> str:
    """The value as one line that is safe to show."""
    return safe(" ".join(str(value).split()), longest)
