"""What exporters tell of themselves: how they sample, and names of applications and interfaces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from collectors.netflow.elements import elements
from collectors.netflow.layout import Layout, Row, code
from collectors.netflow.meanings import rate_of
from collectors.netflow.values import BY_TYPE, same, text
from collectors.netflow.wire import Definition

_INTERFACES, _INTERFACE_NAME, _INTERFACE_WORDS = (10, 14, 252, 253), 82, 83
_APPLICATION, _APPLICATION_NAME = 95, 96
_SAMPLERS, _INTERVALS, _BOOT = (302, 48), (50, 34), 160
_INTERVAL, _SPACE, _SIZE, _POPULATION, _PROBABILITY = 305, 306, 309, 310, 311
_WANTED = {
    *(*_INTERFACES, _INTERFACE_NAME, _INTERFACE_WORDS, _APPLICATION, _APPLICATION_NAME, _BOOT),
    *(*_SAMPLERS, *_INTERVALS, _INTERVAL, _SPACE, _SIZE, _POPULATION, _PROBABILITY),
}


class Note(NamedTuple):
    """One thing that an exporter told."""

    kind: str
    """`rate`, `application`, `interface` or `boot`."""
    number: Any
    """What it is about; None for the whole exporter."""
    value: Any


class Options:
    """Reads the records of a template of options."""

    def __init__(self, definition: Definition) -> None:
        table = elements()
        codes = []
        self._fields: list[tuple[int, str, bool]] = []
        for field in definition.fields:
            element = table.get((0, field.number)) if field.enterprise == 0 and field.number in _WANTED else None
            how = code(element.type, field.length) if element else ""
            codes.append(how)
            if element and how:
                is_number = element.type.startswith(("unsigned", "dateTime")) and how[-1] in "sv"
                self._fields.append((field.number, element.type, is_number))
        self.layout = Layout(definition.fields, codes)

    def notes(self, rows: Iterable[Row]) -> Iterator[Note]:
        """What records say that is of use."""
        for row in rows:
            told = {}
            for (number, kind, is_number), value in zip(self._fields, row, strict=True):
                plain = int.from_bytes(value[:8], "big") if is_number else value
                told[number] = plain if kind in ("string", "octetArray") else BY_TYPE.get(kind, same)([plain])[0]
            yield from _notes(told)


def _notes(told: dict[int, Any]) -> Iterator[Note]:
    if rate := _rate(told):
        sampler = next((told[number] for number in _SAMPLERS if number in told), None)
        yield Note("rate", sampler, rate)
    if (name := text(told.get(_APPLICATION_NAME, b""))) and (number := told.get(_APPLICATION)):
        yield Note("application", number[:_LONGEST_NUMBER], name.lower())
    name = text(told.get(_INTERFACE_NAME, b"")) or text(told.get(_INTERFACE_WORDS, b""))
    interface = next((told[number] for number in _INTERFACES if number in told), None)
    if name and interface is not None:
        yield Note("interface", interface, name)
    if told.get(_BOOT, 0) > 0:
        yield Note("boot", None, told[_BOOT])


_LONGEST_NUMBER = 9  # bytes of an application's identifier


def _rate(told: dict[int, Any]) -> int:
    for number in _INTERVALS:
        if number in told:
            return rate_of(told[number])
    if _INTERVAL in told and _SPACE in told:
        return rate_of(told[_INTERVAL] + told[_SPACE], told[_INTERVAL])
    if _SIZE in told and _POPULATION in told:
        return rate_of(told[_POPULATION], told[_SIZE])
    return rate_of(1, told[_PROBABILITY]) if _PROBABILITY in told else 0
