"""`almena parse --guess`: what a file is made of, how much of it is understood, and which fields come out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from almena.app.texts import Texts
from almena.errors import ParseError
from almena.event import Event
from almena.words import safe

UNREAD = "-"
"""Stands for the format of records that no format understands."""
_MOST_FIELDS, _MOST_TEMPLATES = 200, 10


@dataclass
class Guess:
    """What was found in a file."""

    records: int = 0
    formats: Counter[str] = field(default_factory=Counter)
    """Records by the name of their format."""
    fields: Counter[str] = field(default_factory=Counter)
    """Records by the field they have; of understood records only."""
    templates: Counter[str] = field(default_factory=Counter)
    """Records that nobody understands, by their template."""

    @property
    def understood(self) -> int:
        """Records of a known format."""
        return self.records - self.formats[UNREAD]

    @property
    def parser(self) -> str:
        """The parser to name in the configuration: the one format, or `auto` when there are several or none."""
        known = [name for name, _ in self.formats.most_common() if name != UNREAD]
        return known[0] if len(known) == 1 else "auto"


def guess(path: Path, zone: str, finish: Callable[[Event], Event]) -> Guess:
    """Read the whole file; raises UsageError when it cannot be opened."""
    found = Guess()
    for event in _events(path, zone):
        found.records += 1
        if event is None:
            found.formats[UNREAD] += 1
            continue
        event = finish(event)
        name = event.get("event.module")
        if name is None:
            found.formats[UNREAD] += 1
            if len(found.templates) < 1_000:
                found.templates[str(event.get("almena.template", ""))] += 1
            continue
        found.formats[str(name)] += 1
        for key in event:
            if len(found.fields) < 10_000 or key in found.fields:
                found.fields[key] += 1
    return found


def _events(path: Path, zone: str) -> Iterator[Event | None]:
    """The event of each record with the name of its format; None for one that cannot be read at all."""
    from collectors.base import Context
    from collectors.reading import read, shown
    from collectors.recognition import Recogniser

    name, items, parse = read(path, "auto", zone)
    context = Context(received=path.stat().st_mtime_ns // 1000, zone=zone, source=path.stem, origin=shown(path))
    recogniser = Recogniser()
    for _, item in items:
        if not isinstance(item, bytes):
            yield None
            continue
        if not item.strip():
            continue
        if name not in ("unknown", "auto", "json", "syslog"):
            try:
                event = parse(item)
            except ParseError:
                pass  # another format among them
            else:
                event["event.module"] = name
                yield event
                continue
        try:
            yield recogniser(item, context)
        except ParseError:
            yield None


def show(found: Guess, path: Path, language: str) -> None:
    """Print it for people."""
    say, console = Texts(language), Console(highlight=False)
    share = found.understood / found.records if found.records else 0.0
    console.print(say("guess_sum", file=safe(str(path)), records=f"{found.records:,}", share=_percent(share)))
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(say("guess_format"))
    table.add_column(say("guess_records"), justify="right")
    table.add_column("%", justify="right")
    for name, count in found.formats.most_common():
        shown = say("guess_none") if name == UNREAD else name
        table.add_row(shown, f"{count:,}", _percent(count / found.records))
    console.print(table)
    if found.understood:
        fields = Table(box=None, pad_edge=False, header_style="bold")
        fields.add_column(say("guess_field"))
        fields.add_column("%", justify="right")
        for name, count in sorted(found.fields.most_common(_MOST_FIELDS), key=lambda each: (-each[1], each[0])):
            fields.add_row(safe(name), _percent(count / found.understood))
        console.print(fields)
    if found.templates:
        console.print(say("guess_unknown"), style="bold")
        for template, count in found.templates.most_common(_MOST_TEMPLATES):
            console.print(f"  {count:>7,}  {safe(template)[:160]}", markup=False)
    console.print(say("guess_write", parser=found.parser), markup=False)


def _percent(share: float) -> str:
    return f"{share:.1%}" if share < 1 else "100%"
