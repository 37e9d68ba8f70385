"""Decides which rules hold, given what holds for each field of an event; asks only rules that may."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import TypeAlias

from almena.stopwatch import perf_counter_ns
from detectors.sigma.index.atoms import NONE, WIDE, Atoms, Check, Condition, Held, compiled, numbers_of
from detectors.sigma.index.costs import SAMPLE, Costs
from detectors.sigma.index.lanes import Reach
from detectors.sigma.rules import Rule

MOST_SETS = 4_096
"""Sets of predicates for which the rules worth asking are remembered."""

LESSON = 512
"""Judgements after which the guesses about how rare a predicate is give way to what was seen; again at `AGAIN` times
as many."""

AGAIN = 64

_GUESS = 0.02
"""What the guess still counts for beside what was seen."""

Verdict: TypeAlias = tuple[Rule, ...]


class Judge:
    """All rules, by what they need."""

    def __init__(self, rules: Sequence[Rule], atoms: Atoms) -> None:
        """Numbers what `rules` ask in `atoms`."""
        self._rules = rules
        self._atoms = atoms
        self.conditions: list[Condition] = [atoms.condition(rule.expression) for rule in rules]
        self._checks: list[Check | None] = [None] * len(rules)
        self._by_number: Mapping[int, Sequence[int]] = {}
        self._worth: dict[Held, frozenset[int]] = {}
        self._guesses = list(atoms.rarity)
        self._seen: Counter[int] = Counter()
        self._judged = self._looked = 0
        self._lesson = LESSON
        self.costs = Costs(rules)
        self.always = self._sort()

    def _sort(self) -> frozenset[int]:
        """File each rule under the rarest predicates it needs; returns those that need none."""
        by_number: dict[int, list[int]] = defaultdict(list)
        always = set()
        for place, condition in enumerate(self.conditions):
            needed = self._atoms.needed(condition)
            if needed is None:
                always.add(place)
            for number in needed or ():
                by_number[number].append(place)
        self._by_number = dict(by_number)
        self._worth.clear()
        return frozenset(always)

    def verdict(self, reach: Reach, answers: Sequence[Held]) -> Verdict:
        """The rules of `reach` that hold, in the order they were loaded; `answers` is what holds, field by field."""
        self._judged += 1
        if self._judged % SAMPLE == 0:
            self._learn(answers)
        chosen = reach.always.union(*map(self._worth_asking, answers)) & reach.rules
        if not chosen:
            return ()
        held = NONE.union(*answers)
        return tuple(self._rules[place] for place in self._holding(sorted(chosen), held))

    def asking(self, numbers: frozenset[int]) -> dict[int, list[int]]:
        """For each of `numbers` the places of the rules that ask it."""
        found: dict[int, list[int]] = {number: [] for number in numbers}
        for place, condition in enumerate(self.conditions):
            for number in numbers.intersection(numbers_of(condition)):
                found[number].append(place)
        return found

    def _worth_asking(self, held: Held) -> frozenset[int]:
        found = self._worth.get(held)
        if found is None:
            found = frozenset(chain.from_iterable(self._by_number.get(number, ()) for number in held))
            if len(held) > WIDE:
                return found
            if len(self._worth) >= MOST_SETS:
                self._worth.clear()
            self._worth[held] = found
        return found

    def _holding(self, places: Sequence[int], held: Held) -> Iterator[int]:
        timed = self.costs.turn(places)
        for place in places:
            check = self._checks[place]
            if check is None:
                check = self._checks[place] = compiled(self.conditions[place])
            began = perf_counter_ns() if timed else 0
            if check(held):
                yield place
            if timed:
                self.costs.spend((place,), (perf_counter_ns() - began) * SAMPLE)

    def _learn(self, answers: Sequence[Held]) -> None:
        for held in answers:
            self._seen.update(held)
        self._looked += 1
        if self._judged >= self._lesson:
            self._lesson *= AGAIN
            seen, looked = self._seen, self._looked
            self._atoms.rarity = [seen[number] / looked + guess * _GUESS for number, guess in enumerate(self._guesses)]
            self._sort()
