"""Parsers and masking on the golden samples, one core, bytes to event; JSON decoding beside them as the floor."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

import msgspec

from almena.masking import Masker
from bench.measure import rate, show
from collectors.base import Context
from collectors.parsers import PARSERS

GOLDEN = Path(__file__).parents[1] / "tests" / "golden"
COUNT = 5_000
CONTEXT = Context(received=1_790_000_000_000_000)


def samples(name: str) -> list[bytes]:
    """The golden records of a parser, repeated with what makes each line its own."""
    lines = [
        line
        for path in sorted((GOLDEN / name).iterdir())
        if ".expected" not in path.name and not path.name.endswith(".bad") and ".bad" not in path.name
        for line in path.read_bytes().splitlines()
        if line.strip()
    ]
    return list(islice(cycle(lines), COUNT))


def main() -> None:
    """Every parser, then parser and masking."""
    masker = Masker(os.urandom(32))
    for name in sorted(path.name for path in GOLDEN.iterdir()):
        parse = PARSERS[name]
        records = [record for record in samples(name) if _good(parse, record)]
        show(f"parse: {name}", rate(len(records), lambda p=parse, r=records: [p(item, CONTEXT) for item in r]))  # type: ignore[misc]
        events = [parse(record, CONTEXT) for record in records]
        show(f"mask:  {name}", rate(len(events), lambda e=events: [masker.mask(dict(event)) for event in e]))  # type: ignore[misc]
        if records[0].lstrip().startswith(b"{"):
            floor = rate(len(records), lambda r=records: [msgspec.json.decode(item) for item in r])  # type: ignore[misc]
            show("  beside msgspec.json.decode", floor)


def _good(parse: Callable[[bytes, Context], object], record: bytes) -> bool:
    try:
        parse(record, CONTEXT)
    except Exception:
        return False
    return True
