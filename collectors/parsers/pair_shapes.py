"""Lines of `key=value` pairs whose keys stand in an order met before: one expression reads the whole line at once.

Most lines of a firewall have one of a few orders of keys, and most of their values are those of the line before: the
device, the policy, the interfaces. A shape gives what does not move as whole stretches of text, by which what follows
from them is remembered, and what moves (addresses, ports, counts, times) one by one. What no shape reads, the ordinary
way reads, so that shapes change nothing but the time it takes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import NamedTuple

_PAIR = re.compile(r'([A-Za-z_][A-Za-z0-9_.:-]{0,63})=("[^"\\]*+"|[^\s"\\]*+)( ?)', re.ASCII)
_QUOTED, _BARE = r'"[^"\\]{0,256}+"', r'[^\s"\\]{0,128}+'  # a value in quotes, and one without
_KEYS = 96  # at most in a shape
_TIMES = 32  # a shape is met before it is worth an expression
_SHAPES = 256  # at most; who sends more is read the ordinary way
_EACH = 4  # shapes with the same mark
_MET = 1_024  # shapes that are counted at a time


Reading = tuple[tuple[str, ...], tuple[str, ...]]
"""What a shape says of a line: the stretches that do not move, of which equal ones mean equal values; and the values of
the moving keys, without quotes, in the order in which they were named, empty for those that the line lacks."""


class _Shape(NamedTuple):
    match: Callable[[str], re.Match[str] | None]
    still: Callable[[tuple[str, ...]], tuple[str, ...]]
    moving: Callable[[tuple[str, ...]], tuple[str, ...]]


class Shapes:
    """The shapes of one kind of line. `moving` gives the expression of each moving key's value, with no group in it;
    shapes are looked up by `mark` and what follows it, `width` characters in all, after that of the line before."""

    def __init__(self, moving: Mapping[str, str], mark: str, width: int) -> None:
        self._moving = dict(moving)
        self._mark, self._width = mark, width
        self._known: dict[str, list[_Shape]] = {}
        self._met: dict[str, int] = {}
        self._last: _Shape | None = None
        self._count = 0

    def read(self, line: str) -> Reading | None:
        """What a known shape says of the line, or None."""
        shape = self._last
        found = shape.match(line) if shape is not None else None
        if shape is None or found is None:
            at = line.find(self._mark)
            for shape in self._known.get(line[at : at + self._width], ()):
                found = shape.match(line)
                if found is not None:
                    self._last = shape
                    break
            else:
                return None
        groups = found.groups()
        return shape.still(groups), shape.moving(groups)

    def learn(self, line: str) -> None:
        """Note the shape of a line that no known shape reads."""
        at = line.find(self._mark)
        if self._count >= _SHAPES or at < 0:
            return
        mark = line[at : at + self._width]
        known = self._known.get(mark, ())
        expression = self._expression(line) if len(known) < _EACH else None
        if expression is None:
            return
        met = self._met.get(expression, 0) + 1
        if met < _TIMES:
            if len(self._met) >= _MET:
                self._met.clear()
            self._met[expression] = met
            return
        self._met.pop(expression, None)
        self._count += 1
        self._known[mark] = [*known, self._compiled(expression)]

    def _expression(self, line: str) -> str | None:
        """The expression of all lines with the same keys, quoted alike; None for a line of another build."""
        parts: list[str] = []
        keys: set[str] = set()
        at, within = 0, False  # within a stretch of what does not move
        while at < len(line):
            pair = _PAIR.match(line, at)
            if pair is None or pair[1] in keys or len(keys) >= _KEYS or not (pair[3] or pair.end() == len(line)):
                return None
            key, value, gap = pair.groups()
            keys.add(key)
            quote = '"' if value[:1] == '"' else ""
            moves = key in self._moving
            if moves is within:
                parts.append(")" if within else "(")
                within = not within
            if moves:
                parts.append(f"{key}={quote}(?P<{key}>{self._moving[key]}){quote}{gap}")
            else:
                parts.append(f"{re.escape(key)}={_QUOTED if quote else _BARE}{gap}")
            at = pair.end()
        return "".join(parts) + (")" if within else "")

    def _compiled(self, expression: str) -> _Shape:
        pattern = re.compile(f"{expression}()", re.ASCII)
        places = pattern.groupindex
        moving = [places.get(key, pattern.groups) - 1 for key in self._moving]
        still = [at for at in range(pattern.groups - 1) if at + 1 not in places.values()]
        return _Shape(pattern.fullmatch, _several(still), _several(moving))


def _several(places: list[int]) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    if len(places) < 2:
        return lambda groups: tuple(groups[at] for at in places)
    return itemgetter(*places)
