"""How unusual rows of features are beside a frozen table: the largest robust z, confirmed by an isolation forest.

A forest alone is blind to one extreme feature and its tail is too coarse for a budget of alerts; the largest z alone
fires on any single oddity. So the tail decides and the forest must not disagree. Both become p-values by the frozen
table's own scores (its ECDF). The same table gives the same scores in every process: the seed is fixed, one thread
works, scores are rounded, and a batch never has fewer than two rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from detectors._stats import spread, tail

Row = Sequence[float]


class _Forest(Protocol):
    def score_samples(self, rows: Any, /) -> Sequence[float]: ...


_TREES = 100
_SAMPLE = 256
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Score:
    """How unusual one row is."""

    z: float
    """The largest robust z of its features, upwards only."""
    p: float
    """Share of the table's rows with as large a z, at least 1 / (rows + 1)."""
    forest_p: float
    """Share of the table's rows that the forest finds as odd, at least 1 / (rows + 1)."""
    zs: tuple[float, ...]
    """Each feature's robust z, in the order of the columns."""


class TailForest:
    """A model fitted once to `table` (rows of equally many features, two at least), then only asked."""

    def __init__(self, table: Sequence[Row], floors: Sequence[float], extreme: float) -> None:
        """`floors` are the smallest scales, by column; rows with a z beyond `extreme` are left out of the table."""
        self._spreads = [spread(column, floor) for column, floor in zip(zip(*table, strict=True), floors, strict=True)]
        clean = [row for row in table if max(self._zs(row)) < extreme]
        self.rows = len(clean)
        """How many rows of the table the answers rest on."""
        self._tails = sorted(max(self._zs(row)) for row in clean)
        self._forest = _fit(clean if len(clean) > 1 else table)
        self._oddness = sorted(self._odd(clean)) if clean else []

    def centre(self, column: int) -> float:
        """The median of a column."""
        return self._spreads[column][0]

    def score(self, rows: Sequence[Row]) -> list[Score]:
        """The score of every row, in their order."""
        if not rows:
            return []
        scores = []
        for row, odd in zip(rows, self._odd(rows), strict=True):
            zs = self._zs(row)
            scores.append(Score(max(zs), tail(self._tails, max(zs)), tail(self._oddness, odd), zs))
        return scores

    def _zs(self, row: Row) -> tuple[float, ...]:
        return tuple(
            round((value - centre) / scale, _DIGITS) for value, (centre, scale) in zip(row, self._spreads, strict=True)
        )

    def _odd(self, rows: Sequence[Row]) -> list[float]:
        import numpy

        padded = [*rows, rows[0]] if len(rows) == 1 else rows
        scores = self._forest.score_samples(numpy.asarray(padded, dtype=numpy.float64))
        return [round(-float(score), _DIGITS) for score in scores[: len(rows)]]


def _fit(table: Sequence[Row]) -> _Forest:
    # Half a second and 100 MB to import: paid by the role that fits, never by the command line.
    import numpy
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(n_estimators=_TREES, max_samples=min(_SAMPLE, len(table)), random_state=0, n_jobs=1)
    fitted: _Forest = forest.fit(numpy.asarray(table, dtype=numpy.float64))
    return fitted
