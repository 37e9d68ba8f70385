"""The commands that need no service: replay, parse, rules check, rules test."""

from __future__ import annotations

import os
import re
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from almena import replay as replaying
from almena.app import configuration, detectors_of, operators_of
from almena.config import Config
from almena.errors import UsageError
from almena.event import Event
from almena.masking import Masker
from almena.paths import rules_dir
from almena.replay import Place, Totals

if TYPE_CHECKING:
    from detectors.sigma.rules import RuleSet

FEW = 20
"""Rejections, warnings or failures that are listed one by one without `--all`."""

_NAMED = 8
_FIELD = re.compile(r"\bfield ([^\s,]+)")

Batches = Iterator[list[tuple[Place, Event]]]


def replay(paths: list[Path], rules: list[Path], format_: str, *, verdicts: bool, config: Path | None) -> int:
    """Detect over files; alerts (or verdicts) on stdout, progress and a summary on stderr."""
    from detectors.sigma.detector import SigmaDetector
    from detectors.sigma.loader import load_rules

    settings = configuration(config)
    files = replaying.files_of(paths)
    if not files:
        raise UsageError(f"{', '.join(map(str, paths))}: there are no files in it")
    mode: Literal["ecs", "native"] = "native" if format_ == "native" else "ecs"
    folders = rules or [Path(folder) for folder in settings.rules] or [rules_dir()]
    ruleset = load_rules(folders, mode=mode)
    _complain(ruleset)
    mask = _no_mask if mode == "native" else _masker(settings)
    totals = Totals()
    began = time.monotonic()
    source = _batches(files, format_, mask, totals)
    detector = SigmaDetector(ruleset)
    if verdicts:
        for line, rule in replaying.verdicts(source, detector.match_ids, totals):
            print(f"{line}\t{rule}")
    else:
        models = [] if mode == "native" else detectors_of(settings, live=False)
        operators = operators_of(models, ruleset)
        for alert in replaying.alerts(source, [detector, *models], operators, totals):
            print(replaying.dump(alert))
    what = "match" if verdicts else "alert"
    print(replaying.summary(totals, began, time.monotonic(), what), file=sys.stderr)
    return 0


def _complain(ruleset: RuleSet) -> None:
    for rejection in ruleset.rejected:
        print(f"rule {rejection.rule} ({rejection.file}) is rejected: {rejection.reason}", file=sys.stderr)
    if not ruleset.rules and not ruleset.correlations:
        raise UsageError("no rule was loaded; `--rules DIR` names a folder of Sigma rules")


def _no_mask(event: Event) -> Event:
    return event


def _masker(config: Config) -> Callable[[Event], Event]:
    """Masking under the installation's key when there is one; otherwise under a key of this run alone."""
    from almena.sealing import Secret

    path = Path(config.data) / "secret.key"
    known = path.exists() or "ALMENA_SECRET" in os.environ
    key = Secret.load(path).derive("masking") if known else secrets.token_bytes(32)
    return Masker(key).mask


def _batches(files: list[Path], format_: str, mask: Callable[[Event], Event], totals: Totals) -> Batches:
    """Events of all files in batches, with a progress bar on stderr while a person watches."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from collectors.reading import read

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[records]:,} records"))
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=sum(path.stat().st_size for path in files), records=0)
        done = 0
        for path in files:
            kind, items, read_one = read(path, format_)
            progress.update(task, description=f"{path.name} ({kind})")
            size = path.stat().st_size
            packed = path.suffix in replaying.PACKED
            for batch in replaying.batches(items, _masked(read_one, mask), totals):
                yield batch
                if not packed:
                    progress.update(task, completed=done + min(batch[-1][0].offset, size), records=totals.records)
            done += size
            progress.update(task, completed=done, records=totals.records)


def _masked(read: replaying.Reader, mask: Callable[[Event], Event]) -> replaying.Reader:
    return lambda raw: mask(read(raw))


def parse(file: Path, parser: str, zone: str) -> int:
    """Print the event of each record; what cannot be read is said on stderr, and the exit code is 1 then."""
    from collectors.reading import read

    _check_zone(zone)
    (path,) = replaying.files_of([file])[:1] or [file]
    _, items, read_one = read(path, parser, zone)
    totals = Totals()
    for batch in replaying.batches(items, _masked(read_one, _masker(configuration(None))), totals):
        for _, event in batch:
            print(replaying.plain(event))
    if totals.dead:
        print(f"{sum(totals.dead.values())} of {totals.records} records were not understood", file=sys.stderr)
    return 1 if totals.dead else 0


def _check_zone(zone: str) -> None:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(f"zone {zone!r} is not known here; write it like 'America/Mexico_City'") from None


def rules_check(directory: Path | None, *, every: bool = False) -> int:
    """Say what is wrong with rules; exit code 1 when one is rejected."""
    from detectors.sigma.check import check

    report = check([_folder(directory, "check")])
    rejected = [f"{rejection.file}: {rejection.rule}: {rejection.reason}" for rejection in report.rejected]
    warnings = [(f"{warning.file}: {warning.rule}", warning.reason) for warning in report.warnings]
    _say_all("[red]✗[/red]", rejected if every else _first(rejected))
    short = not every and len(warnings) > FEW
    _say_all("[yellow]![/yellow]", _kinds(warnings) if short else (": ".join(warning) for warning in warnings))
    if short or (not every and len(rejected) > FEW):
        print("`--all` shows each one")
    print(f"{report.loaded:,} rules loaded, {len(rejected):,} rejected, {_many(len(warnings), 'warning')}")
    return 1 if rejected else 0


def rules_test(directory: Path | None, *, every: bool = False) -> int:
    """Run every rule's own examples; exit code 1 when one fails."""
    from detectors.sigma.trial import run_tests

    outcome = run_tests([_folder(directory, "test")])
    failures = [str(failure) for failure in outcome.failures]
    _say_all("[red]✗[/red]", failures if every else _first(failures))
    if not every and len(failures) > FEW:
        print("`--all` shows each one")
    print(f"{_many(outcome.passed, 'example')} passed, {len(failures):,} failed")
    return 1 if failures else 0


def _say_all(sign: str, texts: Iterable[str]) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False, soft_wrap=True)
    for text in texts:
        console.print(f"{sign} {escape(text)}")


def _first(texts: list[str]) -> Iterator[str]:
    yield from texts[:FEW]
    if len(texts) > FEW:
        yield f"and {len(texts) - FEW:,} more"


def _kinds(warnings: list[tuple[str, str]]) -> Iterator[str]:
    """Warnings counted by what they say whatever the field, the commonest first, each with where it stands first."""
    found: dict[str, list[tuple[str, str]]] = {}
    for warning in warnings:
        found.setdefault(_FIELD.sub("field …", warning[1]), []).append(warning)
    for kind, those in sorted(found.items(), key=lambda item: -len(item[1])):
        fields = Counter(name for _, reason in those for name in _FIELD.findall(reason))
        named = ", ".join(f"{name} {count:,}" for name, count in fields.most_common(_NAMED))
        rest = f" and {len(fields) - _NAMED:,} other fields" if len(fields) > _NAMED else ""
        yield f"{len(those):,} × {kind}{f': {named}{rest}' if named else ''}; first in {those[0][0]}"


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _folder(directory: Path | None, command: str) -> Path:
    if directory is None:
        return rules_dir()
    if not directory.exists():
        raise UsageError(
            f"{directory}: no such file or folder; `almena rules {command} DIR` names one with Sigma rules"
        )
    return directory
