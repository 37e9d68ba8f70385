"""Finds which of many literals stand in many texts, in one pass over all of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from ahocorasick_rs import AhoCorasick, Implementation

from detectors.sigma.values import fold

PIECE = 65_536
"""Characters of one pass; what it finds is in memory at once."""

DENSE = 500_000
"""Characters of literals up to which the fastest automaton is made, which takes some hundred bytes for each."""

Words: TypeAlias = Mapping[str, int]
"""Literals and the number of what each means."""

Found: TypeAlias = Mapping[int, set[int]]
"""What was found, by the place of the text; a place that is asked for is made."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_NOWHERE = -1


class Literals:
    """Literals that texts may contain, begin with, end with or be; each has the number that is answered for it."""

    def __init__(self, *, contains: Words, starts: Words, ends: Words, equals: Words, lower: bool) -> None:
        """None of the literals is empty. `lower`: texts are searched in lower case, which the literals are in."""
        every = list(dict.fromkeys([*contains, *starts, *ends, *equals]))
        places = (contains, starts, ends, equals)
        meanings = {text: tuple(words.get(text, _NOWHERE) for words in places) for text in every}
        patterns = [text for text in every if not _SURROGATE.search(text)]
        self._odd = {text: meanings[text] for text in every if _SURROGATE.search(text)}
        self._meanings = [meanings[text] for text in patterns]
        self._longest = max(map(len, patterns), default=1)
        self._separator = _unused(patterns)
        self._lower = lower
        kind = Implementation.DFA if sum(map(len, patterns)) <= DENSE else Implementation.ContiguousNFA
        self._automaton = AhoCorasick(patterns, implementation=kind, store_patterns=False)

    def search(self, texts: Sequence[str], found: Found) -> None:
        """Add to `found`, by the text's place, the numbers of the literals that are there."""
        places: Sequence[int] = range(len(texts))
        if self._lower and not all(map(str.isascii, texts)):
            # One text beyond ASCII would make all that are searched with it slow.
            self._search([place for place in places if not texts[place].isascii()], texts, found)
            places = [place for place in places if texts[place].isascii()]
        self._search(places, texts, found)
        for literal, meaning in self._odd.items():
            for place, written in enumerate(texts):
                text = fold(written) if self._lower else written
                if literal in text:
                    where = text.startswith(literal), text.endswith(literal), text == literal
                    found[place].update(_held(meaning, *where))

    def _search(self, places: Sequence[int], texts: Sequence[str], found: Found) -> None:
        chosen = texts if len(places) == len(texts) else [texts[place] for place in places]
        if sum(map(len, chosen)) <= PIECE:
            self._pass(places, chosen, found)
            return
        first = size = 0
        for last, text in enumerate(chosen):
            if size + len(text) > PIECE:
                self._pass(places[first:last], chosen[first:last], found)
                first, size = last, 0
            if len(text) > PIECE:
                self._long(text, places[last], found)
                first = last + 1
            else:
                size += len(text)
        self._pass(places[first:], chosen[first:], found)

    def _pass(self, places: Sequence[int], texts: Sequence[str], found: Found) -> None:
        joined = self._separator.join(texts)
        if self._lower:
            joined = fold(joined)
        matches = self._matches(joined)
        if not matches:
            return
        turn, begin, end = 0, 0, len(texts[0])
        numbers = found[places[0]]
        meanings = self._meanings
        for pattern, start, stop in matches:
            if stop > end:
                while stop > end:
                    turn += 1
                    begin = end + 1
                    end = begin + len(texts[turn])
                numbers = found[places[turn]]
            contains, starts, ends, equals = meanings[pattern]
            if contains >= 0:
                numbers.add(contains)
            if starts >= 0 and start == begin:
                numbers.add(starts)
            if stop == end:
                if ends >= 0:
                    numbers.add(ends)
                if equals >= 0 and start == begin:
                    numbers.add(equals)

    def _matches(self, text: str) -> list[tuple[int, int, int]]:
        """Pattern, start and end of every occurrence, by end."""
        try:
            return self._automaton.find_matches_as_indexes(text, overlapping=True)
        except UnicodeEncodeError:  # lone surrogates, which no pattern holds
            return self._automaton.find_matches_as_indexes(_SURROGATE.sub(self._separator, text), overlapping=True)

    def _long(self, text: str, place: int, found: Found) -> None:
        """One long text window by window, so that what is found stays small."""
        text = fold(text) if self._lower else text
        for base in range(0, len(text), PIECE):
            for pattern, start, stop in self._matches(text[base : base + PIECE + self._longest - 1]):
                at_start, at_end = base + start == 0, base + stop == len(text)
                found[place].update(_held(self._meanings[pattern], at_start, at_end, at_start and at_end))


def _held(meaning: Sequence[int], at_start: bool, at_end: bool, whole: bool) -> set[int]:
    """The numbers that an occurrence of a literal stands for, by where in the text it is."""
    contains, starts, ends, equals = meaning
    found = ((contains, True), (starts, at_start), (ends, at_end), (equals, whole))
    return {number for number, holds in found if holds and number != _NOWHERE}


def _unused(patterns: Iterable[str]) -> str:
    """A character that stands in no pattern, also in lower case."""
    used = set().union(*map(set, patterns))
    return next(char for code in range(0x110000) if (char := chr(code)) not in used and fold(char) == char)
