"""Finds which of many regular expressions match a text: RE2, behind a filter of the literals that they need."""

from __future__ import annotations

from typing import Any

from re2 import Filter

from almena.stopwatch import perf_counter_ns
from detectors.sigma.regex import compile_pattern, options

MOST = 200
"""Expressions behind one filter; a filter's own automaton stays small."""


class Patterns:
    """Regular expressions with the number that is answered for each."""

    def __init__(self, numbers: dict[str, int]) -> None:
        """`numbers` by pattern; each is one that RE2 takes."""
        items = list(numbers.items())
        self._filters = [_filter(items[start : start + MOST]) for start in range(0, len(items), MOST)]
        self._each = [(number, compile_pattern(pattern).search) for pattern, number in items]

    def search(self, text: bytes) -> list[int]:
        """The numbers of the expressions that match somewhere in `text`."""
        return [numbers[place] for match, numbers in self._filters for place in match(text) or ()]

    def measured(self, text: bytes) -> list[tuple[int, float]]:
        """The nanoseconds of one search, shared among the expressions by what each takes alone."""
        began = perf_counter_ns()
        self.search(text)
        together, alone = perf_counter_ns() - began, []
        for number, search in self._each:
            began = perf_counter_ns()
            search(text)
            alone.append((number, perf_counter_ns() - began))
        every = sum(taken for _, taken in alone) or 1
        return [(number, together * taken / every) for number, taken in alone]

    def possible(self, joined: bytes) -> bool:
        """False when no expression can match a part of `joined`."""
        return any(match(joined, True) for match, _ in self._filters)


def _filter(items: list[tuple[str, int]]) -> tuple[Any, list[int]]:
    found = Filter()
    for pattern, _ in items:
        found.Add(pattern.encode("utf-8"), options())
    found.Compile()
    return found.Match, [number for _, number in items]
