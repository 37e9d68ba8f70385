"""What loading gives: rules, correlations, and those that were refused with the reason."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from almena.alert import SEVERITY
from detectors.sigma.condition import Condition
from detectors.sigma.expression import Expression, fields_of
from detectors.sigma.pattern import Way

NUMERIC = frozenset({"value_sum", "value_avg", "value_percentile", "value_median"})
"""Correlation types whose values are numbers."""

LEVEL = "medium"
"""The level of a rule that states none."""


@dataclass(frozen=True, slots=True)
class LogSource:
    """Which events a rule is about; None means any."""

    product: str | None = None
    category: str | None = None
    service: str | None = None

    def __str__(self) -> str:
        return "/".join(part or "*" for part in (self.product, self.category, self.service))


@dataclass(frozen=True, kw_only=True, eq=False)
class Stated:
    """What every rule document states."""

    id: str
    """Its UUID; made from its name or title when it states none."""
    title: str
    name: str = ""
    """The short name that correlations and filters may refer to it by."""
    level: str = LEVEL
    """`informational`, `low`, `medium`, `high` or `critical`."""
    file: str = ""
    """Where it was read from."""
    version: str = ""
    """A hash of what it detects; rewording a rule does not change it."""
    document: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """The whole YAML document, with keys beyond Sigma's such as `es`, `en` and `tests`."""

    @property
    def severity(self) -> int:
        """`event.severity` of its alerts."""
        return SEVERITY[self.level]

    @cached_property
    def about(self) -> dict[str, Any]:
        """What `almena.alert.build` takes as `rule`."""
        references = self.document.get("references") or [""]
        return {
            "id": self.id,
            "name": self.title,
            "version": self.version,
            "reference": references[0],
            "tags": self.document.get("tags") or [],
            "description": self.document.get("description"),
            "author": self.document.get("author"),
            "license": self.document.get("license"),
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class Rule(Stated):
    """A rule that one event suffices for."""

    logsource: LogSource
    expression: Expression
    """What it asks, filters included."""
    condition: str
    """Its condition as written, for explanations."""

    @cached_property
    def fields(self) -> frozenset[str]:
        """The fields it reads."""
        return fields_of(self.expression)


@dataclass(frozen=True, kw_only=True, eq=False)
class Correlation(Stated):
    """A rule over several events; docs/correlation.md says what each type means."""

    type: str
    """One of `detectors.sigma.relations.TYPES`."""
    rules: tuple[str, ...]
    """Ids of the rules and correlations it reads, in the order written."""
    group_by: tuple[str, ...] = ()
    """Names it groups by: fields, or aliases."""
    timespan: int
    """Length of its window in microseconds."""
    condition: Condition | None = None
    """What a number is held against; None where its condition is an expression."""
    expression: str = ""
    """The boolean condition as written, for temporal types that have one."""
    named: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """The ids of the rules that the expression names, by how it names them."""
    ways: tuple[Way, ...] = ()
    """Temporal types with an order or an expression: the ways in which their rules may come together."""
    counted: tuple[str, ...] = ()
    """`value_*`: the names whose values are counted, summed or ranked."""
    percentile: int = 50
    """`value_percentile`: which one, 1 to 99."""
    generate: bool = False
    """True when the rules it reads alert themselves too."""
    sources: Mapping[str, Mapping[str, Mapping[str, str]]] = dataclasses.field(default_factory=dict)
    """For each rule it reads, by id, and each rule that one rests on: the field behind each of its names."""
    depth: int = 0
    """0 when it reads rules alone, otherwise one more than the highest correlation it reads."""
    lateness: int = 0
    """The lateness in microseconds of the feeds it waits for, where it says so; 0 for the live clock."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every name it looks up in the events of its rules."""
        return tuple(dict.fromkeys(self.group_by + self.counted))

    @property
    def leaves(self) -> tuple[str, ...]:
        """Ids of the rules it rests on, directly or through correlations."""
        return tuple(dict.fromkeys(leaf for found in self.sources.values() for leaf in found))

    def field(self, name: str, leaf: str) -> str:
        """What `name` is called in the events of the rule `leaf`."""
        return next(names[leaf][name] for names in self.sources.values() if leaf in names)

    @property
    def absent(self) -> tuple[str, ...]:
        """Ids of rules that must not occur for it to hold in some way."""
        return tuple(dict.fromkeys(rule for way in self.ways for rule, occurs in way if not occurs))

    @property
    def numeric(self) -> bool:
        """Whether its values are numbers."""
        return self.type in NUMERIC

    @property
    def closes(self) -> bool:
        """Whether it can only be decided when its window closes, in some way."""
        if self.condition is not None:
            return not self.condition.sliding
        # In order, only what must not come behind the others has to be waited for.
        return any(not way[-1][1] for way in self.ways) if self.type == "temporal_ordered" else bool(self.absent)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A rule that is not in use, and why."""

    rule: str
    """Its id, or its title, or its file when it has neither; empty when it is about all of them."""
    file: str
    reason: str

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.file, self.rule, self.reason)))


@dataclass(frozen=True, kw_only=True)
class RuleSet:
    """Everything that was loaded."""

    rules: tuple[Rule, ...] = ()
    correlations: tuple[Correlation, ...] = ()
    rejected: tuple[Rejection, ...] = ()
    warnings: tuple[Rejection, ...] = ()
    """What was loaded but may not do what its author hopes."""
    mode: str = "ecs"
    field: Callable[[str, LogSource], str] = lambda name, logsource: name
    """What a field that rules of a log source name is called in events."""
    muted: frozenset[str] = frozenset()
    """Ids of rules and correlations that only feed correlations and raise no alert of their own."""

    filters: tuple[tuple[str, str], ...] = ()
    """Filters in use: what each is called in messages, and its file."""
    reading: str = ""
    """A hash of how the rules were read: the pipelines and the time zone."""

    @cached_property
    def hash(self) -> str:
        """What tells one set from another: 16 hexadecimal digits over every document in use and how it was read."""
        parts = sorted((item.id, item.version, digest(dict(item.document))) for item in self.everything)
        return digest([self.mode, self.reading, parts], size=8)

    @cached_property
    def by_id(self) -> dict[str, Rule | Correlation]:
        """Rules and correlations by id."""
        return {item.id: item for item in self.everything}

    @property
    def everything(self) -> tuple[Rule | Correlation, ...]:
        """Rules, then correlations."""
        return (*self.rules, *self.correlations)


def digest(value: Any, *, size: int = 6) -> str:
    """A short hash of plain values, the same for the same content in any order of keys."""
    try:
        data = msgspec.json.encode(value, order="sorted", enc_hook=str)
    except (TypeError, ValueError):  # keys that are no text, or what JSON cannot say: as it stands then
        data = repr(value).encode("utf-8", "replace")
    return hashlib.blake2b(data, digest_size=size).hexdigest()
