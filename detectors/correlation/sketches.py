"""Estimates of how many different values there were and how they lie, in little memory and whatever their order.

A library's estimate often depends on the order in which values came; these two are sets of counters and do not.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping

BITS = 12
"""A HyperLogLog has 2 to the power of this registers."""

DISTINCT_ERROR = 1.04 / math.sqrt(1 << BITS)
"""The standard error of `cardinality`, relative."""

QUANTILE_ERROR = 0.01
"""The largest error of a `Histogram`'s values, relative."""

_REGISTERS = 1 << BITS
_RANKS = 64 - BITS
_GAMMA = (1 + QUANTILE_ERROR) / (1 - QUANTILE_ERROR)
_LOG_GAMMA = math.log(_GAMMA)


def digest(value: str) -> int:
    """64 bits that stand for a text, the same in every process."""
    return int.from_bytes(hashlib.blake2b(value.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


class Cardinality:
    """A HyperLogLog (Flajolet et al. 2007): about how many different values were taken."""

    def __init__(self, registers: Iterable[int] | None = None) -> None:
        """`registers` as `Cardinality.registers` has them."""
        self.registers = bytearray(registers) if registers is not None else bytearray(_REGISTERS)
        self._counts = [0] * (_RANKS + 2)
        for rank in self.registers:
            self._counts[rank] += 1
        self._estimate: int | None = None

    def add(self, value: int) -> None:
        """Take the digest of a value."""
        index = value & (_REGISTERS - 1)
        rank = _RANKS - (value >> BITS).bit_length() + 1
        before = self.registers[index]
        if rank > before:
            self.registers[index] = rank
            self._counts[before] -= 1
            self._counts[rank] += 1
            self._estimate = None

    def __len__(self) -> int:
        if self._estimate is None:
            self._estimate = self._count()
        return self._estimate

    def _count(self) -> int:
        """Ertl's improved estimator (2017), which needs no correction for few values or many."""
        z = _REGISTERS * _tau(1 - self._counts[_RANKS + 1] / _REGISTERS)
        for rank in range(_RANKS, 0, -1):
            z = 0.5 * (z + self._counts[rank])
        z += _REGISTERS * _sigma(self._counts[0] / _REGISTERS)
        return round(_REGISTERS**2 / (2 * math.log(2) * z))


def together(parts: Iterable[Cardinality]) -> Cardinality:
    """The HyperLogLog of all values of several."""
    found = [part.registers for part in parts]
    return Cardinality(map(max, *found) if len(found) > 1 else found[0] if found else None)


def _sigma(x: float) -> float:
    if x == 1.0:
        return math.inf
    y, z = 1.0, x
    while True:
        x *= x
        before, z = z, z + x * y
        y += y
        if z == before:
            return z


def _tau(x: float) -> float:
    if x in (0.0, 1.0):
        return 0.0
    y, z = 1.0, 1 - x
    while True:
        x = math.sqrt(x)
        before, y = z, 0.5 * y
        z -= (1 - x) ** 2 * y
        if z == before:
            return z / 3


class Histogram:
    """A DDSketch (Masson et al. 2019): how often a value lay in each of many bins whose width grows with the value."""

    def __init__(self, bins: Mapping[int, int] | None = None) -> None:
        """`bins` as `Histogram.bins` has them."""
        self.bins: dict[int, int] = dict(bins or {})
        """By bin, odd numbers for negative values and 0 for none, how many values lie in it."""

    def add(self, value: int) -> None:
        """Take a value, in any whole unit."""
        place = place_of(value)
        self.bins[place] = self.bins.get(place, 0) + 1

    def take(self, other: Histogram) -> None:
        """Take all values of another histogram."""
        for place, count in other.bins.items():
            self.bins[place] = self.bins.get(place, 0) + count

    def forget(self, other: Histogram) -> None:
        """Leave out values that another histogram has and this one took."""
        for place, count in other.bins.items():
            left = self.bins[place] - count
            if left:
                self.bins[place] = left
            else:
                del self.bins[place]

    def at(self, rank: int) -> int:
        """About the value at `rank`, from 0 for the smallest; 0 where there are not so many."""
        for place in sorted(self.bins, key=_order):
            rank -= self.bins[place]
            if rank < 0:
                return _middle(place)
        return 0


def place_of(value: int) -> int:
    """The bin of a value."""
    if value == 0:
        return 0
    size = math.ceil(math.log(abs(value)) / _LOG_GAMMA) + 1
    return 2 * size + (value < 0)


def _order(place: int) -> int:
    return -(place >> 1) if place & 1 else place >> 1


def _middle(place: int) -> int:
    if place == 0:
        return 0
    value = round(2 * _GAMMA ** ((place >> 1) - 1) / (_GAMMA + 1))
    return -value if place & 1 else value
