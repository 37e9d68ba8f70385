"""A slow Sigma evaluator that reads pySigma's own tree, written apart from the engines so that they can be held to it.

It shares with the product only what makes pySigma read a rule (modifiers, pipelines) and RE2, which defines what a
regular expression means. It walks trees, scans texts and knows no index.
"""

from __future__ import annotations

import functools
import ipaddress
import operator
import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import re2
from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.rule import SigmaRule
from sigma.types import (
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaRegularExpressionFlag,
    SigmaString,
    SigmaTimestampPart,
    SpecialChars,
)

from detectors.sigma.modifiers import plain
from detectors.sigma.pipelines import Mapping as Pipelines
from detectors.sigma.rules import LogSource, Rule

Event = Mapping[str, Any]

OURS = {"@timestamp", "ecs.version", "organization.id", "organization.name"} | {
    f"event.{name}" for name in ("dataset", "id", "ingested", "kind", "module")
}
"""What intake writes about an event is no part of it; so do fields of `almena.source`."""

ANY, ONE = SpecialChars.WILDCARD_MULTI, SpecialChars.WILDCARD_SINGLE
COMPARE = {"LT": operator.lt, "LTE": operator.le, "GT": operator.gt, "GTE": operator.ge, None: operator.eq}
PARTS: dict[str, Callable[[datetime], int]] = {
    "MINUTE": lambda time: time.minute,
    "HOUR": lambda time: time.hour,
    "DAY": lambda time: time.day,
    "WEEK": lambda time: time.isocalendar()[1],
    "MONTH": lambda time: time.month,
    "YEAR": lambda time: time.year,
}
FLAGS = {
    SigmaRegularExpressionFlag.IGNORECASE: "i",
    SigmaRegularExpressionFlag.MULTILINE: "m",
    SigmaRegularExpressionFlag.DOTALL: "s",
}


# --- values ----------------------------------------------------------------------------------------------------------


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    return [leaf for item in value for leaf in leaves(item)] if isinstance(value, list) else [value]


def several(value: Any) -> list[Any]:
    """A field holds one value or a list; an object is no value."""
    return leaves(value) if isinstance(value, list) else [] if isinstance(value, dict) else [value]


def nothing(value: Any) -> bool:
    return all(item is None for item in value) if isinstance(value, list) else value is None


def text_of(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value) if abs(value) < 10**300 else None
    if isinstance(value, float):
        return str(int(value)) if abs(value) < 10**15 and value == int(value) else repr(value)
    return None


def number_of(value: Any) -> int | float | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"[-+]?[0-9]{1,40}", value):
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"[-+]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][-+]?[0-9]{1,3})?", value):
        return float(value) if float(value) not in (float("inf"), float("-inf")) else None
    return None


@functools.lru_cache(maxsize=100_000)
def lower(text: str) -> str:
    """Each character by itself, so that a word's end (`Σ`) or a dot (`İ`) changes no length and no neighbour."""
    if text.isascii():
        return text.lower()
    return "".join({"İ": "i", "ς": "σ"}.get(char, char.lower()) for char in text)


@functools.lru_cache(maxsize=100_000)
def address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, ipaddress.IPv6Address) else found


def moment(value: Any, zone: str) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(ZoneInfo(zone))


# --- texts with wildcards --------------------------------------------------------------------------------------------


Piece = str | list[Any]
"""What stands between two `*`: text, or characters and single wildcards."""


def starts(piece: Piece, text: str, at: int) -> bool:
    if isinstance(piece, str):
        return text.startswith(piece, at)
    return len(text) - at >= len(piece) and all(
        char is ONE or text[at + offset] == char for offset, char in enumerate(piece)
    )


def found_at(piece: Piece, text: str, start: int) -> int:
    if isinstance(piece, str):
        return text.find(piece, start)
    return next((at for at in range(start, len(text) - len(piece) + 1) if starts(piece, text, at)), -1)


def glob(pieces: Sequence[Piece], text: str) -> bool:
    """Whether `text` is the pieces in their order with anything between them."""
    first, *middle, last = pieces if len(pieces) > 1 else (*pieces, "")
    end = len(text) - len(last)
    if not starts(first, text, 0) or end < len(first):
        return False
    if len(pieces) == 1:
        return len(first) == len(text)
    at = len(first)
    for piece in middle:
        at = found_at(piece, text, at)
        if at < 0:
            return False
        at += len(piece)
    return at <= end and starts(last, text, end)


def texter(pieces: Sequence[Piece]) -> Callable[[str], bool]:
    """`glob` for a value; the commonest shape, `*text*`, in one step."""
    if len(pieces) == 3 and pieces[0] == pieces[2] == "" and isinstance(pieces[1], str):
        inner = pieces[1]
        return lambda text: inner in text
    return lambda text: glob(pieces, text)


def pieces_of(value: SigmaString, anywhere: bool) -> list[Piece]:
    cased = isinstance(value, SigmaCasedString)
    pieces: list[list[Any]] = [[]]
    for part in [ANY, *value.s, ANY] if anywhere else value.s:
        if part is ANY:
            pieces.append([])
        elif part is ONE:
            pieces[-1].append(ONE)
        else:
            pieces[-1].extend(str(part) if cased else lower(str(part)))
    return ["".join(piece) if ONE not in piece else piece for piece in pieces]


# --- leaves ----------------------------------------------------------------------------------------------------------


class Reading:
    """An event as the naive evaluator reads it; the field None is all of its values."""

    def __init__(self, event: Event) -> None:
        self.event = event
        aside = event.get("almena.misfit")
        self.aside = aside if isinstance(aside, dict) else {}
        self.texts = functools.cache(self._texts)
        self.lowered = functools.cache(self._lowered)

    def has(self, field: str) -> bool:
        return field in self.event or field in self.aside

    def value(self, field: str) -> Any:
        value = self.event.get(field)
        return self.aside.get(field) if value is None else value

    def values(self, field: str | None) -> list[Any]:
        if field is not None:
            return several(self.value(field))
        return [
            leaf
            for name, value in self.event.items()
            if name not in OURS and not name.startswith("almena.source.")
            for leaf in leaves(value)
        ]

    def _texts(self, field: str | None) -> list[str]:
        return [text for value in self.values(field) if (text := text_of(value)) is not None]

    def _lowered(self, field: str | None) -> list[str]:
        return [lower(text) for text in self.texts(field)]

    def numbers(self, field: str) -> list[int | float]:
        return [number for value in self.values(field) if (number := number_of(value)) is not None]


Verdict = Callable[[Reading], bool]


def asks(field: str | None, value: Any, zone: str) -> Verdict:
    """What one of pySigma's values asks of a field, or of the whole event."""
    match value:
        case SigmaExpansion():
            parts = [asks(field, item, zone) for item in value.values]
            return lambda reading: any(part(reading) for part in parts)
        case SigmaString():
            return asks_text(field, value)
        case SigmaRegularExpression():
            flags = "".join(FLAGS[flag] for flag in value.flags)
            pattern = re2.compile((f"(?{flags})" if flags else "") + str(value.regexp))
            return lambda reading: any(pattern.search(clean(text)) for text in reading.texts(field))
        case SigmaCompareExpression():
            return asks_number(field, COMPARE[value.op.name], value.number, zone)
        case SigmaNumber() if field is not None:
            return asks_number(field, COMPARE[None], value, zone)
        case SigmaNumber():
            return lambda reading: any(str(value.number) in text for text in reading.texts(None))
        case SigmaBool():
            wanted = str(value.boolean).lower()
            if field is None:
                return lambda reading: any(wanted in text for text in reading.lowered(None))
            return lambda reading: wanted in reading.lowered(field)
        case SigmaNull():
            return lambda reading: nothing(reading.value(str(field)))
        case SigmaExists():
            return lambda reading: reading.has(str(field)) is value.exists
        case SigmaCIDRExpression():
            return lambda reading: any(
                ip in value.network for text in reading.texts(field) if (ip := address(text)) is not None
            )
        case SigmaFieldReference():
            return asks_field(field, value)
    raise AssertionError(value)


def clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def asks_text(field: str | None, value: SigmaString) -> Verdict:
    fits = texter(pieces_of(value, field is None))
    if isinstance(value, SigmaCasedString):
        return lambda reading: any(map(fits, reading.texts(field)))
    return lambda reading: any(map(fits, reading.lowered(field)))


def asks_number(field: str | None, compare: Callable[[Any, Any], bool], value: Any, zone: str) -> Verdict:
    wanted, name = value.number, str(field)
    if not isinstance(value, SigmaTimestampPart):
        return lambda reading: any(compare(number, wanted) for number in reading.numbers(name))
    part = PARTS[value.timestamp_part.name]
    return lambda reading: any(
        compare(part(time), wanted) for item in reading.values(field) if (time := moment(item, zone)) is not None
    )


def asks_field(field: str | None, value: SigmaFieldReference) -> Verdict:
    begins, ends, cased = int(value.starts_with) & 1, bool(value.ends_with), int(value.starts_with) & 2

    def pair(one: str, two: str) -> bool:
        if begins and ends:
            return two in one
        if begins or ends:
            return one.startswith(two) if begins else one.endswith(two)
        return one == two

    def ask(reading: Reading) -> bool:
        texts = reading.texts if cased else reading.lowered
        return any(pair(one, two) for one in texts(field) for two in texts(value.field))

    return ask


# --- rules -----------------------------------------------------------------------------------------------------------


def every(children: list[Verdict]) -> Verdict:
    def ask(reading: Reading) -> bool:
        for child in children:  # noqa: SIM110 - asked millions of times
            if not child(reading):
                return False
        return True

    return ask


def some(children: list[Verdict]) -> Verdict:
    def ask(reading: Reading) -> bool:
        for child in children:  # noqa: SIM110 - asked millions of times
            if child(reading):
                return True
        return False

    return ask


def verdict_of(node: Any, zone: str, read: set[str | None]) -> Verdict:
    """A function for a node of a condition's tree; `read` gains the fields it reads, None for the whole event."""
    match node:
        case ConditionAND():
            return every([verdict_of(arg, zone, read) for arg in node.args])
        case ConditionOR():
            return some([verdict_of(arg, zone, read) for arg in node.args])
        case ConditionNOT():
            child = verdict_of(node.args[0], zone, read)
            return lambda reading: not child(reading)
        case ConditionFieldEqualsValueExpression():
            read.add(node.field)
            if isinstance(node.value, SigmaFieldReference):
                read.add(node.value.field)
            return asks(node.field, node.value, zone)
        case ConditionValueExpression():
            read.add(None)
            return asks(None, node.value, zone)
    raise AssertionError(node)


class NaiveRule:
    """One rule as its conditions' trees."""

    def __init__(self, document: Mapping[str, Any], pipelines: Pipelines, zone: str) -> None:
        detection = {
            name: value if name == "condition" else plain(value, name)
            for name, value in document["detection"].items()
            if name != "timeframe"
        }
        sigma = pipelines.apply(SigmaRule.from_dict({**document, "detection": detection}))
        read: set[str | None] = set()
        conditions = [verdict_of(condition.parsed, zone, read) for condition in sigma.detection.parsed_condition]
        self.matches: Verdict = lambda reading: any(condition(reading) for condition in conditions)
        self.reads = frozenset(read)


Sees = Callable[[Any, LogSource], bool]
"""Whether events of a kind are of a log source."""


class NaiveEngine:
    """Asks every rule that sees the event by walking its tree."""

    def __init__(
        self,
        rules: Sequence[Rule],
        *,
        kind: Callable[[Event], Hashable] = lambda event: None,
        sees: Sees = lambda kind, logsource: True,
        pipelines: Pipelines | None = None,
        zone: str = "America/Mexico_City",
    ) -> None:
        mapping = pipelines or Pipelines()
        self._rules = [(rule, NaiveRule(rule.document, mapping, zone)) for rule in rules]
        self._kind, self._sees = kind, sees

    def match(self, event: Event) -> list[Rule]:
        """The matching rules in the order given."""
        reading, kind = Reading(event), self._kind(event)
        return [rule for rule, naive in self._rules if self._sees(kind, rule.logsource) and naive.matches(reading)]

    def match_all(self, events: Sequence[Event], sources: Sequence[Event]) -> list[set[str]]:
        """The ids that match each event; `sources` are the events that the log sources are judged by.

        A rule's answer depends on the fields it reads alone, so it is asked once for each combination of their values.
        """
        found: list[set[str]] = [set() for _ in events]
        by_source: dict[LogSource, dict[frozenset[str | None], list[tuple[str, Verdict]]]]
        by_source = defaultdict(lambda: defaultdict(list))
        for rule, naive in self._rules:
            by_source[rule.logsource][naive.reads].append((rule.id, naive.matches))
        readings = [Reading(event) for event in events]
        kinds: dict[Hashable, list[int]] = defaultdict(list)
        for number, source in enumerate(sources):
            kinds[self._kind(source)].append(number)
        for logsource, by_fields in by_source.items():
            seen = [number for kind in kinds if self._sees(kind, logsource) for number in kinds[kind]]
            for fields, rules in by_fields.items():
                for numbers in alike(readings, seen, fields):
                    matching = [identity for identity, matches in rules if matches(readings[numbers[0]])]
                    for number in numbers if matching else ():
                        found[number].update(matching)
        return found


def alike(readings: list[Reading], numbers: list[int], fields: frozenset[str | None]) -> Iterator[list[int]]:
    """Numbers of the readings that have the same values in `fields`, in groups."""
    if None in fields:
        yield from ([number] for number in numbers)
        return
    groups: dict[Any, list[int]] = defaultdict(list)
    names = sorted(str(field) for field in fields)
    for number in numbers:
        groups[tuple([exactly(readings[number], name) for name in names])].append(number)
    yield from groups.values()


def exactly(reading: Reading, field: str) -> Any:
    """A key that differs for values that could be judged differently: `1` is not `True`, and nothing is not null."""
    value = reading.event.get(field)
    if type(value) is str:
        return value
    return (reading.has(field), repr(reading.value(field)))
