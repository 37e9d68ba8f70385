"""Remembers answers within a budget of bytes: what repeats stays, what is always new is not kept at all."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from sys import getsizeof
from typing import Generic, TypeVar

from detectors.sigma.index.atoms import FEW, NONE, Held, size_of
from detectors.sigma.index.field import FieldIndex
from detectors.sigma.values import numbers, present, texts

BUDGET = 64 << 20
"""Bytes that one engine remembers."""

LONGEST = 16_384
"""Characters of a text that is remembered."""

ENTRY = 300
"""Bytes that an answer needs beside its key, about."""

TRIAL = 4_096
"""Look-ups over which the share of known values is measured."""

_FEW = 16
"""A field of which fewer than one value in so many was known is not remembered for a while."""

_REST = 32
"""Trials for which it is left alone."""

_STEPS = 8
"""Parts of a budget after each of which the largest memory may begin a new generation."""

_PLAIN = 1 << 64
_ITEMS = 16
_ITEM = 64

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Budget:
    """The bytes of all memories of an engine; when they are used up the largest memory forgets its older half."""

    def __init__(self, limit: int = BUDGET) -> None:
        """`limit` in bytes."""
        self.limit = limit
        self.used = 0
        self._fresh = 0
        self._memories: list[Memory[object, object]] = []

    def memory(self, weigh: Callable[[K, V], int]) -> Memory[K, V]:
        """A new memory within the budget; `weigh` gives the bytes that a key and its value need."""
        made: Memory[K, V] = Memory(self, weigh)
        self._memories.append(made)  # type: ignore[arg-type]
        return made

    def release(self, memory: Memory[K, V]) -> None:
        """Forget a memory altogether."""
        self.used -= memory.young + memory.aged
        memory.young = memory.aged = 0
        memory.known, memory.old = {}, {}
        self._memories.remove(memory)  # type: ignore[arg-type]

    def spend(self, size: int) -> None:
        """Account for `size` bytes that a memory took."""
        self.used += size
        self._fresh += size
        if self._fresh * _STEPS > self.limit:
            # What is to be forgotten first must be old before all is used up.
            self._fresh = 0
            largest = self._largest()
            if not largest.old and self.used * 2 > self.limit:
                self.used -= largest.age()
        while self.used > self.limit:
            self.used -= self._largest().age()

    def _largest(self) -> Memory[object, object]:
        return max(self._memories, key=lambda memory: memory.young + memory.aged)


class Memory(Generic[K, V]):
    """A map in two generations: what is asked for again is carried into the younger one."""

    __slots__ = ("_budget", "_weigh", "aged", "known", "old", "young")

    def __init__(self, budget: Budget, weigh: Callable[[K, V], int]) -> None:
        """Made by `Budget.memory`."""
        self._budget = budget
        self._weigh = weigh
        self.known: dict[K, V] = {}
        """The younger generation, for looking up; never put into it directly."""
        self.old: dict[K, V] = {}
        self.young = 0
        self.aged = 0

    def put(self, key: K, value: V) -> None:
        """Remember `value`."""
        self.known[key] = value
        size = self._weigh(key, value)
        self.young += size
        self._budget.spend(size)

    def put_all(self, found: dict[K, V], size: int) -> None:
        """Remember many answers, which weigh `size` together."""
        self.known.update(found)
        self.young += size
        self._budget.spend(size)

    def recall(self, key: K) -> V | None:
        """The value of the older generation, carried into the younger one."""
        value = self.old.pop(key, None)
        if value is not None:
            size = self._weigh(key, value)
            self.aged -= size
            self.known[key] = value
            self.young += size
        return value

    def age(self) -> int:
        """Forget the older generation; returns the bytes that became free."""
        freed, self.aged, self.young = self.aged, self.young, 0
        self.old, self.known = self.known, {}
        return freed


class ValueMemo:
    """The answers of one field's values."""

    def __init__(self, index: FieldIndex, budget: Budget, *, objects: bool = False) -> None:
        """`index` answers what is not known; with `objects` values that are such belong to other fields."""
        self.index = index
        self._objects = objects
        self._texts: Memory[str, Held] = budget.memory(_weight)
        self._others: Memory[int | tuple[str, ...], Held] = budget.memory(_weight)
        self._asked = 0
        self._missed = 0
        self._resting = 0

    def of(self, values: Sequence[object]) -> Sequence[Held]:
        """The answers of a column of values, whatever they are; empty when nothing holds for any."""
        kinds = set(map(type, values))
        if len(kinds) == 1:
            if str in kinds:
                return self._of_texts(values)  # type: ignore[arg-type]
            if int in kinds:
                return self._of_numbers(values)  # type: ignore[arg-type]
            if type(None) in kinds:
                return [self.index.existence] * len(values) if self.index.existence else ()
        return self._of_mixed(values)

    def _of_texts(self, values: Sequence[str]) -> Sequence[Held]:
        if self._resting > 0:
            self._resting -= len(values)
            answers = self.index.answers(values)
            return answers if any(answers) else ()
        distinct = set(values)
        known = self._texts.known
        missing = distinct.difference(known)
        self._tally(len(values), len(missing))
        if not missing:
            if not any(map(known.__getitem__, distinct)):
                return ()
            return list(map(known.__getitem__, values))
        fresh = self._learn(missing)
        if len(missing) < len(distinct):
            fresh.update({value: known[value] for value in distinct.difference(missing)})
        return list(map(fresh.__getitem__, values)) if any(fresh.values()) else ()

    def _tally(self, asked: int, missed: int) -> None:
        self._asked += asked
        self._missed += missed
        if self._asked >= TRIAL:
            if (self._asked - self._missed) * _FEW < self._asked:
                self._resting = _REST * TRIAL
            self._asked = self._missed = 0

    def _learn(self, missing: Iterable[str]) -> dict[str, Held]:
        """Answers of texts that the younger generation does not know; short ones are remembered."""
        memory = self._texts
        fresh: dict[str, Held] = {}
        if memory.old:
            for text in missing:
                found = memory.recall(text)
                if found is not None:
                    fresh[text] = found
            missing = [text for text in missing if text not in fresh]
        else:
            missing = list(missing)
        new = dict(zip(missing, self.index.answers(missing), strict=True))
        kept = {text: held for text, held in new.items() if len(text) <= LONGEST}
        wide = sum([getsizeof(held) for held in kept.values() if len(held) > FEW])
        memory.put_all(kept, ENTRY * len(kept) + sum(map(getsizeof, kept)) + wide)
        fresh.update(new)
        return fresh

    def _of_numbers(self, values: Sequence[int]) -> Sequence[Held]:
        distinct = set(values)
        known = self._others.known
        missing = distinct.difference(known)
        if missing and not all(map(_plain, missing)):
            return self._each(values)
        if not missing:
            if not any(map(known.__getitem__, distinct)):
                return ()
            return list(map(known.__getitem__, values))
        if self._others.old:
            missing = {value for value in missing if self._others.recall(value) is None}
            known = self._others.known
        fresh = dict(zip(missing, self.index.answers(list(map(str, missing))), strict=True))
        for value, held in fresh.items():
            self._others.put(value, held)
        found = [fresh[value] if value in fresh else known[value] for value in values]
        return found if any(found) else ()

    def _of_mixed(self, values: Sequence[object]) -> Sequence[Held]:
        found = [NONE] * len(values)
        for kind in (str, int):
            places = [place for place, value in enumerate(values) if type(value) is kind]
            if places:
                answers = self.of([values[place] for place in places])
                for place, held in zip(places, answers, strict=False):
                    found[place] = held
        for place, value in enumerate(values):
            if type(value) is not str and type(value) is not int:
                found[place] = self._of_other(value)
        return found if any(found) else ()

    def _each(self, values: Sequence[object]) -> Sequence[Held]:
        found = [self._of_other(value) for value in values]
        return found if any(found) else ()

    def _of_other(self, value: object) -> Held:
        """The answer of one value, remembered by a key that no value of another meaning has."""
        if self._objects:
            if type(value) is dict and value:
                return NONE
            if type(value) is list and any(type(item) is dict for item in value):
                value = [item for item in value if type(item) is not dict]
                if not value:
                    return NONE
        key = _key(value)
        if key is None:
            return self._ask(value)
        found = self._others.known.get(key)
        if found is None:
            found = self._others.recall(key)
            if found is None:
                found = self._ask(value)
                self._others.put(key, found)
        return found

    def _ask(self, value: object) -> Held:
        if not present(value):
            return self.index.existence
        said = texts(value)
        held = self.index.of_numbers(numbers(value))
        return self.index.presence.union(held, *self.index.answers(said)) if said else self.index.presence | held


def _weight(key: str | int | tuple[str, ...], held: Held) -> int:
    items = sum(map(getsizeof, key)) if isinstance(key, tuple) else 0
    return ENTRY + getsizeof(key) + items + size_of(held)


def _plain(value: int) -> bool:
    """True for numbers whose text says all there is."""
    return -_PLAIN < value < _PLAIN


def _key(value: object) -> tuple[str, ...] | None:
    if type(value) is list and len(value) <= _ITEMS and set(map(type, value)) == {str}:
        return tuple(value) if max(map(len, value)) <= _ITEM else None
    return None
