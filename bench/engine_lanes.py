"""The lanes of the Sigma engine's benchmark: the same bytes for both sides, in files, made from the corpora."""

from __future__ import annotations

import hashlib
import lzma
import shutil
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpora import CORPORA

from almena.event import Event, decode, encode
from collectors.base import Context
from collectors.parsers import windows

RULES = CORPORA / "sigmahq" / "rules-994da16.tar.xz"

SOURCES = {
    "otrf": "otrf/events.ndjson.xz",
    "structured": "lanes/structured_windows.ndjson.xz",
    "sysmon_file": "lanes/sysmon_file_event.ndjson.xz",
    "cisco": "lanes/cisco_syslog.ndjson.xz",
    "raw": "lanes/raw_windows.ndjson.xz",
}
"""The lanes and where they come from; `otrf` is real, the others are generated."""

LABELS = ("product", "category", "service")
"""Where an event says its log source in Sigma's own words; both sides read them."""

_KEPT = frozenset((*LABELS, "EventID", "Channel", "SourceName", "Provider_Name", "EventType", "bench"))
"""What decides which rules see an event: left as it is when every other text is made unique."""

_CONTEXT = Context(received=1_790_000_000_000_000)

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane in files."""

    name: str
    whole: Path
    """Every event, numbered by the field `bench`."""
    first: Path
    """The first half, to warm on."""
    second: Path
    """The second half, to time."""
    repeated: Path
    """The second half so often that the peer runs long enough."""
    times: int
    """How often."""
    events: int
    """How many events the second half has."""


def rules_folder(folder: Path) -> Path:
    """The rules of SigmaHQ unpacked below `folder`."""
    with tarfile.open(RULES) as archive:
        archive.extractall(folder, filter="data")
    return folder / "rules"


def some_rules(rules: Path, count: int, folder: Path) -> Path:
    """`count` of the rules, chosen by the hash of their names: more of them always holds those of fewer."""
    files = sorted(rules.rglob("*.yml"), key=lambda file: hashlib.sha256(file.name.encode()).digest())
    for file in files[:count]:
        place = folder / file.relative_to(rules)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
    return folder


def lines_of(name: str) -> Iterator[bytes]:
    """The lines of a lane as the corpus has them."""
    with lzma.open(CORPORA / SOURCES[name]) as file:
        for line in file:
            yield line.rstrip(b"\n")


def ecs(event: Event) -> Event:
    """A native record as it flows in the product: what the Windows parser makes of it, with its labels kept.

    Records of other kinds have one name that both mappings leave alone, `message`, and stay as they are.
    """
    if not windows.fits(event):
        return event
    converted = windows.convert(event, _CONTEXT)
    return converted | {name: event[name] for name in LABELS if name in event}


def unique(event: Event, number: int) -> Event:
    """The event with a token, its own, in the middle of every text: types stay, and how texts begin and end.

    Numbers and what routes the event stay as they are.
    """
    token = _token(number)
    return {name: value if name in _KEPT else _marked(value, token) for name, value in event.items()}


def _marked(value: Any, token: str) -> Any:
    if isinstance(value, str):
        middle = len(value) // 2
        return value[:middle] + token + value[middle:]
    if isinstance(value, list):
        return [_marked(item, token) for item in value]
    if isinstance(value, dict):
        return {name: _marked(item, token) for name, item in value.items()}
    return value


def _token(number: int) -> str:
    digits = ""
    while number or len(digits) < 5:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return "~" + digits


def make(name: str, folder: Path, lines: Iterable[bytes], least: int) -> Lane:
    """Write a lane's files; the second half is repeated until it has `least` events or more."""
    lines = list(lines)
    half = len(lines) // 2
    second = lines[half:]
    times = max(1, -(-least // len(second)))
    lane = Lane(
        name,
        *(folder / f"{name}-{part}.ndjson" for part in ("whole", "first", "second", "repeated")),
        times=times,
        events=len(second),
    )
    _write(lane.whole, (numbered(line, number) for number, line in enumerate(lines)))
    _write(lane.first, lines[:half])
    _write(lane.second, second)
    if times > 1:
        _write(lane.repeated, second * times)
    else:
        lane.repeated.symlink_to(lane.second)
    return lane


def changed(lines: Iterable[bytes], change: Callable[[Event], Event]) -> Iterator[bytes]:
    """Each line decoded, changed and encoded."""
    for line in lines:
        yield encode(change(decode(line)))


def numbered(line: bytes, number: int) -> bytes:
    """The object of `line` with the field `bench`, its number, at the end."""
    return line.rstrip()[:-1] + b',"bench":%d}' % number


def _write(path: Path, lines: Iterable[bytes]) -> None:
    with path.open("wb") as file:
        for line in lines:
            file.write(line + b"\n")
