"""What `almena rules check` says: which rules load, which do not and why, and what their authors should look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from almena.ecs import fields as schema
from almena.words import KEYS, fields_of
from detectors.sigma.lint import Doubt, among, doubts
from detectors.sigma.loader import load_rules
from detectors.sigma.rules import Correlation, Rejection, Rule, RuleSet

__all__ = ["Finding", "Report", "check", "review"]

_FILLED = ("winlog.", "auditd.log.")
"""Beginnings of fields that parsers fill beside the schema's."""

_OF_ALERTS = frozenset({"almena.alert.count", "almena.alert.value"})
"""What templates may name beside an event's fields."""

_LOUD = frozenset({"medium", "high", "critical"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about a rule that its author should look at."""

    kind: str
    """One of `lint.KINDS`."""
    rule: str
    """Its title."""
    id: str
    """Its id; empty where loading found it and the rule has none."""
    file: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.rule}: {self.reason}"


@dataclass(frozen=True)
class Report:
    """What checking gave."""

    loaded: int
    """Rules and correlations in use."""
    rejected: tuple[Rejection, ...]
    warnings: tuple[Finding, ...]
    hash: str


def check(paths: Sequence[Path]) -> Report:
    """Load the rules under `paths` as detect would, and look them over."""
    return review(load_rules(paths))


def review(ruleset: RuleSet) -> Report:
    """Look the rules of `ruleset` over; what concerns one rule stands together, in the order they were loaded."""
    found: dict[str, list[Finding]] = {item.id: [] for item in ruleset.everything}
    for item in ruleset.everything:
        found[item.id] += [_finding(item, doubt) for doubt in (*_doubts(item, ruleset), *doubts(item))]
    # One that only feeds a correlation may repeat another: it alerts nobody twice.
    for item, doubt in among(item for item in ruleset.everything if item.id not in ruleset.muted):
        found[item.id].append(_finding(item, doubt))
    said = [Finding("loading", warning.rule, "", warning.file, warning.reason) for warning in ruleset.warnings]
    warnings = (*said, *(finding for findings in found.values() for finding in findings))
    return Report(len(ruleset.everything), ruleset.rejected, warnings, ruleset.hash)


def _finding(item: Rule | Correlation, doubt: Doubt) -> Finding:
    kind, reason = doubt
    return Finding(kind, item.title, item.id, item.file, reason)


def _doubts(item: Rule | Correlation, ruleset: RuleSet) -> Iterator[Doubt]:
    yield from _tests(item.document.get("tests"))
    words = item.document.get("es")
    missing = [key for key in KEYS["es"] if not isinstance(words, Mapping) or not words.get(key)]
    if missing:
        yield "words", f"it has no Spanish words for {', '.join(missing)} under 'es'"
    for name in _named(item.document):
        if not _filled(name) and name not in _OF_ALERTS:
            yield "words", f"its words name the field {name}, which no feed fills"
    for name in sorted(_read(item)):
        if not _filled(name):
            yield "field", f"it reads the field {name}, which no feed fills"
    if item.id in ruleset.muted and item.level in _LOUD:
        yield "level", f"its level is {item.level}, but it only feeds correlations, none of which says 'generate: true'"


def _tests(tests: Any) -> Iterator[Doubt]:
    if not isinstance(tests, Mapping):
        yield "tests", "it has no tests"
        return
    for kind in ("alerts", "silent"):
        if not tests.get(kind):
            yield "tests", f"its tests have no example under '{kind}'"


def _named(document: Mapping[str, Any]) -> Iterator[str]:
    found = {
        name
        for language, keys in KEYS.items()
        if isinstance(block := document.get(language), Mapping)
        for key in keys
        for name in fields_of(str(block.get(key, "")))
    }
    yield from sorted(found)


def _read(item: Rule | Correlation) -> set[str]:
    if isinstance(item, Rule):
        return set(item.fields)
    return {field for leaves in item.sources.values() for names in leaves.values() for field in names.values()}


def _filled(name: str) -> bool:
    return name in schema() or name.startswith(_FILLED)
