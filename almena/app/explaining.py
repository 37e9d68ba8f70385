"""`almena rules explain`: one rule and one event, whether they match, why, and what comes nearest."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from almena.app import cache_of, configuration, rule_folders
from almena.app.offline import finishing
from almena.app.oneevent import one_event
from almena.errors import UsageError
from almena.phrases import either
from almena.verdict import verdict_lines
from almena.words import safe

if TYPE_CHECKING:
    from detectors.sigma.rules import Correlation, Rule, RuleSet

SHORTEST_PREFIX = 4
"""Characters of an id that may stand for it."""

_SUFFIXES = (".yml", ".yaml")
_NATIVE = (
    "El evento trae los nombres de campo de su origen y la regla se leyó con los de ECS: pruebe --format native.",
    "The event has its source's field names, and the rule was read with those of ECS: try --format native.",
)
_ECS = (
    "El evento trae nombres de ECS y la regla se leyó con los suyos: quite --format native.",
    "The event has ECS names, and the rule was read with its own: leave --format native out.",
)


def explain(
    wanted: str,
    named: str,
    *,
    rules: Sequence[Path] = (),
    format_: str = "auto",
    line: int | None = None,
    language: str = "",
    json: bool = False,
    config: Path | None = None,
) -> int:
    """Explain the rule `wanted` for the event `named`; exit code 0 when it matches, 1 when it does not.

    For a correlation: 0 when the event counts for it. Raises UsageError for a rule or an event that is not found.
    """
    from detectors.sigma.rules import Correlation

    settings = configuration(config)
    language = language or settings.language
    if language not in ("es", "en"):
        raise UsageError(f"no language {language!r}; there are es, en")
    mode: Literal["ecs", "native"] = "native" if format_ == "native" else "ecs"
    file = _file(wanted)
    folders = [file] if file is not None and not rules else list(rules) or rule_folders(settings)
    ruleset = _loaded(folders, mode, None if file is not None else cache_of(settings))
    item = _in_file(ruleset, file) if file is not None else choose(ruleset, wanted)
    found = one_event(named, format_, line)
    event = finishing(format_, settings)(_flat(found.event) if mode == "native" else found.event)
    for note in found.notes:
        print(note, file=sys.stderr)
    told, said = _told(item, event, ruleset, language)
    if json:
        about = {"id": item.id, "title": item.title, "level": item.level, "file": item.file}
        kind = "correlation" if isinstance(item, Correlation) else "sigma"
        sys.stdout.buffer.write(msgspec.json.encode({"rule": about | {"kind": kind}, **told}) + b"\n")
    else:
        print("\n".join([f"{safe(item.title)} ({item.id}, {item.level})", *said]))
    return 0 if told["matches"] else 1


def _told(
    item: Rule | Correlation, event: dict[str, Any], ruleset: RuleSet, language: str
) -> tuple[dict[str, Any], list[str]]:
    """What there is to say, as plain values and as lines."""
    from detectors.sigma.nearest import verdict
    from detectors.sigma.rules import Rule

    if isinstance(item, Rule):
        found = verdict(item, event, ruleset)
        return found, [*verdict_lines(found, language), *_tips(found, ruleset.mode, language)]
    from almena.app.feeding import feeding, feeding_lines

    titles = {one.id: title_of(one, language) for one in ruleset.everything}
    found = feeding(item, event, ruleset)
    tips = _tips(found["nearest"]["verdict"], ruleset.mode, language) if "nearest" in found else ()
    return found, [*feeding_lines(found, language, titles), *tips]


def title_of(item: Rule | Correlation, language: str) -> str:
    """The rule's title in a language, or the one that Sigma has."""
    block = item.document.get(language)
    said = block.get({"es": "titulo", "en": "title"}[language]) if isinstance(block, Mapping) else None
    return str(said or item.title)


def _tips(found: Mapping[str, Any], mode: str, language: str) -> Iterator[str]:
    """What to try when fields stand under other names than the rule reads."""
    renamed = [change for change in found["nearest"]["changes"] if change["near"]["kind"] == "renamed"]
    if any(change["near"]["name"].lower() != str(change.get("field")).lower() for change in renamed):
        yield either(_ECS if mode == "native" else _NATIVE, language)


def _flat(event: dict[str, Any]) -> dict[str, Any]:
    from detectors.sigma.native import native_windows

    own = {name: value for name, value in event.items() if not isinstance(value, dict)}
    return own | native_windows(event)


def _file(wanted: str) -> Path | None:
    if not wanted.endswith(_SUFFIXES):
        return None
    path = Path(wanted)
    if not path.is_file():
        raise UsageError(f"{wanted}: no such file")
    return path


def _loaded(folders: Sequence[Path], mode: Literal["ecs", "native"], cache: Path | None) -> RuleSet:
    from detectors.sigma.cache import load_rules

    for folder in folders:
        if not folder.exists():
            raise UsageError(f"{folder}: no such file or folder; `--rules DIR` names one with Sigma rules")
    return load_rules(folders, mode=mode, cache=cache)


def _in_file(ruleset: RuleSet, file: Path) -> Rule | Correlation:
    """The one rule of a file, or the one correlation over its rules."""
    own = [item for item in ruleset.everything if Path(item.file).resolve() == file.resolve()]
    alone = [item for item in own if item.id not in _read(ruleset)] or own
    if len(alone) == 1:
        return alone[0]
    if not own:
        for rejection in ruleset.rejected:
            if Path(rejection.file).resolve() == file.resolve():
                raise UsageError(f"{file}: {rejection.rule} is rejected: {rejection.reason}")
        raise UsageError(f"{file}: there is no rule in it")
    raise UsageError(f"{file} has {len(own)} rules; name one: {_list(own)}, with --rules {file}")


def _read(ruleset: RuleSet) -> set[str]:
    """Ids of the rules that correlations read."""
    return {rule for correlation in ruleset.correlations for rule in correlation.rules}


def choose(ruleset: RuleSet, wanted: str) -> Rule | Correlation:
    """The rule that `wanted` names: its id or the beginning of it, its name, its file's, or its title or a part of it.

    Raises UsageError with what comes near when there is none, or more than one.
    """
    text = wanted.strip().lower()
    ways = (
        [item for item in ruleset.everything if item.id.lower() == text],
        [item for item in ruleset.everything if item.name and item.name.lower() == text],
        [item for item in ruleset.everything if text in _titles(item)],
        [item for item in ruleset.everything if Path(item.file).stem.lower() == text],
        [item for item in ruleset.everything if len(text) >= SHORTEST_PREFIX and item.id.lower().startswith(text)],
        [item for item in ruleset.everything if len(text) >= SHORTEST_PREFIX and any(text in t for t in _titles(item))],
    )
    for found in ways:
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(f"{wanted!r} names {len(found)} rules: {_list(found)}")
    for rejection in ruleset.rejected:
        if text and text in (rejection.rule.lower(), rejection.file.lower()):
            raise UsageError(f"{rejection.rule} ({rejection.file}) is rejected: {rejection.reason}")
    if not ruleset.everything and ruleset.rejected:
        raise UsageError(f"no rule was loaded; the first that is rejected: {ruleset.rejected[0]}")
    near = _near(ruleset, text)
    hint = f"; did you mean {near}?" if near else ""
    raise UsageError(f"no rule {wanted!r} among {len(ruleset.everything):,}: an id, a name, a title or a file{hint}")


def _titles(item: Rule | Correlation) -> set[str]:
    return {title.strip().lower() for title in (item.title, title_of(item, "es"), title_of(item, "en"))}


def _near(ruleset: RuleSet, text: str) -> str:
    known = {key: item for item in ruleset.everything for key in (*_titles(item), item.name.lower(), item.id) if key}
    found = difflib.get_close_matches(text[:100], known, n=3, cutoff=0.6)
    return " or ".join(dict.fromkeys(f"{safe(known[key].title)!r}" for key in found))


def _list(items: Sequence[Rule | Correlation]) -> str:
    shown = "; ".join(f"{safe(item.title)} ({item.id})" for item in items[:5])
    return f"{shown} and {len(items) - 5:,} more" if len(items) > 5 else shown
