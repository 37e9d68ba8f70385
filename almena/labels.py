"""What fields, numbers and lengths of time are called for people, in Spanish and English, inside a sentence."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Literal

from babel.numbers import format_decimal
from babel.units import format_unit

from almena.clock import DAY, HOUR, MINUTE, SECOND, Span
from almena.errors import ConfigError
from almena.words import safe

LOCALES = {"es": "es_MX", "en": "en_US"}
"""How numbers and dates are written in each language."""

_DATA = "winlog.event_data."
_UNITS: tuple[tuple[int, str, Literal["short", "long"]], ...] = (
    (DAY, "duration-day", "long"),
    (HOUR, "duration-hour", "long"),
    (MINUTE, "duration-minute", "short"),
)
_WHOLE = ((DAY, "duration-day"), (HOUR, "duration-hour"), (MINUTE, "duration-minute"))
_REST = (SECOND, "duration-second")
_WIDEST = 1e15
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(?:\.[0-9]{1,12})?")


@cache
def labels() -> dict[str, dict[str, str]]:
    """Every word by name, then language: fields as events have them, Windows' own names, and what models measure."""
    table: dict[str, dict[str, str]] = {}
    for line in files("almena").joinpath("labels.tsv").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            name, spanish, english = line.split("\t")
            table[name] = {"es": spanish, "en": english}
    return table


def label(name: str, language: str) -> str:
    """The word for a field or a model's feature, or nothing when there is none.

    >>> label("process.executable", "es"), label("winlog.event_data.Hashes", "en"), label("novel.field", "es")
    ('programa', 'hashes', '')
    """
    known = labels().get(name) or labels().get(name.removeprefix(_DATA))
    return known.get(language, known["es"]) if known else ""


def called(name: str, language: str) -> str:
    """The word for a field, or its own name made safe to show."""
    return label(name, language) or safe(name)


def number(value: object, language: str, form: str | None = None) -> str:
    """A number with the separators of the language, its decimals as `form` asks (`#,##0.00`); all else as text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)) or not -_WIDEST < value < _WIDEST:
        return safe(value)
    return format_decimal(value, form, locale=LOCALES.get(language, LOCALES["es"]))


def numeric(value: object) -> Decimal | None:
    """A number, or a text that is one, exactly; None for anything else and for what is too large to show."""
    if isinstance(value, Decimal):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, int) and not -(10**15) < value < 10**15:
        return None
    text = f"{value:.6f}" if isinstance(value, float) else str(value)
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def quantity(value: object, language: str) -> str:
    """A number as people write it, to six decimals: 8.2, but 1,842.50 where it looks like money; else as text."""
    found = numeric(value)
    if found is None:
        return safe(value)
    money = abs(found) >= 100 and found == round(found, 2) != int(found)
    return number(found, language, "#,##0.00" if money else "#,##0.######")


def length(span: object, language: str) -> str:
    """A length of time as `Span` writes it, in words: `30d` is 30 días; what is none stays as it is."""
    try:
        left = int(Span.parse(span))
    except (ConfigError, ValueError, OverflowError):
        return safe(span, 60)
    parts: list[str] = []
    for size, unit, form in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(_unit(count, unit, form, language))
    if left or not parts:
        parts.append(_unit(left / SECOND, "duration-second", "short", language))
    return " ".join(parts)


def beside(span: object, language: str, side: str) -> str:
    """Where something is looked for beside a moment: `after`, `before` or `around` it; nothing for what is no span.

    >>> beside("10m", "es", "after"), beside("1h", "es", "before"), beside("1d", "en", "around")
    ('en los 10 minutos siguientes', 'en la hora anterior', 'in the 24 hours before or after')
    """
    try:
        left = int(Span.parse(span))
    except (ConfigError, ValueError, OverflowError):
        return ""
    # One day is told as 24 hours: "the day after" would be another thing.
    size, unit = next(
        ((size, unit) for size, unit in _WHOLE if left % size == 0 and left > size * (size == DAY)), _REST
    )
    count = left // size if left % size == 0 else left / size
    said = _unit(count, unit, "long", language)
    if count == 1:
        said = said.removeprefix("1 ")
    if language == "en":
        sides = {"after": f"in the following {said}", "before": f"in the preceding {said}"}
        return sides.get(side, f"in the {said} before or after")
    the = ("la" if count == 1 else "las") if size == HOUR else ("el" if count == 1 else "los")
    after, before = ("siguiente", "anterior") if count == 1 else ("siguientes", "anteriores")
    sides = {"after": f"en {the} {said} {after}", "before": f"en {the} {said} {before}"}
    return sides.get(side, f"en {the} {said} {before} ni en {the} {after}")


def _unit(count: float, unit: str, form: Literal["short", "long"], language: str) -> str:
    return format_unit(count, unit, length=form, locale=LOCALES.get(language, LOCALES["es"]))
