"""The information elements that exporters speak in: their types, and where an event has them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import NamedTuple

NPROBE = 35_632
"""The enterprise whose elements have numbers of their own in NetFlow 9, from `NPROBE_BASE` on."""

NPROBE_BASE = 57_472

REVERSE = 29_305
"""The enterprise under which an element says of the way back what it says of the way there (RFC 5103)."""


class Element(NamedTuple):
    """One information element."""

    name: str
    """Its name in the registry, such as `octetDeltaCount`."""
    type: str
    """Its abstract data type, such as `unsigned64`."""
    field: str
    """The event's field, or `@...` for what is made into fields; empty when events go without it."""
    spare: bool = False
    """Whether another element of the same record that gives `field` goes first."""
    other: str = ""
    """Where it stands when another went first."""


@cache
def elements() -> dict[tuple[int, int], Element]:
    """Every element that is known, by enterprise (0 for those of everybody) and number."""
    table: dict[tuple[int, int], Element] = {}
    for line in files("collectors.netflow").joinpath("elements.tsv").read_text("utf-8").splitlines():
        if line.startswith("#"):
            continue
        number, name, kind, *rest = line.split("\t")
        enterprise, _, own = number.rpartition("/")
        field, mark, other = (rest[0] if rest else "").partition("?")
        table[int(enterprise or 0), int(own)] = Element(name, kind, field, bool(mark), other)
    return table
