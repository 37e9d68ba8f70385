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
from collectors.parsers import windows, windows_records
from detectors.sigma.logsource import origin_of, route_of

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

NUMBER = "bench"
"""The field that numbers the events whose verdicts are compared."""

_KEPT = frozenset((*LABELS, "EventID", "Channel", "SourceName", "Provider_Name", "EventType", NUMBER))
"""What decides which rules see an event: left as it is when every other text is made unique."""

_CONTEXT = Context(received=1_790_000_000_000_000)

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane in files."""

    whole: Path
    """Every event, numbered."""
    first: Path
    """The first half, to warm on."""
    second: Path
    """The second half, to time."""
    half: int
    """How many events the first half has."""
    events: int
    """How many the second has."""


def rules_folder(folder: Path) -> Path:
    """The rules of SigmaHQ unpacked below `folder`."""
    with tarfile.open(RULES) as archive:
        archive.extractall(folder, filter="data")
    return folder / "rules"


def some_rules(rules: Path, count: int, folder: Path) -> Path:
    """`count` of the rules copied to `folder`, chosen by a hash of their names: more of them hold those of fewer."""
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


def changed(lines: Iterable[bytes], change: Callable[[Event], Event]) -> Iterator[bytes]:
    """Each line decoded, changed and encoded."""
    for line in lines:
        yield encode(change(decode(line)))


def ecs(event: Event) -> Event:
    """A native record as it flows in the product: what the Windows parser makes of it, with its labels kept.

    Records of other kinds have one field that both mappings leave alone, `message`, and stay as they are.
    """
    if not windows_records.fits(event):
        return event
    converted = windows.convert(event, _CONTEXT)
    return converted | {name: event[name] for name in LABELS if name in event}


def labelled(event: Event) -> Event:
    """The event with the category and the service of its log source said in it, one of each: all the peer reads.

    Of several, a category that is not `registry_event` is taken: more rules ask for the others.
    """
    route = route_of(origin_of(event))
    found = dict(event)
    for label, names in (("category", route.categories - {"registry_event"}), ("service", route.services)):
        if names and label not in event:
            found[label] = min(names)
    return found


def unique(lines: Iterable[bytes], first: int = 0) -> Iterator[bytes]:
    """Every line with its texts made its own, by numbers from `first` on."""
    for number, line in enumerate(lines, first):
        yield encode(made_unique(decode(line), number))


def made_unique(event: Event, number: int) -> Event:
    """The event with a token that no other has in the middle of every text: how texts begin and end stays.

    Numbers and what routes the event stay as they are, and so does the type of every value.
    """
    token = _token(number)
    return {name: value if name in _KEPT else _marked(value, token) for name, value in event.items()}


def new_texts(line: bytes) -> int:
    """How many values of an event `unique` makes its own."""
    event = decode(line)
    marked = made_unique(event, 0)
    return sum(event[name] != marked[name] for name in event)


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


def make(folder: Path, lines: Iterable[bytes]) -> Lane:
    """Write the files of a lane, line by line: what this process holds would count as memory of those it starts."""
    whole, first, second = (folder / f"{part}.ndjson" for part in ("whole", "first", "second"))
    every = folder / "every.ndjson"
    count = write(every, lines)
    half = count // 2
    with every.open("rb") as file, whole.open("wb") as all_of_it, first.open("wb") as one, second.open("wb") as other:
        for number, line in enumerate(file):
            all_of_it.write(numbered(line, number) + b"\n")
            (one if number < half else other).write(line)
    every.unlink()
    return Lane(whole, first, second, half, count - half)


def repeated(lane: Lane, times: int) -> Path:
    """The second half `times` over, for what remembers nothing of it."""
    path = lane.second.with_name("repeated.ndjson")
    with path.open("wb") as file:
        for _ in range(times):
            with lane.second.open("rb") as once:
                shutil.copyfileobj(once, file)
    return path


def numbered(line: bytes, number: int) -> bytes:
    """The object of `line` with its number as its last field."""
    return line.rstrip()[:-1] + b',"%s":%d}' % (NUMBER.encode(), number)


def write(path: Path, lines: Iterable[bytes]) -> int:
    """Write lines, and say how many."""
    count = 0
    with path.open("wb") as file:
        for line in lines:
            file.write(line + b"\n")
            count += 1
    return count
