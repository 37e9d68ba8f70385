"""What `almena rules check` says: which rules load, which do not and why, and what their authors should look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from almena.ecs import fields as schema
from almena.words import KEYS, fields_of
from detectors.sigma.loader import load_rules
from detectors.sigma.rules import Correlation, Rejection, Rule, RuleSet
from detectors.sigma.trial import Failure, Outcome, run_tests

__all__ = ["Failure", "Outcome", "Report", "check", "review", "run_tests"]

_FILLED = ("winlog.", "auditd.log.")
"""Beginnings of fields that parsers fill beside the schema's."""

_OF_ALERTS = frozenset({"almena.alert.count"})
"""What templates may name beside an event's fields."""

_LOUD = frozenset({"medium", "high", "critical"})


@dataclass(frozen=True)
class Report:
    """What checking gave."""

    loaded: int
    """Rules and correlations in use."""
    rejected: tuple[Rejection, ...]
    warnings: tuple[Rejection, ...]
    hash: str


def check(paths: Sequence[Path]) -> Report:
    """Load the rules under `paths` as detect would, and look them over."""
    return review(load_rules(paths))


def review(ruleset: RuleSet) -> Report:
    """Look the rules of `ruleset` over."""
    warnings = list(ruleset.warnings)
    for item in ruleset.everything:
        warnings += [Rejection(item.title, item.file, reason) for reason in _doubts(item, ruleset)]
    return Report(len(ruleset.everything), ruleset.rejected, tuple(warnings), ruleset.hash)


def _doubts(item: Rule | Correlation, ruleset: RuleSet) -> Iterator[str]:
    yield from _tests(item.document.get("tests"))
    words = item.document.get("es")
    missing = [key for key in KEYS["es"] if not isinstance(words, Mapping) or not words.get(key)]
    if missing:
        yield f"it has no Spanish words for {', '.join(missing)} under 'es'"
    for name in _named(item.document):
        if not _filled(name) and name not in _OF_ALERTS:
            yield f"its words name the field {name}, which no feed fills"
    for name in sorted(_read(item)):
        if not _filled(name):
            yield f"it reads the field {name}, which no feed fills"
    if item.id in ruleset.muted and item.level in _LOUD:
        yield f"its level is {item.level}, but it only feeds correlations, none of which says 'generate: true'"


def _tests(tests: Any) -> Iterator[str]:
    if not isinstance(tests, Mapping):
        yield "it has no tests"
        return
    for kind in ("alerts", "silent"):
        if not tests.get(kind):
            yield f"its tests have no example under '{kind}'"


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
    # What an inner correlation groups by is looked up in the rules it reads, and checked there.
    return {name for names in item.sources.values() for name in names.values() if "." in name}


def _filled(name: str) -> bool:
    return name in schema() or name.startswith(_FILLED)
