"""What is remembered, in words: how far each group is, what is missing, until when it counts, and the clocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from almena.app.explaining import title_of
from almena.app.reaching import missing, reached
from almena.app.remembered import Clock, Group, Remembered
from almena.clock import DAY, MINUTE, SECOND, Span, to_datetime
from almena.explanation import sentence, tell
from almena.labels import called, length, number
from almena.phrases import either
from almena.progress import Progress
from almena.words import safe

if TYPE_CHECKING:
    from detectors.sigma.rules import Correlation, RuleSet

SLOW = 10 * MINUTE
"""A clock that is further behind than this, beside what it waits for anyway, is worth a word."""

_SAID = {
    "whole": ("todo junto", "all together"),
    "agency": ("dependencia {agency}", "agency {agency}"),
    "since": ("desde las {first}", "since {first}"),
    "last": ("el último hecho a las {last}", "the last hit at {last}"),
    "leaves": (
        "El más antiguo deja de contar a las {closes}, dentro de {left} en la hora de los eventos.",
        "The oldest stops counting at {closes}, in {left} of event time.",
    ),
    "left": (
        "El más antiguo dejó de contar a las {closes}; el siguiente hecho lo notará.",
        "The oldest stopped counting at {closes}; the next hit will notice.",
    ),
    "closes": (
        "Se decide cuando la ventana cierre a las {closes}, dentro de {left} en la hora de los eventos.",
        "It is decided when the window closes at {closes}, in {left} of event time.",
    ),
    "closed": (
        "La ventana cerró a las {closes}; se decide en el siguiente paso.",
        "The window closed at {closes}; it is decided at the next step.",
    ),
    "unclocked": ("Cuenta hasta las {closes}.", "It counts until {closes}."),
    "missing": ("Falta: {rules}.", "Missing: {rules}."),
    "alert": ("Ya avisó: la alerta {alert} está abierta.", "It has fired: the alert {alert} is open."),
    "held": ("Ya se cumplió; lo saben las que la leen.", "It holds; those that read it know."),
    "more": ("… y más grupos: {count}; --limit los muestra.", "… and more groups: {count}; --limit shows them."),
    "clock": (
        "Partición {partition}: la hora de los eventos es {watermark}, {delay} atrás{waits}.",
        "Partition {partition}: event time is {watermark}, {delay} behind{waits}.",
    ),
    "batch": (
        "Partición {partition}, lotes de hasta {lateness}: la hora de sus eventos es {watermark}{waits}.",
        "Partition {partition}, batches up to {lateness} late: their event time is {watermark}{waits}.",
    ),
    "ended": (
        "Partición {partition}: ya no vendrá nada{waits}.",
        "Partition {partition}: nothing more will come{waits}.",
    ),
    "waits": ("; hechos de esta regla que la esperan: {count}", "; hits of this rule that wait for it: {count}"),
    "waits_more": (
        "; hechos de esta regla que la esperan: {count} o más",
        "; hits of this rule that wait for it: {count} or more",
    ),
    "unstarted": (
        "Partición {partition}: aún sin hora; falta que detect hable de cada partición de eventos{waits}.",
        "Partition {partition}: no time yet; detect has to speak of every partition of events first{waits}.",
    ),
    "slow": (
        "La hora de los eventos va muy atrás: `almena status` dice si detect y correlate van al día.",
        "Event time is far behind: `almena status` says whether detect and correlate keep up.",
    ),
    "shadow": (
        "Está en sombra: lo que encuentra no avisa a nadie. `almena rules shadow` dice por qué.",
        "It is in shadow: what it finds is told to nobody. `almena rules shadow` says why.",
    ),
    "muted": ("No avisa por sí sola; la leen: {rules}.", "It raises no alert of its own; it is read by: {rules}."),
    "none": (
        "No recuerda ningún grupo: ningún hecho de sus reglas cuenta en este momento.",
        "It remembers no group: no hit of its rules counts at present.",
    ),
    "none_waiting": (
        "Todavía no recuerda ningún grupo, pero hay hechos que esperan su hora; mire abajo.",
        "It remembers no group yet, but hits wait for their time; see below.",
    ),
    "read": (
        "✗ {rule}: no ha coincidido con ningún evento desde que Almena arrancó.",
        "✗ {rule}: it has matched no event since Almena started.",
    ),
    "read_some": (
        "· {rule}: eventos con los que ha coincidido desde que Almena arrancó: {count}.",
        "· {rule}: events it has matched since Almena started: {count}.",
    ),
    "read_unknown": ("· {rule}", "· {rule}"),
    "reads": ("Cuenta los hechos de:", "It counts the hits of:"),
    "group": (
        "No se contaron, por faltarles un campo por el que se agrupa: {count}.",
        "Not counted, since they lack a field that is grouped by: {count}.",
    ),
    "field": (
        "No se contaron, por faltarles el campo que se cuenta: {count}.",
        "Not counted, since they lack the field that is counted: {count}.",
    ),
    "no_group": (
        "Entre los grupos que recuerda ({count}) no está {key}. Los más cercanos a avisar:",
        "Among the groups it remembers ({count}) there is no {key}. The nearest to firing:",
    ),
    "table": ("{table}: valores {entries}, bytes {size}", "{table}: values {entries}, bytes {size}"),
    "named": ("  recuerda {keys}", "  it remembers {keys}"),
    "not_named": ("No recuerda {key}.", "It does not remember {key}."),
    "empty": ("Todavía no recuerda nada.", "It remembers nothing yet."),
}
_NEAREST = 3


@dataclass(frozen=True)
class Measured:
    """What was counted since Almena started, where that could be asked."""

    matches: dict[str, float]
    """Events by the rule's id."""
    skipped: dict[str, float]
    """Of one correlation: matches it could not count, by `group` and `field`."""


@dataclass(frozen=True)
class Teller:
    """Says what is remembered in one language, with the times of one zone."""

    language: str
    zone: ZoneInfo
    now: int
    rules: RuleSet
    item: Correlation | None
    """None for a model."""
    about: Mapping[str, Any] | None = None
    """The correlation as an explanation tells it."""
    measured: Measured | None = None

    def lines(
        self, name: str, found: Remembered, others: Remembered, key: str, limit: int, *, shadow: bool
    ) -> Iterator[str]:
        """Everything there is to say, line by line; `others` are the groups that `key` did not choose."""
        item = self.item
        yield safe(name) if item is None else f"{self.title(item.id)} ({item.id}, {item.level})"
        yield from self._asks()
        if shadow:
            yield self._say("shadow")
        if item is None and not found.groups:
            yield from self._tables(found, key)
        elif found.groups:
            yield from self._groups(found.groups, limit)
        elif others.groups:
            yield self._say("no_group", count=number(len(others.groups), self.language), key=f"«{safe(key)}»")
            yield from self._groups(others.groups[:_NEAREST], _NEAREST)
        else:
            yield self._say("none_waiting" if any(clock.waiting for clock in found.clocks) else "none")
            yield from self._read()
        shown = found.groups[:limit] or others.groups[:_NEAREST]
        yield ""
        yield from self._clocks(found.clocks, [group.clock for group in shown])

    def title(self, rule: str) -> str:
        """A rule's title in the language, or its id when it is not there."""
        known = self.rules.by_id.get(rule)
        return safe(title_of(known, self.language)) if known is not None else safe(rule)

    def _asks(self) -> Iterator[str]:
        """What it waits for, and whether it tells anybody."""
        titles = {rule: self.title(rule) for rule in self.item.rules} if self.item is not None else {}
        step = tell({"root": self.about}, self.language, titles) if self.about is not None else None
        if step is not None:
            said = sentence(step)
            yield f"{said[:1].upper()}{said[1:]}."
        if self.item is not None and self.item.id in self.rules.muted:
            readers = [self.title(item.id) for item in self.rules.correlations if self.item.id in item.rules]
            yield self._say("muted", rules="; ".join(f"«{title}»" for title in readers))

    def _read(self) -> Iterator[str]:
        """The rules whose hits would be counted, and how often they matched at all."""
        if self.item is None:
            return
        yield self._say("reads")
        for rule in self.item.rules:
            count = self.measured.matches.get(rule) if self.measured is not None else None
            said = "read_unknown" if count is None else "read_some" if count else "read"
            yield self._say(said, rule=f"«{self.title(rule)}»", count=number(int(count or 0), self.language))
        for reason, count in sorted((self.measured.skipped if self.measured else {}).items()):
            if count and reason in _SAID:
                yield self._say(reason, count=number(int(count), self.language))

    def _groups(self, groups: Sequence[Group], limit: int) -> Iterator[str]:
        for place, group in enumerate(groups[:limit], 1):
            yield f"{place}. {self._name(group)}"
            yield from (f"   {line}" for line in self._group(group))
        if len(groups) > limit:
            yield self._say("more", count=number(len(groups) - limit, self.language))

    def _name(self, group: Group) -> str:
        named = [group_name(group.progress, self.language)]
        if group.progress.agency:
            named.append(self._say("agency", agency=safe(group.progress.agency)))
        return ", ".join(filter(None, named)) or self._say("whole")

    def _group(self, group: Group) -> Iterator[str]:
        progress, mark = group.progress, group.clock.watermark
        since = self._say("since", first=self.time(progress.first))
        last = self._say("last", last=self.time(progress.last))
        yield f"{reached(progress, self.item, self.language)}; {since}, {last}."
        if progress.missing:
            yield self._say("missing", rules="; ".join(missing(progress, self.title)))
        if progress.alert:
            quiet = self.item is not None and self.item.id in self.rules.muted
            yield self._say("held" if quiet else "alert", alert=safe(progress.alert))
            return
        closes = self.time(progress.closes)
        if mark < 0:
            yield self._say("unclocked", closes=closes)
        elif progress.closes >= mark:
            said = "closes" if progress.waits else "leaves"
            yield self._say(said, closes=closes, left=self._span(progress.closes - mark))
        else:
            yield self._say("closed" if progress.waits else "left", closes=closes)

    def _tables(self, found: Remembered, key: str) -> Iterator[str]:
        for table in found.tables:
            entries, size = number(table.entries, self.language), number(table.size, self.language)
            yield self._say("table", table=safe(table.table), entries=entries, size=size)
            if table.named:
                yield self._say("named", keys="; ".join(f"«{safe(name)}»" for name in table.named[:5]))
        if not found.tables:
            yield self._say("empty")
        elif key and not any(table.named for table in found.tables):
            yield self._say("not_named", key=f"«{safe(key)}»")

    def _clocks(self, clocks: Sequence[Clock], shown: Sequence[Clock]) -> Iterator[str]:
        """The clocks that matter: of the groups shown and of hits that wait; all of them where there are none."""
        chosen = [clock for clock in clocks if clock in shown or clock.waiting] or clocks
        yield from dict.fromkeys(map(self._clock, chosen))
        if any(0 <= clock.watermark < self.now - SLOW - 2 * clock.lateness for clock in chosen):
            yield self._say("slow")

    def _clock(self, clock: Clock) -> str:
        count = number(clock.waiting, self.language)
        waits = self._say("waits_more" if clock.more else "waits", count=count) if clock.waiting else ""
        if clock.watermark < 0:
            return self._say("unstarted", partition=clock.partition, waits=waits)
        if clock.watermark > self.now + 365 * DAY:
            return self._say("ended", partition=clock.partition, waits=waits)
        return self._say(
            "batch" if clock.lateness else "clock",
            partition=clock.partition,
            lateness=self._span(clock.lateness),
            watermark=self.time(clock.watermark),
            delay=self._span(max(self.now - clock.watermark, 0)),
            waits=waits,
        )

    def time(self, micros: int) -> str:
        """A moment in the zone, with its date when that is not today."""
        moment, today = (to_datetime(each).astimezone(self.zone) for each in (micros, self.now))
        return moment.strftime("%H:%M:%S" if moment.date() == today.date() else "%Y-%m-%d %H:%M:%S")

    def _span(self, micros: int) -> str:
        return length(str(Span(micros // SECOND * SECOND)), self.language)

    def _say(self, what: str, **values: object) -> str:
        return either(_SAID[what], self.language).format(**values)


def group_name(progress: Progress, language: str) -> str:
    """What is grouped by, in words, without the agency."""
    return ", ".join(f"{called(name, language)} {safe(value)}" for name, value in progress.group.items())
