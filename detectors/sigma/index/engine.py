"""Finds the rules that events match: each distinct value is asked once, each combination of answers is judged once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import repeat
from operator import or_

from almena.event import Batch, Event
from almena.stopwatch import perf_counter_ns
from detectors.sigma.budget import Cost
from detectors.sigma.expression import Predicate
from detectors.sigma.index.atoms import NONE, Atoms, Condition, Held, numbers_of, size_of
from detectors.sigma.index.field import FieldIndex
from detectors.sigma.index.judge import Judge, Verdict
from detectors.sigma.index.keywords import Keywords
from detectors.sigma.index.lanes import NOWHERE, Column, Flatten, Lane, Lanes, Reach, Row
from detectors.sigma.index.memo import BUDGET, Budget, Memory, ValueMemo
from detectors.sigma.matching import test_of
from detectors.sigma.rules import LogSource, Rule
from detectors.sigma.values import View

MOST_KEYWORD_SETS = 64
"""Log sources whose keywords have an index of their own; the others share one of all keywords."""

ENTRY = 400
"""Bytes that a remembered judgement needs, about, beside `COLUMN` for each answer it rests on."""

COLUMN = 24


class IndexEngine:
    """Answers batches of events, as asking each rule in turn would."""

    def __init__(self, rules: Sequence[Rule], *, budget: int = BUDGET, flatten: Flatten | None = None) -> None:
        """`budget` in bytes bounds what is remembered of events; `flatten` is for events with objects in them."""
        self._flatten = flatten
        self._rules = tuple(rules)
        self._atoms = Atoms()
        self._judge = Judge(self._rules, self._atoms)
        self._budget = Budget(budget)
        self._verdicts: Memory[tuple[object, ...], Verdict] = self._budget.memory(_weight)
        groups = self._grouped()
        fields: dict[str | None, list[tuple[int, Predicate]]] = defaultdict(list)
        for number, predicate in enumerate(self._atoms.predicates):
            if not predicate.op.startswith("fieldref_"):
                fields[predicate.field].append((number, predicate))
        self._keywords = fields.pop(None, [])
        self._fields = {
            name: ValueMemo(FieldIndex(found), self._budget, objects=flatten is not None)
            for name, found in fields.items()
            if name
        }
        self._keyword_indexes: dict[Held, Keywords] = {}
        self._spent: dict[int, float] = {}
        self._lanes = Lanes(groups, self._column, self._pairs, flatten)

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
            self._judge.costs.count(verdicts)
            for place, verdict in zip(places, verdicts, strict=True):
                if verdict:
                    results[place] = verdict
        return results

    def costs(self) -> Mapping[str, Cost]:
        """What each rule has cost so far, by id."""
        spent = dict(self._spent)
        measured = [memo.index.spent for memo in self._fields.values()]
        measured += [keywords.spent for keywords in self._keyword_indexes.values()]
        for part in measured:
            for number, nanoseconds in part.items():
                spent[number] = spent.get(number, 0.0) + nanoseconds
        shared: dict[int, float] = {}
        for number, places in self._judge.asking(frozenset(spent)).items():
            for place in places:
                shared[place] = shared.get(place, 0.0) + spent[number] / len(places)
        return self._judge.costs.total(shared)

    def _judged(self, lane: Lane, group: Sequence[Event], lines: Sequence[bytes] | None) -> list[Verdict]:
        answers: list[Sequence[Held]] = []
        if lane.values is not None:
            values = zip(*map(lane.values, group), strict=True)
            answers = [held for column, found in zip(lane.columns, values, strict=True) if (held := column(found))]
        if lane.texts is not None and (held := self._searched(lane, lane.texts, group, lines)):
            answers.append(held)
        answers += [self._compared(number, group) for number in lane.pairs]
        fixed = [repeat(lane.reach, len(group)), repeat(lane.constant, len(group))]
        signatures: list[tuple[object, ...]] = list(zip(*fixed, *answers, strict=True))
        known = self._verdicts.known
        try:
            return list(map(known.__getitem__, signatures))
        except KeyError:
            return [known[found] if found in known else self._remembered(found) for found in signatures]

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

    def _remembered(self, signature: tuple[object, ...]) -> Verdict:
        verdict = self._verdicts.recall(signature)
        if verdict is None:
            reach, *answers = signature
            verdict = self._judge.verdict(reach, answers)  # type: ignore[arg-type]
            self._verdicts.put(signature, verdict)
        return verdict

    def _compared(self, number: int, group: Sequence[Event]) -> list[Held]:
        """What holds of a predicate that compares two fields of an event."""
        test, yes = test_of(self._atoms.predicates[number]), frozenset((number,))
        began = perf_counter_ns()
        flat = group if self._flatten is None else map(self._flatten, group)
        found = [yes if test(View(event)) else NONE for event in flat]
        self._spent[number] = self._spent.get(number, 0.0) + perf_counter_ns() - began
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
        """The rules by log source."""
        groups: dict[LogSource, list[Reach]] = defaultdict(list)
        for place, (rule, condition) in enumerate(zip(self._rules, self._judge.conditions, strict=True)):
            groups[rule.logsource].append(self._reach(place, condition))
        return [(logsource, reduce(or_, reaches, NOWHERE)) for logsource, reaches in groups.items()]

    def _reach(self, place: int, condition: Condition) -> Reach:
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
            always=places & self._judge.always,
        )


def _weight(signature: tuple[object, ...], verdict: Verdict) -> int:
    _, *answers = signature
    return ENTRY + COLUMN * (len(answers) + len(verdict)) + sum(map(size_of, answers))  # type: ignore[arg-type]
