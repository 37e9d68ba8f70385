"""Which parser a file's first records are for, found by trying."""

from __future__ import annotations

from collections.abc import Sequence

from almena.errors import ParseError, UsageError
from collectors.base import Context
from collectors.parsers import PARSERS

_SAMPLE = 100
_TEXT = ("syslog", "nginx", "apache", "sshd", "sudo")
_JSON = ("windows", "app", "ecs", "json")
_CONTEXT = Context(received=1_800_000_000_000_000)


def sniff(first_records: Sequence[bytes]) -> str:
    """The name of the parser that understands most of the records, the more particular one where several do.

    Raises UsageError when none understands a single one.
    """
    records = [record for record in first_records[:_SAMPLE] if record.strip()]
    is_json = sum(record.lstrip(b"\xef\xbb\xbf \t").startswith(b"{") for record in records) * 2 > len(records)
    names = _JSON if is_json else _TEXT
    counts = {name: sum(_understands(name, record) for record in records) for name in names}
    if is_json and counts["json"] > max(counts["windows"], counts["app"]):
        # `ecs` takes anything with a time: it is right only where nothing among the records is more particular.
        return "json" if counts["windows"] or counts["app"] else "ecs"
    best = max(names, key=lambda name: counts[name])
    if not counts[best]:
        raise UsageError(f"no parser understands these records; name one of {', '.join(sorted(PARSERS))}")
    return best


def _understands(name: str, record: bytes) -> bool:
    try:
        PARSERS[name](record, _CONTEXT)
    except ParseError:
        return False
    return True
