"""Records of a template as tuples: one compiled `struct` where lengths are fixed, a walk where they are not."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from almena.errors import ParseError
from collectors.netflow.wire import VARIABLE, Field

Row: TypeAlias = tuple[Any, ...]

_WIDTHS = {1: "B", 2: "H", 4: "I", 8: "Q"}
_FLOATS = {4: "f", 8: "d"}
_EXACT = {"ipv4Address": 4, "ipv6Address": 16, "macAddress": 6}
_LISTS = ("basicList", "subTemplateList", "subTemplateMultiList")
LONGEST = 8
"""Bytes of the longest number that is read."""


def code(kind: str, length: int) -> str:
    """How `struct` reads a field of that type and length; empty for what cannot be read, which is passed over."""
    if length == VARIABLE:
        return "" if kind in _LISTS or kind in _EXACT or kind.startswith("float") else "v"
    if kind in _LISTS or not length:
        return ""
    if kind in _EXACT:
        return f"{length}s" if length == _EXACT[kind] else ""
    if kind in ("string", "octetArray"):
        return f"{length}s"
    if kind.startswith("float"):
        return _FLOATS.get(length, "")
    if length > LONGEST:
        return ""
    width = _WIDTHS.get(length, f"{length}s")
    return width.lower() if kind.startswith("signed") else width


class Layout:
    """Where the fields that are wanted lie in a record."""

    def __init__(self, fields: Sequence[Field], codes: Sequence[str]) -> None:
        """`codes` has one for each field, empty where it is not wanted."""
        self.least = sum(1 if field.length == VARIABLE else field.length for field in fields)
        """Bytes of the shortest record."""
        self._parts: list[tuple[struct.Struct | None, bool]] = []  # a stretch of fixed fields, or a variable one
        stretch, skipped = "!", 0
        for field, how in zip(fields, codes, strict=True):
            if field.length == VARIABLE:
                self._parts += [(struct.Struct(_padded(stretch, skipped)), True), (None, bool(how))]
                stretch, skipped = "!", 0
            elif how:
                stretch, skipped = _padded(stretch, skipped) + how, 0
            else:
                skipped += field.length
        self._parts.append((struct.Struct(_padded(stretch, skipped)), True))
        self._fixed = self._parts[0][0] if len(self._parts) == 1 else None

    def rows(self, data: bytes) -> Iterator[Row]:
        """The wanted values of each record; padding is left. Raises ParseError where lengths lead beyond the end."""
        if not self.least:
            return iter(())
        if self._fixed is not None:
            return self._fixed.iter_unpack(data[: len(data) // self.least * self.least])
        return self._walk(data)

    def count(self, data: bytes) -> int:
        """How many records there are; raises ParseError like `rows`."""
        if self._fixed is not None:
            return len(data) // self.least if self.least else 0
        return sum(1 for _ in self.rows(data))

    def _walk(self, data: bytes) -> Iterator[Row]:
        place, end = 0, len(data)
        while end - place >= self.least and (end - place > 3 or any(data[place:])):
            values: list[Any] = []
            try:
                for fixed, wanted in self._parts:
                    if fixed is not None:
                        values += fixed.unpack_from(data, place)
                        place += fixed.size
                        continue
                    length, place = data[place], place + 1
                    if length == 255:
                        length, place = data[place] << 8 | data[place + 1], place + 2
                    if wanted:
                        values.append(data[place : place + length])
                    place += length
            except (struct.error, IndexError):
                place = end + 1
            if place > end:
                raise ParseError("a record that ends in its fields")
            yield tuple(values)


def _padded(stretch: str, skipped: int) -> str:
    return f"{stretch}{skipped}x" if skipped else stretch
