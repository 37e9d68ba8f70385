"""Robust statistics that a frozen table of history answers: centre, spread, tail, and the chance of something new."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

_NORMAL_MAD = 1.4826
"""The standard deviation of normal values over their median absolute deviation."""

_NORMAL_Q90 = 1.2816
"""Standard deviations from the median to the 90th percentile of normal values."""


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the sorted values lie, between neighbours by proportion.

    >>> quantile([1.0, 2.0, 4.0], 0.75)
    3.0
    """
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def spread(values: Iterable[float], floor: float) -> tuple[float, float]:
    """Median and upper scale of `values`: outliers up to a tenth of them move neither, and `floor` bounds the scale.

    The scale is a standard deviation if the values are normal; the wider of the median absolute deviation and the
    distance to the 90th percentile, since counts lean to the right.
    """
    ordered = sorted(values)
    centre = quantile(ordered, 0.5)
    deviation = quantile(sorted(abs(value - centre) for value in ordered), 0.5) * _NORMAL_MAD
    upper = (quantile(ordered, 0.9) - centre) / _NORMAL_Q90
    return centre, max(deviation, upper, floor)


def tail(ordered: Sequence[float], value: float) -> float:
    """The share of a sorted history at or above `value`, itself counted: never 0, at least 1 / (n + 1).

    >>> tail([1.0, 2.0, 3.0], 10.0)
    0.25
    """
    return (len(ordered) - bisect_left(ordered, value) + 1) / (len(ordered) + 1)


def good_turing(counts: Iterable[int]) -> float:
    """The chance that the next observation is of a kind never seen, from how often each kind was seen.

    Half a kind is added to those seen once, so that a history without any still leaves a chance.

    >>> round(good_turing([10]), 4)
    0.0455
    """
    seen = list(counts)
    once = sum(1 for count in seen if count == 1)
    return min(1.0, (once + 0.5) / (sum(seen) + 1))
