"""Which files of other people's rules to install: those whose status and level are asked for, and that load."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from detectors.sigma.documents import Broken, Document, documents
from detectors.sigma.inputs import FOLDER
from detectors.sigma.loader import load_texts
from detectors.sigma.rules import LEVEL

STATUSES = ("stable", "test", "experimental", "deprecated", "unsupported")
LEVELS = ("informational", "low", "medium", "high", "critical")
NONE = "none"
"""The status of a rule that states none."""


@dataclass(frozen=True)
class Choice:
    """What is asked for."""

    statuses: frozenset[str] = frozenset({"stable", "test"})
    levels: frozenset[str] = frozenset({"medium", "high", "critical"})
    licence: str = "DRL-1.1"
    """Of rules that state none themselves."""


@dataclass
class Candidate:
    """One file with rules."""

    name: str
    """As the archive has it."""
    data: bytes
    found: list[Document] = field(default_factory=list)

    @property
    def names(self) -> set[str]:
        """What correlations and filters may call its rules by."""
        stated = ((document.content.get("id"), document.content.get("name")) for document in self.found)
        return {str(name) for pair in stated for name in pair if name}

    @property
    def reads(self) -> set[str]:
        """The rules that its correlations read."""
        return {str(name) for document in self.found for name in _rules_of(document.content.get("correlation"))}


@dataclass
class Chosen:
    """What is to be installed."""

    files: list[Candidate] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)
    """Names that are not, each with the reason."""


def choose(files: Mapping[str, bytes], choice: Choice) -> Chosen:
    """The files to install; rules that a chosen correlation reads come with it, whatever their level."""
    chosen = Chosen()
    candidates: list[Candidate] = []
    unfit: dict[str, str] = {}
    for name, data in files.items():
        candidate, reason = _candidate(name, data)
        if reason:
            chosen.left.append((name, reason))
            continue
        candidates.append(candidate)
        if reason := _unfit(candidate, choice):
            unfit[name] = reason
    _bring_along(candidates, unfit)
    chosen.left += unfit.items()
    taken = [candidate for candidate in candidates if candidate.name not in unfit]
    refused = _refused(taken)
    chosen.left += refused.items()
    chosen.files = [candidate for candidate in taken if candidate.name not in refused]
    return chosen


def _candidate(name: str, data: bytes) -> tuple[Candidate, str]:
    candidate = Candidate(name, data)
    if FOLDER in name.split("/")[:-1]:
        return candidate, f"folders called '{FOLDER}' hold field mappings, no rules"
    for found in documents(name, data.decode("utf-8-sig", "replace")):
        if isinstance(found, Broken):
            return candidate, found.reason
        if any(key in found.content for key in ("detection", "correlation", "filter")):
            candidate.found.append(found)
    return candidate, "" if candidate.found else "it holds no Sigma rule"


def _unfit(candidate: Candidate, choice: Choice) -> str:
    """Why no rule of the file is asked for; nothing when one is."""
    reason = ""
    for document in candidate.found:
        reason = _reason(document.content, choice)
        if not reason:
            return ""
    return reason


def _reason(content: Mapping[str, Any], choice: Choice) -> str:
    status, level = status_of(content), level_of(content)
    if "filter" in content and status == NONE:
        return ""
    if status not in choice.statuses:
        return "it states no status" if status == NONE else f"its status is {status}"
    return "" if "filter" in content or level in choice.levels else f"its level is {level}"


def status_of(content: Mapping[str, Any]) -> str:
    """A rule's status in lower case."""
    return str(content.get("status") or NONE).lower()


def level_of(content: Mapping[str, Any]) -> str:
    """A rule's level in lower case; that of rules that state none when it does not."""
    return str(content.get("level") or LEVEL).lower()


def _bring_along(candidates: Sequence[Candidate], unfit: dict[str, str]) -> None:
    """Take out of `unfit` what fit correlations read, and what that reads in turn."""
    by_name = {name: candidate for candidate in candidates for name in candidate.names}
    waiting = [candidate for candidate in candidates if candidate.name not in unfit]
    while waiting:
        for name in waiting.pop().reads:
            needed = by_name.get(name)
            if needed is not None and unfit.pop(needed.name, None) is not None:
                waiting.append(needed)


def _rules_of(correlation: Any) -> Iterator[Any]:
    rules = correlation.get("rules") if isinstance(correlation, Mapping) else None
    yield from rules if isinstance(rules, list) else [rules] if rules else []


def _refused(candidates: Sequence[Candidate]) -> dict[str, str]:
    """The files of which nothing loads, each with the reason."""
    if not candidates:
        return {}
    texts = [(candidate.name, candidate.data.decode("utf-8-sig", "replace")) for candidate in candidates]
    ruleset = load_texts(texts, "ecs")
    loaded = {item.file for item in ruleset.everything}
    return {
        rejection.file: f"it does not load: {rejection.reason}"
        for rejection in ruleset.rejected
        if rejection.file not in loaded
    }
