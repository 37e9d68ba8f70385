"""Sigma correlations in event time: counts, distinct values, and rules together or in order, by group.

A correlation reads hits of rules, or what other correlations found; such a chain runs as one operator, the inner
ones inside the outer. When the condition first holds an episode begins: one alert, identified by the earliest hit
of the window that first satisfied it, revised as hits go on coming (at counts that are powers of two) and once more
when a timespan has passed without any.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from almena.alert import Alert, alert_id, build, entity_of
from almena.clock import DAY, Span, parse_time
from almena.event import strings
from almena.hit import IDENTITY, Hit, group_key
from almena.state import State, Table
from almena.words import words_of
from detectors._windows import Memory, Signal, count, distinct, ordered
from detectors.sigma.rules import Correlation

LIMIT = 100_000
"""Groups that one correlation remembers per partition."""

TIERS = 4
"""Groups are kept by how near they are to the threshold, each tier with its own share of `LIMIT`: noise never
pushes out a group that is nearly there."""

EPISODE = DAY
"""The longest an episode may go on; what follows is a new one."""

MOST_FIELDS_KEPT = 50
"""Hits of one window that keep all their fields; a larger window keeps what identifies each hit."""

MOST_VALUES = 500
"""Distinct values of one episode that are counted exactly."""

LONGEST = 200
"""Characters of a value that is compared; a longer one is told apart by a hash."""

_SWEEP = "\x1e"
_SLIM = (*IDENTITY, "event.dataset")
_OF_FIRST = ("@", "event.", "log.", "almena.alert.", "organization.")  # said of the first event, as its id is


def short(value: object) -> str:
    """A value as text to group or count by: a list as one, a long text as its beginning and a hash."""
    text = ", ".join(strings(value)) if isinstance(value, list) else str(value)
    if len(text) <= LONGEST:
        return text
    digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()
    return f"{text[: LONGEST - 20]}…{digest}"


@dataclass(frozen=True, eq=False)
class Node:
    """A correlation of a chain with those it reads."""

    rule: Correlation
    inner: tuple[Node, ...] = ()

    def nodes(self) -> list[Node]:
        """This one and all inside it, inner ones first."""
        return list(dict.fromkeys([node for child in self.inner for node in child.nodes()] + [self]))

    def leaves(self) -> list[str]:
        """Ids of the rules whose hits it rests on."""
        return list(self._fields)

    def field(self, name: str, leaf: str) -> str:
        """What `name` is called in the events of the rule `leaf`."""
        return self._fields[leaf][name]

    @cached_property
    def _fields(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        inner = {node.rule.id: node for node in self.inner}
        for read in self.rule.rules:
            names = self.rule.sources[read]
            node = inner.get(read)
            if node is None:
                found.setdefault(read, dict(names))
                continue
            for leaf in node.leaves():
                found.setdefault(leaf, {name: node.field(source, leaf) for name, source in names.items()})
        return found

    def feed(self, memory: Memory, read: str, signal: Signal) -> Signal | None:
        """One signal of the rule `read` into this window; a signal when the condition holds."""
        rule = self.rule
        match rule.type:
            case "event_count":
                return count(memory, signal, rule.timespan, rule.threshold)
            case "value_count":
                return distinct(memory, signal, rule.timespan, rule.threshold)
            case "temporal":
                named = Signal(signal.time, signal.first, signal.count, read, signal.fresh)
                return distinct(memory, named, rule.timespan, rule.threshold)
            case _:
                places = [place for place, other in enumerate(rule.rules) if other == read]
                return ordered(memory, signal, rule.timespan, places, len(rule.rules))

    def about(self) -> dict[str, Any]:
        """The node of an explanation."""
        rule = self.rule
        written = rule.threshold - 1 if rule.operator == "gt" else rule.threshold
        node: dict[str, Any] = {
            "kind": "correlation",
            "rule": rule.id,
            "type": rule.type,
            "threshold": f"{rule.operator} {written}",
            "timespan": str(Span(rule.timespan)),
            "pass": True,
        }
        if rule.counted:
            node["counted"] = list(rule.counted)
        if rule.type in ("temporal", "temporal_ordered"):
            node["rules"] = list(rule.rules)
        if self.inner:
            node["children"] = [inner.about() for inner in self.inner]
        return node


class CorrelationOperator:
    """The stateful half of one correlation, with those it reads inside it."""

    def __init__(self, root: Node, *, limit: int = LIMIT, longest: int = EPISODE) -> None:
        """`limit` bounds the groups remembered per partition, `longest` an episode (microseconds)."""
        self.root = root
        self._nodes = root.nodes()
        self._limit = max(limit // TIERS, 1)
        self._longest = max(longest, root.rule.timespan)
        self._memory = max(node.rule.timespan for node in self._nodes)
        self._slim = {node.rule.id: node.rule.threshold > MOST_FIELDS_KEPT for node in self._nodes}

    @property
    def name(self) -> str:
        """The correlation's id: what `Hit.detector` says."""
        return self.root.rule.id

    @property
    def version(self) -> str:
        """Changes with the correlation and with every rule it reads."""
        return self.root.rule.version

    def observe(self, hits: Sequence[Hit], state: State) -> Iterator[Alert]:
        """Take hits in (time, id) order."""
        for hit in hits:
            tier, group = self._find(hit.group, state)
            if group is None:
                group = {"windows": {}, "last": hit.time}
                self._wake_sweep(hit.time, state)
            episode = group.get("episode")
            if episode is not None and self._over(episode, hit.time):
                yield from self._end(hit.group, group)
                episode = None
            satisfied = self._feed(group, hit)
            group["last"] = hit.time
            if episode is not None:
                yield from self._go_on(hit, group, episode)
            elif satisfied is not None:
                yield self._begin(hit, group, satisfied)
                state.wake(hit.group, hit.time + self.root.rule.timespan + 1)
            self._keep(hit.group, tier, group, state)

    def advance(self, now: int, due: Sequence[str], state: State) -> Iterator[Alert]:
        """End the episodes of `due` that have had no hit for a timespan, and forget groups that are past."""
        for key in due:
            if key == _SWEEP:
                yield from self._sweep(now, state)
                continue
            tier, group = self._find(key, state)
            episode = None if group is None else group.get("episode")
            if group is None or episode is None:
                continue
            if self._over(episode, now):
                yield from self._end(key, group)
                self._keep(key, tier, group, state)
            else:
                state.wake(key, episode["last"][0] + self.root.rule.timespan + 1)

    def _feed(self, group: dict[str, Any], hit: Hit) -> Signal | None:
        """The hit through every window, inner ones first; what the outermost says."""
        signals: dict[str, Signal] = {hit.rule: Signal(hit.time, [hit.time, hit.id, hit.fields])}
        for node in self._nodes:
            own: Signal | None = None
            for read in dict.fromkeys(node.rule.rules):
                signal = signals.get(read)
                if signal is None:
                    continue
                key = self._window(node, hit)
                if key is None:
                    continue
                memory = group["windows"].setdefault(key, {})
                slim = self._slim[node.rule.id]
                counted = self._counted(node, hit) if node.rule.counted else ""
                if counted is None:
                    continue
                first = [*signal.first[:2], _slim(signal.first[2])] if slim else signal.first
                fed = node.feed(memory, read, Signal(signal.time, first, signal.count, counted, signal.fresh))
                own = fed or own
            if own is not None:
                signals[node.rule.id] = own
        return signals.get(self.root.rule.id)

    def _window(self, node: Node, hit: Hit) -> str | None:
        """The window of the node that a hit goes to: an inner one may group by more than the outermost."""
        if node is self.root:
            return node.rule.id
        values = [hit.fields.get(node.field(name, hit.rule)) for name in node.rule.group_by]
        if any(value is None or value == "" for value in values):
            return None
        return group_key(node.rule.id, *values)

    def _counted(self, node: Node, hit: Hit) -> str | None:
        values = [hit.fields.get(node.field(name, hit.rule)) for name in node.rule.counted]
        if any(value is None or value == "" for value in values):
            return None
        return group_key(*values)

    def _begin(self, hit: Hit, group: dict[str, Any], satisfied: Signal) -> Alert:
        first = [satisfied.first[0], satisfied.first[1], self._rich(satisfied.first[2], hit)]
        episode = {"first": first, "last": [hit.time, hit.id, hit.fields], "count": satisfied.count}
        if hit.shadow:
            # For as long as it goes on: what somebody reads as an alert does not turn into a shadow, nor back.
            episode["shadow"] = True
        if self.root.rule.type == "value_count":
            seen = group["windows"][self.root.rule.id]["seen"]
            episode["values"] = {_digest(value): 1 for value in list(seen)[:MOST_VALUES]}
        group["episode"] = episode
        return self._alert(hit.group, episode, hit.time)

    def _go_on(self, hit: Hit, group: dict[str, Any], episode: dict[str, Any]) -> Iterator[Alert]:
        again = hit.id.rpartition("/")[0] == str(episode["last"][1]).rpartition("/")[0] != ""
        episode["last"] = [hit.time, hit.id, hit.fields]
        values = episode.get("values")
        if values is not None and len(values) < MOST_VALUES:
            counted = self._counted(self.root, hit)
            if counted is not None:
                values[_digest(counted)] = 1
        if again:
            return
        episode["count"] += 1
        if episode["count"] & (episode["count"] - 1) == 0:
            yield self._alert(hit.group, episode, hit.time)

    def _over(self, episode: dict[str, Any], now: int) -> bool:
        return bool(now - episode["last"][0] > self.root.rule.timespan or now - episode["first"][0] > self._longest)

    def _end(self, key: str, group: dict[str, Any]) -> Iterator[Alert]:
        """The final revision, unless the last one said it all; the window starts anew."""
        episode = group.pop("episode")
        group["windows"].pop(self.root.rule.id, None)
        if episode["told"] != episode["last"][1]:
            yield self._alert(key, episode, episode["last"][0] + self.root.rule.timespan + 1)

    def _alert(self, key: str, episode: dict[str, Any], now: int) -> Alert:
        rule = self.root.rule
        episode["told"] = episode["last"][1]
        first, last = episode["first"][2], episode["last"][2]
        group = self._group(last, episode)
        appended = first.get("event.ingested") or first["@timestamp"]
        identity = alert_id(
            parse_time(first["@timestamp"]), rule.id, key, str(episode["first"][1]), appended=parse_time(appended)
        )
        words = words_of(rule.document, {**first, **last, "almena.alert.count": episode["count"]})
        root = self.root.about() | {"group": group, "value": self._value(episode)}
        document = build(
            identity=identity,
            rule=rule.about,
            level=rule.level,
            reason=words["es"]["what_happened"],
            words=words,
            first=first,
            last=last,
            count=episode["count"],
            explanation={"condition": _condition(root), "root": root},
            entity=_entity(group),
            revision=(now, episode["count"]),
            extra={"almena.alert.shadow": True} if episode.get("shadow") else None,
        )
        return _common(document, first, last, set(group))

    def _group(self, fields: dict[str, Any], episode: dict[str, Any]) -> dict[str, Any]:
        leaf = str(episode["last"][1]).rpartition("/")[2]
        names = [self.root.field(name, leaf) for name in self.root.rule.group_by]
        return {name: fields.get(name, "") for name in names}

    def _value(self, episode: dict[str, Any]) -> int | str:
        values = episode.get("values")
        if values is not None:
            return len(values) if len(values) < MOST_VALUES else f"≥ {MOST_VALUES}"
        if self.root.rule.type == "event_count":
            return int(episode["count"])
        return self.root.rule.threshold

    def _rich(self, fields: dict[str, Any], hit: Hit) -> dict[str, Any]:
        """The first hit's fields; what a slim one lacks of the group comes from the present hit."""
        names = [self.root.field(name, hit.rule) for name in self.root.rule.group_by]
        return {name: hit.fields[name] for name in names if name in hit.fields} | fields

    def _tables(self, state: State) -> list[Table]:
        return [state.table(f"tier{tier}", limit=self._limit) for tier in range(TIERS)]

    def _find(self, key: str, state: State) -> tuple[int, dict[str, Any] | None]:
        for tier, table in enumerate(self._tables(state)):
            if key in table:
                return tier, table.get(key)
        return 0, None

    def _keep(self, key: str, old: int, group: dict[str, Any], state: State) -> None:
        tables = self._tables(state)
        tier = self._tier(group)
        if tier != old:
            tables[old].delete(key)
        tables[tier].put(key, group)

    def _tier(self, group: dict[str, Any]) -> int:
        if "episode" in group:
            return TIERS - 1
        nearest = 0.0
        for node in self._nodes:
            window = group["windows"].get(node.rule.id)
            if window:
                whole = len(node.rule.rules) if node.rule.type == "temporal_ordered" else node.rule.threshold
                nearest = max(nearest, window.get("reached", 0) / whole)
        return min(int(nearest * (TIERS - 1)), TIERS - 2)

    def _wake_sweep(self, time: int, state: State) -> None:
        if not any(len(table) for table in self._tables(state)):
            state.wake(_SWEEP, time + self._memory + 1)

    def _sweep(self, now: int, state: State) -> Iterator[Alert]:
        """Forget the groups whose every window is past; what is forgotten would start anew all the same."""
        left = False
        for table in self._tables(state):
            for key in table:
                group = table.get(key)
                if now - group["last"] > self._memory:
                    if "episode" in group:
                        yield from self._end(key, group)
                    table.delete(key)
                else:
                    left = True
        if left:
            state.wake(_SWEEP, now + self._memory + 1)


def _slim(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: fields[name] for name in _SLIM if name in fields}


def _digest(value: str) -> str:
    return hashlib.blake2b(value.encode("utf-8", "replace"), digest_size=8).hexdigest()


def _condition(root: dict[str, Any]) -> str:
    return f"{root['type']} {root['threshold']} / {root['timespan']}"


def _entity(group: dict[str, Any]) -> str | None:
    if not group:
        return None
    return entity_of(group) or next((f"{name}={value}" for name, value in group.items() if value), None)


def _common(document: Alert, first: dict[str, Any], last: dict[str, Any], group: set[str]) -> Alert:
    """The alert without the fields of its first event that its last one contradicts."""
    for name in first:
        differs = first[name] != last.get(name, first[name])
        if differs and name not in group and not name.startswith(_OF_FIRST):
            document.pop(name, None)
    return document
