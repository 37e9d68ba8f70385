"""The verdicts of both sides on one lane, and a reason for each that only one of them gives.

`python -m bench.engine_pairs RULES MODE WHOLE HALF PEER LIST`: events that carry their number; `HALF` is where the
second half begins, `PEER` the peer's program. Every difference is added to the file `LIST`; one line of JSON is said.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import cast

import msgspec

from almena.event import decode
from bench.engine_lanes import LABELS
from bench.engine_run import Pair, loaded, matcher, verdicts
from bench.peer import ECS, ROUTED, Peer
from detectors.sigma.expression import predicates
from detectors.sigma.inputs import Mode
from detectors.sigma.logsource import Route, origin_of, route_of
from detectors.sigma.rules import Correlation, LogSource, Rule, RuleSet

SAME_NAMES = "same-names.yml"
"""A pipeline for the peer that says what our pipelines make of every field of every rule."""

OUR_NAMES = "routed, our field names"
"""The peer's way of running with it."""


class Difference(msgspec.Struct, frozen=True):
    """Verdicts of one rule that only one side gives, for one reason."""

    side: str
    """The peer's way of running: `default`, `routed` or `routed, our field names`."""
    whose: str
    """`ours` or `the peer's`."""
    reason: str
    """`log source`, `field names` or `unexplained`."""
    rule: str
    title: str
    logsource: str
    detail: str
    """Log source: which part of it the event is not of; ours: of which its label names another."""
    count: int
    example: int
    """The number of an event."""


class Side(msgspec.Struct):
    """The peer in one way of running, beside ours."""

    name: str
    pairs: int
    second: int
    """Pairs of the second half."""
    both: int
    differences: list[Difference]

    def count(self, whose: str, *reasons: str) -> int:
        """Pairs that only one side gives, for one of the reasons or for any."""
        return sum(
            item.count for item in self.differences if item.whose == whose and (not reasons or item.reason in reasons)
        )


class Compared(msgspec.Struct):
    """What one lane says."""

    ours: int
    second: int
    sides: list[Side]


class Judge:
    """Gives reasons."""

    def __init__(self, rules: Mapping[str, Rule | Correlation], events: Path) -> None:
        """`events` are those the verdicts are about."""
        self._rules = rules
        route = lru_cache(maxsize=4_096)(route_of)
        self._routes: list[Route] = []
        self._labels: list[tuple[object, ...]] = []
        with events.open("rb") as lines:
            for event in map(decode, lines):
                self._routes.append(route(origin_of(event)))
                self._labels.append(tuple(event.get(name) for name in LABELS))

    def differences(self, side: str, ours: set[Pair], theirs: set[Pair], same: set[Pair] | None) -> list[Difference]:
        """Every difference with its reason; `same` is what the peer says when it reads the fields that we read."""
        found: Counter[tuple[str, str, str, str]] = Counter()
        examples: dict[tuple[str, str, str, str], int] = {}
        for whose, only in (("ours", ours - theirs), ("the peer's", theirs - ours)):
            for pair in sorted(only):
                number, rule = pair
                detail = self._unreached(number, rule) if whose == "the peer's" else self._denied(number, rule)
                if detail:
                    reason = "log source"
                elif same is not None and (pair in ours) == (pair in same):
                    reason = "field names"
                else:
                    reason = "unexplained"
                key = whose, rule, reason, detail
                found[key] += 1
                examples.setdefault(key, number)
        return [self._difference(side, key, count, examples[key]) for key, count in found.most_common()]

    def _difference(self, side: str, key: tuple[str, str, str, str], count: int, example: int) -> Difference:
        whose, rule, reason, detail = key
        known = self._rules.get(rule)
        title, source = (known.title, str(_source(known))) if known else ("not loaded", "")
        return Difference(side, whose, reason, rule, title, source, detail, count, example)

    def _unreached(self, number: int, rule: str) -> str:
        """Which part of the rule's log source the event is not of; empty when it is of all of it."""
        known = self._rules.get(rule)
        return unreached(self._routes[number], _source(known)) if known else ""

    def _denied(self, number: int, rule: str) -> str:
        """Which part of the rule's log source the event's own labels, all that the peer reads, speak against."""
        known = self._rules.get(rule)
        return denied(self._labels[number], _source(known)) if known else ""


def denied(labels: Sequence[object], source: LogSource) -> str:
    """The parts of a log source for which an event's labels (product, category, service) name another."""
    parts = zip(LABELS, (source.product, source.category, source.service), labels, strict=True)
    return " and ".join(name for name, wanted, label in parts if None not in (wanted, label) and wanted != label)


def unreached(route: Route, source: LogSource) -> str:
    """The parts of a log source that a route does not reach, such as `category`."""
    parts = (
        ("product", source.product, route.products),
        ("category", source.category, route.categories),
        ("service", source.service, route.services),
    )
    return " and ".join(name for name, wanted, given in parts if wanted is not None and wanted not in given)


def _source(rule: Rule | Correlation) -> LogSource:
    return rule.logsource if isinstance(rule, Rule) else LogSource()


def same_names(native: RuleSet, mapped: RuleSet) -> bytes:
    """The pipeline `SAME_NAMES`, as JSON, which is YAML: for each log source, what each field is called in ECS.

    Where our pipelines map values too, it maps those first.
    """
    names: dict[LogSource, dict[str, str]] = {}
    values: dict[LogSource, dict[str, dict[str, str]]] = {}
    for rule in native.rules:
        for field in rule.fields:
            name = mapped.field(field, rule.logsource) if field else field
            if name != field:
                names.setdefault(rule.logsource, {})[field] = name
        for field, old, new in _changed_values(rule, mapped.by_id.get(rule.id)):
            values.setdefault(rule.logsource, {}).setdefault(field, {})[old] = new
    transformations: list[dict[str, object]] = []
    # The narrowest log sources first: a wide one's condition holds for the rules of a narrow one too.
    for source in sorted(names, key=lambda item: (-len(_stated(item)), str(item))):
        conditions = [{"type": "logsource", **_stated(source)}]
        for field, changed in sorted(values.get(source, {}).items()):
            only = [{"type": "include_fields", "fields": [field]}]
            transformations.append(
                {"id": f"{source} {field}", "type": "map_string", "mapping": changed}
                | {"rule_conditions": conditions, "field_name_conditions": only}
            )
        own = dict(sorted(names[source].items()))
        transformations.append(
            {"id": str(source), "type": "field_name_mapping", "mapping": own, "rule_conditions": conditions}
        )
    return msgspec.json.encode({"name": "same names", "priority": 10, "transformations": transformations})


def _changed_values(native: Rule, mapped: Rule | Correlation | None) -> Iterator[tuple[str, str, str]]:
    """Field, value and what our pipelines make of the value, where they change it."""
    if isinstance(mapped, Rule):
        both = list(zip(predicates(native.expression), predicates(mapped.expression), strict=False))
        for old, new in both:
            if old.field and (old.op, new.op) == ("equals", "equals") and old.value != new.value:
                yield old.field, str(old.value), str(new.value)


def _stated(source: LogSource) -> dict[str, str]:
    parts = {"product": source.product, "category": source.category, "service": source.service}
    return {name: value for name, value in parts.items() if value is not None}


def compare(rules: Path, mode: Mode, events: Path, half: int, peer: Peer) -> Compared:
    """Run both sides over `events` and say where they differ."""
    ruleset = loaded(rules, mode)
    ours = set(verdicts(matcher(ruleset), events)[1])
    judge = Judge(ruleset.by_id, events)
    mapping: Sequence[str] = ()
    runs: dict[str, set[Pair]] = {}
    if mode == "ecs":
        pipeline = events.with_name(SAME_NAMES)
        pipeline.write_bytes(same_names(loaded(rules, "native"), ruleset))
        mapping = ECS
        runs[OUR_NAMES] = set(peer.pairs(rules, events, (*ROUTED, "--pipeline", str(pipeline))))
    runs["routed"] = set(peer.pairs(rules, events, (*ROUTED, *mapping)))
    same = runs.get(OUR_NAMES)
    runs["default"] = set(peer.pairs(rules, events, mapping))
    sides = [
        Side(
            name,
            len(theirs),
            _second(theirs, half),
            len(ours & theirs),
            judge.differences(name, ours, theirs, None if name == OUR_NAMES else same),
        )
        for name, theirs in sorted(runs.items())
    ]
    return Compared(len(ours), _second(ours, half), sides)


def _second(pairs: set[Pair], half: int) -> int:
    return sum(number >= half for number, _ in pairs)


def start(rules: Path, mode: Mode, events: Path, half: int, peer: Peer, listed: Path) -> Compared:
    """Compare in a process of its own; raises CalledProcessError."""
    command = [sys.executable, "-m", "bench.engine_pairs", str(rules), mode, str(events), str(half)]
    command += [str(peer.program), str(listed)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1])
    return msgspec.json.decode(done.stdout, type=Compared)


def main() -> None:
    """Compare what the command line names."""
    rules, mode, events, half, peer, listed = sys.argv[1:]
    found = compare(Path(rules), cast("Mode", mode), Path(events), int(half), Peer(Path(peer)))
    with Path(listed).open("a", encoding="utf-8") as file:
        for side in found.sides:
            for item in side.differences:
                file.write("\t".join((Path(events).parent.name, *map(str, msgspec.structs.astuple(item)))) + "\n")
    sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")


if __name__ == "__main__":
    main()
