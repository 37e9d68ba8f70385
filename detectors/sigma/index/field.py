"""What rules ask of one field, answered for many of its values at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_network
from typing import TypeAlias

from detectors.sigma.expression import Predicate
from detectors.sigma.index.atoms import NONE, WIDE, Held
from detectors.sigma.index.literals import Literals
from detectors.sigma.index.patterns import Patterns
from detectors.sigma.matching import COMPARE
from detectors.sigma.regex import compile_pattern
from detectors.sigma.values import address, fold, number, time_part

MOST_SETS = 1_024
"""Distinct answers of which one copy each is kept."""

SAMPLE = 32
"""One look in so many is measured, expression by expression."""

_DIGITS = frozenset("+-0123456789")

_LITERAL = {"contains": "contains", "startswith": "starts", "endswith": "ends", "equals": "equals"}

_Single: TypeAlias = Callable[[str], bool]


class FieldIndex:
    """The predicates of one field, or of keywords, over texts; equal texts have equal answers."""

    def __init__(self, predicates: Iterable[tuple[int, Predicate]]) -> None:
        """`predicates` with their numbers."""
        self.existence = NONE
        """The number that holds where the event has the field, be it nothing."""
        self.presence = NONE
        """What holds for any value but nothing, also for one without any text."""
        self._any: Held = NONE
        self._empty: Held = NONE
        self._numbers: dict[int | float, int] = {}
        self._compared: list[tuple[int, Predicate]] = []
        self._networks: dict[tuple[int, int], dict[int, int]] = defaultdict(dict)
        self._single: list[tuple[int, _Single]] = []
        words: tuple[_Words, _Words] = (defaultdict(dict), defaultdict(dict))
        patterns: tuple[dict[str, int], dict[str, int]] = ({}, {})
        for place, predicate in predicates:
            if predicate.op in _LITERAL and not predicate.part:
                self._literal(place, predicate, words[predicate.cased])
            elif predicate.op in ("wildcard", "re"):
                known = patterns[predicate.cased or predicate.op == "re"]
                if known.setdefault(str(predicate.value), place) != place:
                    # An expression that is written as a wildcard's pattern is.
                    self._single.append((place, _searching(str(predicate.value))))
            else:
                self._other(place, predicate)
        self._literals = [
            Literals(**{kind: found[kind] for kind in _LITERAL.values()}, lower=found is words[0])
            for found in words
            if found
        ]
        self.patterns = [(Patterns(found), found is patterns[0]) for found in patterns if found]
        """Its regular expressions, and whether texts are in lower case for them."""
        self.spent: dict[int, float] = {}
        """Nanoseconds by number that regular expressions took, estimated now and then."""
        self._turn = 0
        self._sets: dict[Held, Held] = {}

    def _literal(self, place: int, predicate: Predicate, words: _Words) -> None:
        if predicate.value:
            words[_LITERAL[predicate.op]][str(predicate.value)] = place
        elif predicate.op == "equals":
            self._empty |= {place}
        else:
            self._any |= {place}

    def _other(self, place: int, predicate: Predicate) -> None:
        op, value = predicate.op, predicate.value
        if op in ("exists", "present"):
            self.presence |= {place}
            self._any |= {place}
            if op == "exists":
                self.existence = frozenset((place,))
        elif predicate.part:
            self._single.append((place, _part(predicate)))
        elif op == "cidr":
            network = ip_network(str(value))
            rest = network.max_prefixlen - network.prefixlen
            self._networks[network.version, rest][int(network.network_address) >> rest] = place
        elif op == "number":
            assert isinstance(value, (int, float))
            self._numbers[value] = place
        else:
            self._compared.append((place, predicate))

    def answers(self, texts: Sequence[str]) -> list[Held]:
        """For each text the numbers of the predicates that hold."""
        found: defaultdict[int, set[int]] = defaultdict(set)
        for literals in self._literals:
            literals.search(texts, found)
        for patterns, lower in self.patterns:
            self._turn += 1
            if self._turn % SAMPLE == 0 and texts:
                self._measure(patterns, texts[0], len(texts) * SAMPLE)
            for place, text in enumerate(texts):
                if numbers := patterns.search((fold(text) if lower else text).encode("utf-8", "replace")):
                    found[place].update(numbers)
        if self._numbers or self._compared:
            for place, text in enumerate(texts):
                if text[:1] in _DIGITS and "x" not in text and (said := number(text)) is not None:
                    found[place] |= self.of_numbers((said,))
        if self._networks:
            for place, text in enumerate(texts):
                if networks := self._ask_networks(text):
                    found[place] |= networks
        for number_, test in self._single:
            for place, text in enumerate(texts):
                if test(text):
                    found[place].add(number_)
        return self._results(texts, found)

    def possible(self, joined: str) -> bool:
        """False when no predicate can hold for any of the texts that `joined` holds, one behind the other."""
        if any((self._literals, self._numbers, self._compared, self._networks, self._single, self._any, self._empty)):
            return True
        return any(
            patterns.possible((fold(joined) if lower else joined).encode("utf-8", "replace"))
            for patterns, lower in self.patterns
        )

    def _results(self, texts: Sequence[str], found: dict[int, set[int]]) -> list[Held]:
        results = [self._any] * len(texts)
        for place, numbers in found.items():
            results[place] = self._shared(self._any | numbers)
        if self._empty:
            for place, text in enumerate(texts):
                if not text:
                    results[place] = self._shared(results[place] | self._empty)
        return results

    def _measure(self, patterns: Patterns, text: str, weight: int) -> None:
        for number_, nanoseconds in patterns.measured(text.encode("utf-8", "replace")):
            self.spent[number_] = self.spent.get(number_, 0.0) + nanoseconds * weight

    def of_numbers(self, values: Iterable[int | float]) -> Held:
        """The numbers of the predicates about numbers that hold for one of `values`."""
        if not self._numbers and not self._compared:
            return NONE
        found = {self._numbers[value] for value in values if value in self._numbers}
        for place, predicate in self._compared:
            compare = COMPARE[predicate.op]
            if any(compare(value, predicate.value) for value in values):
                found.add(place)
        return frozenset(found)

    def _ask_networks(self, text: str) -> set[int]:
        ip = address(text)
        if ip is None:
            return set()
        value, version = int(ip), ip.version
        return {
            networks[value >> rest]
            for (wanted, rest), networks in self._networks.items()
            if wanted == version and value >> rest in networks
        }

    def _shared(self, held: Held) -> Held:
        if len(held) > WIDE:
            return held
        if len(self._sets) >= MOST_SETS:
            self._sets.clear()
        return self._sets.setdefault(held, held)


_Words: TypeAlias = defaultdict[str, dict[str, int]]


def _searching(pattern: str) -> _Single:
    search = compile_pattern(pattern).search
    return lambda text: search(text.encode("utf-8", "replace")) is not None


def _part(predicate: Predicate) -> _Single:
    compare, wanted = COMPARE[predicate.op], predicate.value

    def test(text: str) -> bool:
        found = time_part(text, predicate.part, predicate.zone)
        return found is not None and compare(found, wanted)

    return test
