"""Sigma rules as a detector: alerts for what one event suffices for, hits for correlations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from almena import metrics
from almena.alert import Alert, alert_id, build
from almena.clock import parse_time
from almena.event import Event, event_time
from almena.hit import IDENTITY, WIDEST, Hit
from almena.words import words_of
from detectors.correlation import CorrelationOperator
from detectors.correlation.feeds import Feed, feeds_of, readers_of, short, version_of
from detectors.correlation.groups import LIMIT
from detectors.sigma.budget import Cost, Costed, Costs
from detectors.sigma.evaluator import Engine
from detectors.sigma.explain import explain
from detectors.sigma.index import IndexEngine
from detectors.sigma.native import native_windows
from detectors.sigma.rules import Correlation, Rule, RuleSet
from detectors.sigma.shadow import FIELD, SAMPLE, Over, Shadow, overdrawn, shadows
from detectors.sigma.values import MISFIT, View, present

HIT_BYTES = 1_600
"""Text that the fields of one hit may hold; the least important ones are left out beyond it."""


@dataclass(frozen=True)
class _Compiled:
    engine: Engine
    slow: Engine | None
    """Asks the rules that stand aside, if any do."""
    aside: Collection[str]
    """Their ids."""


class Feeds:
    """Makes hits of what matched, for the correlations that count them."""

    def __init__(self, operators: Sequence[CorrelationOperator], shadow: Collection[str] = ()) -> None:
        """Asks each operator which rules it rests on, and which of their fields; `shadow` are ids in shadow."""
        self.skipped: Counter[tuple[str, str]] = Counter()
        """By correlation id and reason: events that were not counted for want of a field to group by (`group`), or of
        the one that is counted (`field`)."""
        self._shadow = frozenset(shadow)
        self._feeds: dict[str, list[tuple[Feed, tuple[str, ...]]]] = {}
        for operator in operators:
            aside = tuple(reader.id for reader in operator.readers if reader.id in self._shadow)
            for feed in feeds_of(operator.rule, operator.readers):
                self._feeds.setdefault(feed.leaf, []).append((feed, aside))

    def hits(self, rule: Rule, event: Event, view: View) -> Iterator[Hit]:
        """One hit for every correlation that reads `rule` and whose group, and value if it counts one, the event has.

        The agency is part of every group: events of two agencies are never counted together.
        """

        feeds = self._feeds.get(rule.id)
        if not feeds:
            return
        time, ident = event_time(event), f"{event.get('event.id', '')}/{rule.id}"
        agency = str(event.get("organization.id", ""))

        def get(field: str) -> Any:
            value = view.value(field)
            return value if present(value) else None

        for feed, aside in feeds:
            group = feed.key(agency, get)
            if group is None or not feed.counts(get):
                self.skipped[feed.rule.id, "group" if group is None else "field"] += 1
                continue
            yield Hit(
                time=time,
                id=ident,
                detector=feed.rule.id,
                group=group,
                fields=_kept(feed.keep, view),
                rule=rule.id,
                shadow=feed.rule.id in self._shadow,
                version=version_of(feed.rule),
                clock=feed.rule.lateness,
                aside=aside,
            )


class SigmaDetector:
    """The stateless half of Sigma; operators are made by `operators` from the same rule set.

    Rules in shadow are asked as all others, and what they find is tagged. Rules over their budget stand aside: they
    see one event in `sample`, so that the others go on at full speed.
    """

    def __init__(
        self,
        ruleset: RuleSet,
        engine: Callable[[Sequence[Rule]], Engine] | None = None,
        *,
        shadow: Collection[str] = (),
        over: Mapping[str, Over] | None = None,
        sample: int = SAMPLE,
    ) -> None:
        """`engine` compiles rules, the index when none is given.

        `shadow` lists ids or names, `over` the decisions about rules over budget.
        """
        self._make = engine
        self._listed = tuple(shadow)
        self._over = dict(over or {})
        self._sample = max(sample, 1)
        self._seen = 0
        self._exported: dict[str, str] = {}
        self._next: tuple[RuleSet, _Compiled] | None = None
        self._load(ruleset)

    def prepare(self, ruleset: RuleSet) -> None:
        """Compile another set, in any thread, so that `replace` has only to take it."""
        self._next = (ruleset, self._compile(ruleset))

    def replace(self, ruleset: RuleSet) -> None:
        """Run another set from the next event on; decisions about rules that did not change stay."""
        prepared, self._next = self._next, None
        if prepared and prepared[0] is ruleset and prepared[1].aside == overdrawn(ruleset, self._over):
            self._adopt(*prepared)
        else:
            self._load(ruleset)

    def limit(self, over: Mapping[str, Over]) -> None:
        """Let the rules in `over`, and no others, stand aside; those of another version than decided on do not."""
        before, self._over = overdrawn(self.ruleset, self._over), dict(over)
        if overdrawn(self.ruleset, self._over) != before:
            self._load(self.ruleset)

    def costs(self) -> Costs:
        """What the rules have cost since they were compiled, by id; nothing where the engine does not measure."""
        found: dict[str, Cost] = {}
        engines: tuple[object, ...] = (self.engine, self._aside)
        for engine in engines:
            if isinstance(engine, Costed):
                found |= engine.costs()
        return found

    def match_all(self, events: Sequence[Event]) -> list[Sequence[Rule]]:
        """For each event the rules it matches, those that raise no alert of their own included."""
        flat = self._flat(events)
        found = list(self.engine.match_all(flat))
        if self._aside is not None:
            found = [(*first, *second) for first, second in zip(found, self._aside.match_all(flat), strict=True)]
        return found

    def ids(self, events: Sequence[Event]) -> list[list[str]]:
        """The same by rule id."""
        return [[rule.id for rule in matched] for matched in self.match_all(events)]

    def match_ids(self, event: Event) -> list[str]:
        """The ids of the rules that one event matches."""
        return self.ids([event])[0]

    def select(self, events: Sequence[Event]) -> Iterator[Hit | Alert]:
        """Alerts of rules that one event suffices for, and hits for correlations."""
        yield from self._select(self.engine, events)
        if self._aside is not None:
            start = -self._seen % self._sample
            self._seen += len(events)
            yield from self._select(self._aside, events[start :: self._sample])

    def _select(self, engine: Engine, events: Sequence[Event]) -> Iterator[Hit | Alert]:
        flat = self._flat(events)
        for event, matched in zip(flat, engine.match_all(flat), strict=True):
            if not matched:
                continue
            prepared = flattened(event) if self._native else event
            view = View(prepared)
            for rule in matched:
                self._counters[rule.id].inc()
                if rule.id not in self.ruleset.muted:
                    yield _alert(rule, prepared, view, shadow=rule.id in self.shadow)
                yield from self.feeds.hits(rule, prepared, view)
        for (correlation, reason), count in self.feeds.skipped.items():
            metrics.CORRELATION_SKIPPED.labels(correlation, reason).inc(count)
        self.feeds.skipped.clear()

    def _load(self, ruleset: RuleSet) -> None:
        """Compile first, so that rules which cannot be leave everything as it was."""
        self._adopt(ruleset, self._compile(ruleset))

    def _compile(self, ruleset: RuleSet) -> _Compiled:
        aside = overdrawn(ruleset, self._over)
        make = self._make or partial(IndexEngine, flatten=flattened if ruleset.mode == "native" else None)
        engine = make([rule for rule in ruleset.rules if rule.id not in aside])
        slow = make([rule for rule in ruleset.rules if rule.id in aside]) if aside else None
        return _Compiled(engine, slow, aside)

    def _adopt(self, ruleset: RuleSet, compiled: _Compiled) -> None:
        self.engine, self._aside, self.ruleset = compiled.engine, compiled.slow, ruleset
        self.shadow: dict[str, Shadow] = shadows(ruleset, self._listed, self._over)
        self.feeds = Feeds(operators(ruleset), self.shadow)
        self._native = ruleset.mode == "native"
        self._register()

    def _register(self) -> None:
        """Export what runs, from zero, and no more what left."""
        before, levels = self._exported, {rule.id: rule.level for rule in self.ruleset.rules}
        self._counters = metrics.register_rules(levels, self.shadow)
        self._exported = {rule: self.ruleset.by_id[rule].level for rule in self.shadow} | levels
        metrics.forget_rules({rule: before[rule] for rule in before.keys() - self._exported.keys()})

    def _flat(self, events: Sequence[Event]) -> Sequence[Event]:
        """The events as engines take them; the index looks into objects by itself, where a rule asks for one."""
        return list(map(flattened, events)) if self._native and self._make is not None else events


def flattened(event: Event) -> Event:
    """A native record with dotted names for what its objects hold; one without objects as it is."""
    kinds = set(map(type, event.values()))
    if dict not in kinds and (list not in kinds or not any(map(_holds_objects, event.values()))):
        return event
    own = {name: value for name, value in event.items() if type(value) is not dict and not _holds_objects(value)}
    return own | native_windows(event)


def _holds_objects(value: object) -> bool:
    return type(value) is list and dict in map(type, value)


def _kept(names: Sequence[str], view: View) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    room = HIT_BYTES
    value_of = view.value
    for name in names:
        value = value_of(name)
        if value is None or not present(value) or isinstance(value, dict):
            continue
        if isinstance(value, (str, list)) or (isinstance(value, int) and not -WIDEST <= value < WIDEST):
            value = short(value)
        room -= len(name) + len(str(value))
        if room >= 0 or name in IDENTITY:
            kept[name] = value
    return kept


def _alert(rule: Rule, event: Event, view: View, *, shadow: bool = False) -> Alert:
    misfit = event.get(MISFIT)
    words = words_of(rule.document, {**misfit, **event} if isinstance(misfit, dict) else event)
    appended = event.get("event.ingested") or event["@timestamp"]
    identity = alert_id(event_time(event), rule.id, str(event.get("event.id", "")), appended=parse_time(appended))
    return build(
        identity=identity,
        rule=rule.about,
        level=rule.level,
        reason=words["es"]["what_happened"],
        words=words,
        first=event,
        explanation=explain(rule, view),
        extra={FIELD: True} if shadow else None,
    )


def operators(ruleset: RuleSet, *, limit: int = LIMIT) -> list[CorrelationOperator]:
    """One operator for every correlation that alerts, and for those that these rest on, the lowest first.

    `limit` bounds the groups that each remembers per partition.
    """
    loud = [item for item in ruleset.correlations if item.id not in ruleset.muted]
    return _operators(loud, ruleset, limit)


def operators_of(correlation: Correlation, ruleset: RuleSet) -> list[CorrelationOperator]:
    """The operator of one correlation, which alerts, behind those it rests on, which do not."""
    return _operators([correlation], ruleset, LIMIT)


def operator_of(correlation: Correlation, ruleset: RuleSet) -> CorrelationOperator:
    """The operator of one correlation, which alerts."""
    return operators_of(correlation, ruleset)[-1]


def _operators(loud: Sequence[Correlation], ruleset: RuleSet, limit: int) -> list[CorrelationOperator]:
    wanted: dict[str, Correlation] = {}
    left = list(loud)
    while left:
        item = left.pop()
        if item.id not in wanted:
            wanted[item.id] = item
            left += [found for read in item.rules if isinstance(found := ruleset.by_id[read], Correlation)]
    chosen = [item for item in ruleset.correlations if item.id in wanted]
    alerting = {item.id for item in loud}
    return [
        CorrelationOperator(
            item, inner=wanted, readers=readers_of(item, chosen), alerts=item.id in alerting, limit=limit
        )
        for item in sorted(chosen, key=lambda item: item.depth)
    ]
