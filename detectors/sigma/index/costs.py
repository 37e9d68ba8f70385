"""What rules cost: how often they are asked and match, and the time that takes, measured now and then."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from detectors.sigma.budget import Cost
from detectors.sigma.rules import Rule

SAMPLE = 8
"""One judgement in so many is timed, rule by rule."""

MOST_COMBINATIONS = 65_536
"""Combinations of matching rules that are counted before they are added up."""


class Costs:
    """What rules have cost since they were compiled, by their places."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        """Nothing yet."""
        self._rules = rules
        self._asked = [0] * len(rules)
        self._spent = [0.0] * len(rules)
        self._matches: Counter[str] = Counter()
        self._combinations: Counter[tuple[Rule, ...]] = Counter()
        self._turn = 0

    def count(self, verdicts: Iterable[tuple[Rule, ...]]) -> None:
        """Take note of what events matched."""
        self._combinations.update(filter(None, verdicts))
        if len(self._combinations) > MOST_COMBINATIONS:
            self._add_up()

    def turn(self, places: Sequence[int]) -> bool:
        """Take note that rules are asked; True when this time it is to be measured."""
        for place in places:
            self._asked[place] += 1
        self._turn += 1
        return self._turn % SAMPLE == 0

    def spend(self, places: Sequence[int], nanoseconds: float) -> None:
        """Share time among rules."""
        for place in places:
            self._spent[place] += nanoseconds / len(places)

    def total(self, extra: Mapping[int, float]) -> dict[str, Cost]:
        """By rule id; `extra` is time in nanoseconds by place that was measured elsewhere."""
        self._add_up()
        return {
            rule.id: Cost(asked, self._matches[rule.id], round(spent + extra.get(place, 0.0)))
            for place, (rule, asked, spent) in enumerate(zip(self._rules, self._asked, self._spent, strict=True))
        }

    def _add_up(self) -> None:
        for combination, count in self._combinations.items():
            for rule in combination:
                self._matches[rule.id] += count
        self._combinations.clear()
