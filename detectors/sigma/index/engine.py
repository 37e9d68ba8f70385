"""Finds the rules that events match: each distinct value is asked once, each combination of answers is judged once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from itertools import repeat
from operator import or_
from time import perf_counter_ns
from typing import TypeAlias

from almena.event import Batch, Event
from detectors.sigma.budget import Cost
from detectors.sigma.expression import Predicate
from detectors.sigma.index.atoms import NONE, Atoms, Check, Condition, Held, compiled, numbers_of
from detectors.sigma.index.field import MOST_SETS, FieldIndex
from detectors.sigma.index.keywords import Keywords
from detectors.sigma.index.lanes import NOWHERE, Column, Lane, Lanes, Reach, Row
from detectors.sigma.index.memo import BUDGET, Budget, Memory, ValueMemo
from detectors.sigma.matching import test_of
from detectors.sigma.rules import LogSource, Rule
from detectors.sigma.values import View

SAMPLE = 8
"""One judgement in so many is timed, rule by rule."""

MOST_KEYWORD_SETS = 64
"""Log sources whose keywords have an index of their own; the others share one of all keywords."""

ENTRY = 400
"""Bytes that a remembered judgement needs, about, beside `COLUMN` for each answer it rests on."""

COLUMN = 24

Verdict: TypeAlias = tuple[Rule, ...]


class IndexEngine:
    """Answers batches of events, as asking each rule in turn would."""

    def __init__(self, rules: Sequence[Rule], *, budget: int = BUDGET) -> None:
        """`budget` in bytes bounds what is remembered of events."""
        self._rules = tuple(rules)
        self._atoms = Atoms()
        self._conditions = [self._atoms.condition(rule.expression) for rule in self._rules]
        self._checks: list[Check | None] = [None] * len(self._rules)
        self._by_number: dict[int, list[int]] = defaultdict(list)
        """By predicate, the rules that are worth asking once it holds."""
        self._worth: dict[Held, frozenset[int]] = {}
        self._budget = Budget(budget)
        self._verdicts: Memory[tuple[object, ...], Verdict] = self._budget.memory()
        self._costs = _Costs(self._rules)
        groups = self._grouped()
        fields: dict[str | None, list[tuple[int, Predicate]]] = defaultdict(list)
        for number, predicate in enumerate(self._atoms.predicates):
            if not predicate.op.startswith("fieldref_"):
                fields[predicate.field].append((number, predicate))
        self._keywords = fields.pop(None, [])
        self._fields = {name: ValueMemo(FieldIndex(found), self._budget) for name, found in fields.items() if name}
        self._keyword_indexes: dict[Held, Keywords] = {}
        self._lanes = Lanes(groups, self._column, self._pairs)

    def match(self, event: Event) -> Verdict:
        """The rules that one event matches, in the order they were loaded."""
        return self.match_all((event,))[0]

    def match_all(self, events: Sequence[Event]) -> list[Verdict]:
        """For each event the rules that it matches; never raises for what an event contains.

        A `Batch` also has the bytes that its events were read from, which are searched faster.
        """
        results: list[Verdict] = [()] * len(events)
        lines = events.lines if isinstance(events, Batch) else None
        for lane, (places, group) in self._lanes.sort(events).items():
            verdicts = self._judged(lane, group, lines and [lines[place] for place in places])
            self._costs.count(verdicts)
            for place, verdict in zip(places, verdicts, strict=True):
                if verdict:
                    results[place] = verdict
        return results

    def costs(self) -> Mapping[str, Cost]:
        """What each rule has cost so far, by id."""
        return self._costs.total()

    def _judged(self, lane: Lane, group: Sequence[Event], lines: Sequence[bytes] | None) -> list[Verdict]:
        answers: list[Sequence[Held]] = []
        if lane.values is not None:
            values = zip(*map(lane.values, group), strict=True)
            answers = [held for column, found in zip(lane.columns, values, strict=True) if (held := column(found))]
        if lane.texts is not None and (held := self._searched(lane, lane.texts, group, lines)):
            answers.append(held)
        answers += [self._compared(number, group) for number in lane.pairs]
        signatures = list(zip(repeat(lane.reach, len(group)), *answers, strict=True))
        known = self._verdicts.known
        try:
            return list(map(known.__getitem__, signatures))
        except KeyError:
            return [known[found] if found in known else self._judge(found) for found in signatures]

    def _searched(
        self, lane: Lane, texts: Row, group: Sequence[Event], lines: Sequence[bytes] | None
    ) -> Sequence[Held]:
        """What keywords find; where the bytes are known only events that may hold one are looked into."""
        keywords = self._keywords_of(lane.reach.keywords)
        places = range(len(group)) if lines is None else keywords.suspects(lines)
        if not places:
            return ()
        rows = map(texts, group if len(places) == len(group) else [group[place] for place in places])
        held = keywords.of(zip(*rows, strict=True), len(places))
        if not held or len(places) == len(group):
            return held
        found = [NONE] * len(group)
        for place, numbers in zip(places, held, strict=True):
            found[place] = numbers
        return found

    def _judge(self, signature: tuple[object, ...]) -> Verdict:
        size = ENTRY + COLUMN * len(signature)
        verdict = self._verdicts.recall(signature, size)
        if verdict is None:
            reach, *answers = signature
            assert isinstance(reach, Reach)
            chosen = reach.always.union(*map(self._worth_asking, answers)) & reach.rules  # type: ignore[arg-type]
            if chosen:
                held: Held = NONE.union(*answers)  # type: ignore[arg-type]
                verdict = tuple(self._rules[place] for place in self._asked(sorted(chosen), held))
            else:
                verdict = ()
            self._verdicts.put(signature, verdict, size)
        return verdict

    def _worth_asking(self, held: Held) -> frozenset[int]:
        found = self._worth.get(held)
        if found is None:
            if len(self._worth) >= MOST_SETS:
                self._worth.clear()
            found = frozenset(place for number in held for place in self._by_number.get(number, ()))
            self._worth[held] = found
        return found

    def _asked(self, places: Sequence[int], held: Held) -> Iterator[int]:
        timed = self._costs.turn(places)
        for place in places:
            check = self._checks[place]
            if check is None:
                check = self._checks[place] = compiled(self._conditions[place])
            began = perf_counter_ns() if timed else 0
            if check(held):
                yield place
            if timed:
                self._costs.spend(place, (perf_counter_ns() - began) * SAMPLE)

    def _compared(self, number: int, group: Sequence[Event]) -> list[Held]:
        """What holds of a predicate that compares two fields of an event."""
        test, yes = test_of(self._atoms.predicates[number]), frozenset((number,))
        began = perf_counter_ns()
        found = [yes if test(View(event)) else NONE for event in group]
        for place in self._by_number[number]:
            self._costs.spend(place, perf_counter_ns() - began)
        return found

    def _column(self, name: str) -> Column:
        return self._fields[name].of

    def _keywords_of(self, numbers: Held) -> Keywords:
        """The index of the keywords `numbers`, or of all of them when there are too many log sources."""
        found = self._keyword_indexes.get(numbers)
        if found is None:
            few = len(self._keyword_indexes) < MOST_KEYWORD_SETS
            asked = [(number, predicate) for number, predicate in self._keywords if not few or number in numbers]
            key = numbers if few else NONE
            found = self._keyword_indexes.get(key) or Keywords(asked)
            self._keyword_indexes[key] = found
        return found

    def _pairs(self, reach: Reach, names: frozenset[str]) -> Held:
        asked = ((number, self._atoms.predicates[number]) for number in reach.pairs)
        return frozenset(number for number, pair in asked if pair.field in names and pair.value in names)

    def _grouped(self) -> list[tuple[LogSource, Reach]]:
        """The rules by log source, and by the way the predicates that make a rule worth asking."""
        groups: dict[LogSource, list[Reach]] = defaultdict(list)
        for place, (rule, condition) in enumerate(zip(self._rules, self._conditions, strict=True)):
            needed = self._atoms.needed(condition)
            for number in needed or ():
                self._by_number[number].append(place)
            groups[rule.logsource].append(self._reach(place, condition, always=needed is None))
        return [(logsource, reduce(or_, reaches, NOWHERE)) for logsource, reaches in groups.items()]

    def _reach(self, place: int, condition: Condition, *, always: bool) -> Reach:
        numbers = frozenset(numbers_of(condition))
        predicates = [(number, self._atoms.predicates[number]) for number in numbers]
        pairs = frozenset(number for number, predicate in predicates if predicate.op.startswith("fieldref_"))
        places = frozenset((place,))
        return Reach(
            rules=places,
            fields=frozenset(
                predicate.field for number, predicate in predicates if predicate.field and number not in pairs
            ),
            keywords=frozenset(number for number, predicate in predicates if predicate.field is None),
            pairs=pairs,
            always=places if always else frozenset(),
        )


class _Costs:
    """What rules cost, by their places."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._candidates = [0] * len(rules)
        self._spent = [0] * len(rules)
        self._matched: Counter[Verdict] = Counter()
        self._turn = 0

    def count(self, verdicts: Sequence[Verdict]) -> None:
        self._matched.update(filter(None, verdicts))

    def turn(self, places: Sequence[int]) -> bool:
        """Take note that rules are asked; True when this time it is measured."""
        for place in places:
            self._candidates[place] += 1
        self._turn += 1
        return self._turn % SAMPLE == 0

    def spend(self, place: int, nanoseconds: int) -> None:
        self._spent[place] += nanoseconds

    def total(self) -> dict[str, Cost]:
        matches: Counter[str] = Counter()
        for verdict, count in self._matched.items():
            for rule in verdict:
                matches[rule.id] += count
        return {
            rule.id: Cost(candidates, matches[rule.id], spent)
            for rule, candidates, spent in zip(self._rules, self._candidates, self._spent, strict=True)
        }
