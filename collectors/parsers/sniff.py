"""Which parser a file's first records are for, found by trying."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from almena.errors import ParseError, UsageError
from collectors.base import Context
from collectors.parsers import PARSERS, app, formats
from collectors.parsers.common import json_object

_SAMPLE = 100
_CONTEXT = Context(received=1_800_000_000_000_000)
_LINES = (*(each.name for each in formats.FORMATS if each.read is not None), "syslog")


def sniff(first_records: Sequence[bytes], context: Context = _CONTEXT) -> str:
    """The name of the parser that understands most of the records, where several do the one that recognises them.

    Raises UsageError when none understands a single one.
    """
    records = [record for record in first_records[:_SAMPLE] if record.strip()]
    is_json = sum(record.lstrip(b"\xef\xbb\xbf \t").startswith(b"{") for record in records) * 2 > len(records)
    counts = Counter(map(_kind, records)) if is_json else Counter(_understood(records, context))
    del counts[""]
    if not counts:
        raise UsageError(f"no parser understands these records; name one of {', '.join(sorted(PARSERS))}")
    if not is_json:
        said = Counter(_recognised(record, context) for record in records)
        return max(_LINES, key=lambda name: (counts[name], said[name]))
    # `ecs` takes anything with a time: it is right only where nothing among the records is more particular.
    return "json" if len(counts) > 1 else next(iter(counts))


def _recognised(record: bytes, context: Context) -> str:
    try:
        return str(PARSERS["auto"](record, context).get("event.module"))
    except ParseError:
        return ""


def _understood(records: Sequence[bytes], context: Context) -> dict[str, int]:
    counts: dict[str, int] = {"": 0}
    for name in _LINES:
        count = sum(_understands(name, record, context) for record in records)
        if count:
            counts[name] = count
    return counts


def _understands(name: str, record: bytes, context: Context) -> bool:
    try:
        PARSERS[name](record, context)
    except ParseError:
        return False
    return True


def _kind(record: bytes) -> str:
    """The parser of a JSON object: by its shape, ours by its data set, `ecs` when it has a time, or none."""
    try:
        known = formats.of_document(json_object(record))
        if known is not None:
            known.parse(record, _CONTEXT)
            return known.name
    except ParseError:
        return ""
    for name, parse in (("app", app.parse), ("ecs", PARSERS["ecs"])):
        try:
            parse(record, _CONTEXT)
        except ParseError:
            continue
        return name
    return ""
