"""How values look on screen: severities, states, times in the room's zone, numbers, and text from strangers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_timedelta, get_timezone_location
from markupsafe import Markup

from almena.clock import parse_time, to_datetime
from almena.console.i18n import mark
from almena.ecs import fields
from almena.labels import LOCALES, called, label, length, number
from almena.words import fill, safe

LEVEL_WORDS = {
    "critical": mark("Crítica"),
    "high": mark("Alta"),
    "medium": mark("Media"),
    "low": mark("Baja"),
    "informational": mark("Informativa"),
}
"""Every level in words, the worst first."""

SHAPES = {"critical": "◆", "high": "▲", "medium": "●", "low": "○", "informational": "·"}
"""The shape beside each level's word."""

LEVELS = tuple(LEVEL_WORDS)
"""Every level, the worst first."""

STATUSES = {
    "open": mark("Abierta"),
    "acknowledged": mark("Con acuse"),
    "closed": mark("Cerrada"),
    "suppressed": mark("Silenciada"),
    "shadow": mark("En sombra"),
    "history": mark("Histórico"),
}
"""The states of an alert."""

RESOLUTIONS = {
    "true_positive_impact": mark("Verdadera, con daño"),
    "true_positive": mark("Verdadera, sin daño"),
    "false_positive": mark("Falso positivo"),
    "legitimate": mark("Actividad legítima"),
    "unknown": mark("No se pudo saber"),
    "not_applicable": mark("No aplica"),
}
"""How an alert ends."""

_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z| UTC))")

LONGEST_TEXT = 4_000
"""Characters of one text on a page."""


@dataclass(frozen=True)
class Look:
    """One page's language, zone and moment."""

    language: str
    zone: ZoneInfo
    now: int

    def time(self, value: object) -> Markup:
        """A time as `14:07:32`, with its date when that is not today; the machine's form beside it."""
        moment = self._moment(value)
        if moment is None:
            return Markup("<span class=muted>—</span>")
        today = to_datetime(self.now).astimezone(self.zone)
        text = moment.strftime("%H:%M:%S")
        if moment.date() != today.date():
            pattern = "d MMM" if moment.year == today.year else "d MMM y"
            text = f"{format_date(moment.date(), pattern, locale=LOCALES[self.language])} {text}"
        full = moment.isoformat(sep=" ", timespec="milliseconds")
        return Markup('<time datetime="{}" title="{}">{}</time>').format(moment.isoformat(), full, text)

    def cell(self, name: str, value: str) -> Markup | str:
        """A field's value in a table: dates as times of the room, everything else on one line."""
        known = fields().get(name)
        return self.time(value) if known is not None and known.type == "date" and value else values(value, 500)

    def sentence(self, text: str) -> Markup:
        """A sentence of ours whose times are written as on the rest of the page."""
        plain = str(visible(text))
        parts = _MOMENT.split(plain)
        return Markup().join(self._said(part) if at % 2 else Markup.escape(part) for at, part in enumerate(parts))

    def _said(self, moment: str) -> Markup:
        known = self._moment(moment.replace(" UTC", "Z"))
        return self.time(moment.replace(" UTC", "Z")) if known else Markup.escape(moment)

    def ago(self, value: object) -> str:
        """How long ago, in words; stands only beside `time`."""
        moment = self._moment(value)
        if moment is None:
            return ""
        past = timedelta(microseconds=self.now) - (moment - to_datetime(0))
        return format_timedelta(-past, add_direction=True, threshold=1.2, locale=LOCALES[self.language])

    def number(self, value: object) -> str:
        """A number with the separators of the language."""
        return number(value, self.language)

    def zone_label(self) -> str:
        """The zone of the page's times, said once."""
        offset = to_datetime(self.now).astimezone(self.zone).strftime("%z")
        place = get_timezone_location(self.zone, locale=LOCALES[self.language], return_city=True)
        return f"{place} (UTC{offset[:3].replace('-', '−')}:{offset[3:5]})"

    def length(self, span: object) -> str:
        """A length of time as `Span` writes it, in words: `30d` is 30 días; what is none stays as it is."""
        return length(span, self.language)

    def field(self, name: str) -> str:
        """What a field is called, or its own name."""
        return called(name, self.language)

    def heading(self, name: str) -> str:
        """What a field is called at the head of a row, or nothing when it has no word."""
        word = label(name, self.language)
        return word[:1].upper() + word[1:]

    def dotted(self, name: str) -> Markup:
        """A field's own name, which may break behind its dots."""
        return Markup(".<wbr>").join(values(name).split("."))

    def template(self, text: str) -> str:
        """A rule's words with the names of its fields in place of values."""
        return fill(text, lambda name: f"‹{self.field(name)}›")

    def entity(self, value: str) -> tuple[str, str]:
        """What an alert is about: the kind in words and the value."""
        field, _, name = value.partition("=")
        if not name:
            return "", safe(value) or "—"
        return self.field(field), safe(name)

    def title(self, alert: Mapping[str, Any]) -> str:
        """The alert's title in the page's language, or its rule's name."""
        return safe(self.words(alert).get("title") or alert.get("message") or alert.get("rule.name") or "—")

    def words(self, alert: Mapping[str, Any]) -> dict[str, str]:
        """The alert's texts in the page's language; what is missing there is taken from the other one."""
        words = alert.get("almena.alert.words")
        words = words if isinstance(words, dict) else {}
        found: dict[str, str] = {}
        for language in ("es", "en") if self.language == "en" else ("en", "es"):
            said = words.get(language)
            found |= {str(key): str(text) for key, text in said.items() if text} if isinstance(said, dict) else {}
        return found

    def _moment(self, value: object) -> datetime | None:
        try:
            micros = value if isinstance(value, int) else parse_time(str(value)) if value else None
        except ValueError:
            return None
        return None if micros is None else to_datetime(micros).astimezone(self.zone)


def visible(value: object) -> object:
    """What Jinja prints: text from strangers with its control and direction characters made visible."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return "\n".join(safe(line, LONGEST_TEXT) for line in value.split("\n"))
    return value


def values(value: object, longest: int = 300) -> str:
    """One field's value on one line."""
    return safe(value, longest)
