"""What a template's records mean: compiled once, then column by column from tuples to events.

A column holds one field of many records, so that most of the work is done by loops that Python does not see.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from almena.event import Event
from collectors.netflow import meanings
from collectors.netflow.elements import Element, elements
from collectors.netflow.layout import Layout, Row, code
from collectors.netflow.meanings import Columns, Frame
from collectors.netflow.values import BY_FIELD, BY_TYPE, NEVER_ABSENT, Convert, numbers, same
from collectors.netflow.wire import Field

_TELLING = ("source.", "destination.", "@station.", "@initiator.")
_LEAST = 8  # bytes of a record; shorter ones tell nothing, and a datagram could hold tens of thousands
_FIRST_OF = "#"  # between a field and a number: further elements that give the same field


class _Wanted(NamedTuple):
    """A field of a template that events have something of."""

    key: str
    code: str
    converts: tuple[Convert, ...]


class Shape:
    """From the records of one template to events."""

    def __init__(self, fields: Sequence[Field]) -> None:
        wanted = _wanted(fields)
        self.layout = Layout(fields, [each.code if each else "" for each in wanted])
        chosen = [each for each in wanted if each]
        self._keys = [each.key for each in chosen]
        self._converts = [(each.key, convert) for each in chosen for convert in each.converts if convert is not same]
        self._merges = _merges(self._keys)
        fields_there = {key.partition(_FIRST_OF)[0] for key in self._keys}
        self._steps = meanings.steps(fields_there)
        self.is_flow = self.layout.least >= _LEAST and any(name.startswith(_TELLING) for name in fields_there)
        """Whether its records tell of traffic, and not only of the exporter."""
        surely = {each.key for each in chosen if each.converts and each.converts[-1] in NEVER_ABSENT}
        self._sure = frozenset(surely - set(self._merges) - meanings.UNSURE) | meanings.SURE

    def events(self, rows: Iterable[Row], frame: Frame) -> list[Event]:
        """An event for each row."""
        columns: Columns = dict(zip(self._keys, zip(*rows, strict=True), strict=False))
        if not columns:
            return []
        for key, convert in self._converts:
            columns[key] = convert(columns[key])
        for field, keys in self._merges.items():
            columns[field] = _first_known([columns.pop(key) for key in keys])
        for step in self._steps:
            step(columns, frame)
        return _joined(columns, frame, self._sure)


def _joined(columns: Columns, frame: Frame, sure: frozenset[str]) -> list[Event]:
    """Columns to events, without what is not known."""
    gaps = []
    for name, column in list(columns.items()):
        if name[0] == "@":
            del columns[name]
        elif name not in sure and None in column:
            if all(value is None for value in column):
                del columns[name]
            else:
                gaps.append(name)
    names, common = tuple(columns), frame.common
    events = [{**common, **dict(zip(names, row, strict=False))} for row in zip(*columns.values(), strict=True)]
    for name in gaps:
        for event in events:
            if event[name] is None:
                del event[name]
    if frame.swapped:
        meanings.swap(events, frame.swapped)
        frame.swapped.clear()
    return events


def _wanted(fields: Sequence[Field]) -> list[_Wanted | None]:
    """For each field what becomes of it; of several that give the same the ones without `spare` come first."""
    table = elements()
    given: dict[str, int] = {}
    firm = {
        element.field
        for field in fields
        if (element := table.get(field[:2])) and not element.spare and code(element.type, field.length)
    }
    found: list[_Wanted | None] = []
    for field in fields:
        element = table.get(field[:2])
        name = _field_of(element, firm) if element else ""
        how = code(element.type, field.length) if element and name else ""
        if not element or not how:
            found.append(None)
            continue
        nth = given[name] = given.get(name, -1) + 1
        if nth >= 4:  # nobody says the same so often
            found.append(None)
            continue
        key = f"{name}{_FIRST_OF}{nth}" if nth else name
        found.append(_Wanted(key, "B" if how == "v" else how, _converts(element, name, how)))
    return found


def _field_of(element: Element, firm: set[str]) -> str:
    return element.other if element.spare and element.field in firm else element.field


def _converts(element: Element, name: str, how: str) -> tuple[Convert, ...]:
    by_type = BY_TYPE.get(element.type)
    is_number = element.type.startswith(("unsigned", "signed", "dateTime"))
    first = (numbers,) if is_number and how[-1] in "sv" else ()
    last = BY_FIELD.get(name) or by_type or same
    return (*first, last)


def _merges(keys: Sequence[str]) -> dict[str, list[str]]:
    """The fields that several elements give, and the keys of their columns."""
    merges: dict[str, list[str]] = {}
    for key in keys:
        field, mark, _ = key.partition(_FIRST_OF)
        if mark:
            merges.setdefault(field, [field]).append(key)
    return merges


_UNKNOWN = (None, 0, "0.0.0.0", "::")  # noqa: S104 - what stands where another element knows better


def _first_known(columns: Sequence[Sequence[object]]) -> list[object]:
    """Of each row the first value that says something, or the first."""
    return [next((value for value in row if value not in _UNKNOWN), row[0]) for row in zip(*columns, strict=True)]
