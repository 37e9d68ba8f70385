"""What is remembered of exporters: templates, data that wait for them, and names and rates they told; all bounded.

Whoever sends is a stranger until records of one of their templates have been read. Strangers give way to each other,
and never take the place of an exporter that is known and speaks.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from collectors.netflow.layout import Layout
from collectors.netflow.options import Options
from collectors.netflow.shape import Shape
from collectors.netflow.wire import Definition, Header

MOST_NOTES = 65_536
"""Names and rates remembered of all exporters."""

MOST_NOTES_OF_ONE = 8_192
"""Names and rates remembered of one exporter."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How much is remembered."""

    exporters: int = 1_024
    templates: int = 8_192
    """Of all exporters."""
    templates_of_one: int = 512
    waiting: int = 16 << 20
    """Bytes of data without template, of all exporters; one may have a quarter of them."""
    patience: float = 300.0
    """Seconds that data wait for their template."""
    lifetime: float = 1_800.0
    """Seconds after which templates and exporters are forgotten that nobody sends or uses."""


class Template:
    """A template that an exporter has sent; what it takes to read its records is made when they come."""

    __slots__ = ("_reader", "definition", "used")

    def __init__(self, definition: Definition, moment: float) -> None:
        self.definition = definition
        self.used = moment
        self._reader: Shape | Options | None = None

    def reader(self) -> Shape | Options:
        """What reads its records."""
        if self._reader is None:
            self._reader = Options(self.definition) if self.definition.scopes else Shape(self.definition.fields)
        return self._reader

    @property
    def layout(self) -> Layout:
        """How its records lie."""
        return self.reader().layout


class Waiting(NamedTuple):
    """Data whose template has not come."""

    header: Header
    data: bytes
    moment: float
    received: int


class Key(NamedTuple):
    """What a template is found by."""

    version: int
    domain: int
    number: int


@dataclass(slots=True)
class Exporter:
    """One sender."""

    templates: OrderedDict[Key, Template] = field(default_factory=OrderedDict)
    """The one unused longest first."""
    waiting: OrderedDict[Key, list[Waiting]] = field(default_factory=OrderedDict)
    size: int = 0
    """Bytes that wait."""
    notes: OrderedDict[tuple[Any, ...], Any] = field(default_factory=OrderedDict)
    """What it told of itself, by domain, kind and number."""
    views: dict[tuple[int, str], dict[Any, Any]] = field(default_factory=dict)
    """The same by domain and kind, made when asked for."""
    used: float = 0.0


class Memory:
    """Everything that is remembered of all exporters."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.templates = 0
        """Templates remembered."""
        self.waiting = 0
        """Bytes that wait for templates."""
        self.lost: Counter[str] = Counter()
        """What had to be thrown away, by reason, since somebody took it from here."""
        self._notes = 0
        self._known: OrderedDict[str, Exporter] = OrderedDict()  # the one silent longest first
        self._strangers: OrderedDict[str, Exporter] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known) + len(self._strangers)

    def everybody(self) -> list[Exporter]:
        """All exporters, strangers first."""
        return [*self._strangers.values(), *self._known.values()]

    def exporter(self, host: str, moment: float) -> Exporter | None:
        """The exporter at this address; None when there are too many and all of them speak."""
        for group in (self._known, self._strangers):
            if (found := group.get(host)) is not None:
                found.used = moment
                group.move_to_end(host)
                return found
        if len(self) >= self.limits.exporters and not self._make_room(moment):
            return None
        found = self._strangers[host] = Exporter(used=moment)
        return found

    def trust(self, host: str) -> None:
        """Records of a template of this exporter have been read."""
        if (found := self._strangers.pop(host, None)) is not None:
            self._known[host] = found

    def _make_room(self, moment: float) -> bool:
        if self._strangers:
            self._forget(self._strangers.popitem(last=False)[1])
            return True
        host, oldest = next(iter(self._known.items()))
        if moment - oldest.used <= self.limits.lifetime:
            return False
        self._forget(self._known.pop(host))
        return True

    def _forget(self, exporter: Exporter) -> None:
        self.templates -= len(exporter.templates)
        self._notes -= len(exporter.notes)
        self.waiting -= exporter.size
        self.lost["template"] += sum(map(len, exporter.waiting.values()))

    def define(self, exporter: Exporter, key: Key, definition: Definition, moment: float) -> list[Waiting]:
        """Remember a template, or forget it where it has no fields; returns data that waited for it."""
        known = exporter.templates.get(key)
        if known is not None and known.definition == definition:
            known.used = moment
            exporter.templates.move_to_end(key)
            return []
        if known is not None:
            del exporter.templates[key]
            self.templates -= 1
        if not definition.fields:
            return []
        if len(exporter.templates) >= self.limits.templates_of_one or self.templates >= self.limits.templates:
            self._drop_template(exporter)
        exporter.templates[key] = Template(definition, moment)
        self.templates += 1
        found = exporter.waiting.pop(key, [])
        self._released(exporter, found)
        return found

    def withdraw(self, exporter: Exporter, version: int, domain: int, *, options: bool | None = None) -> None:
        """Forget all templates of a domain, or only those of options, or only the others."""
        gone = [
            key
            for key, template in exporter.templates.items()
            if key[:2] == (version, domain) and options in (None, template.definition.scopes > 0)
        ]
        for key in gone:
            del exporter.templates[key]
        self.templates -= len(gone)

    def _drop_template(self, exporter: Exporter) -> None:
        """Make room for one more template: of the exporter itself, or of the one that has most."""
        if not exporter.templates:
            exporter = max(self.everybody(), key=lambda one: len(one.templates))
        exporter.templates.popitem(last=False)
        self.templates -= 1

    def wait(self, exporter: Exporter, key: Key, waiting: Waiting) -> None:
        """Keep data until their template comes; the oldest of the exporter go when there is no room."""
        limit = self.limits.waiting
        size = len(waiting.data) + _OVERHEAD
        while exporter.size and (exporter.size + size > limit // 4 or self.waiting + size > limit):
            self._drop_waiting(exporter)
        if size > limit // 4 or self.waiting + size > limit:
            self.lost["template"] += 1
            return
        exporter.waiting.setdefault(key, []).append(waiting)
        exporter.size += size
        self.waiting += size

    def _drop_waiting(self, exporter: Exporter) -> None:
        """Throw away what waits for the template that is missing longest."""
        gone = exporter.waiting.popitem(last=False)[1]
        self._released(exporter, gone)
        self.lost["template"] += len(gone)

    def _released(self, exporter: Exporter, data: list[Waiting]) -> None:
        size = sum(len(each.data) + _OVERHEAD for each in data)
        exporter.size -= size
        self.waiting -= size

    def note(self, exporter: Exporter, domain: int, kind: str, number: Any, value: Any) -> None:
        """Remember a name or a rate; the ones told longest ago go when there is no room."""
        key = (domain, kind, number)
        if exporter.notes.get(key) == value:
            return
        if key not in exporter.notes:
            if len(exporter.notes) >= MOST_NOTES_OF_ONE or (self._notes >= MOST_NOTES and exporter.notes):
                exporter.notes.popitem(last=False)
                self._notes -= 1
            if self._notes >= MOST_NOTES:
                return
            self._notes += 1
        exporter.notes[key] = value
        exporter.views.clear()

    def view(self, exporter: Exporter, domain: int, kind: str) -> dict[Any, Any]:
        """What an exporter told of this kind, by number."""
        found = exporter.views.get((domain, kind))
        if found is None:
            found = {
                number: value
                for (where, what, number), value in exporter.notes.items()
                if (where, what) == (domain, kind)
            }
            if len(exporter.views) >= _MOST_VIEWS:
                exporter.views.clear()
            exporter.views[domain, kind] = found
        return found

    def expire(self, moment: float) -> None:
        """Forget what nobody uses."""
        for group in (self._strangers, self._known):
            for host in [host for host, one in group.items() if moment - one.used > self.limits.lifetime]:
                self._forget(group.pop(host))
        for exporter in self.everybody():
            self._expire(exporter, moment)

    def _expire(self, exporter: Exporter, moment: float) -> None:
        for key, found in list(exporter.waiting.items()):
            late = [each for each in found if moment - each.moment > self.limits.patience]
            if late:
                self._released(exporter, late)
                self.lost["template"] += len(late)
                exporter.waiting[key] = found[len(late) :]
                if not exporter.waiting[key]:
                    del exporter.waiting[key]
        for key in list(_unused(exporter, moment - self.limits.lifetime)):
            del exporter.templates[key]
            self.templates -= 1


_OVERHEAD = 400  # bytes that data need beside their own, roughly
_MOST_VIEWS = 64


def _unused(exporter: Exporter, since: float) -> Iterator[Key]:
    for key, template in exporter.templates.items():
        if template.used < since:
            yield key
