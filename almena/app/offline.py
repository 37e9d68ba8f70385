"""The commands that need no service: replay and parse."""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from almena import replay as replaying
from almena.app import cache_of, configuration, detectors_of, operators_of
from almena.config import Config
from almena.errors import UsageError
from almena.event import Event
from almena.masking import Masker
from almena.paths import rules_dir
from almena.replay import Item, Place, Reader, Totals

if TYPE_CHECKING:
    from almena.correlate import Operator
    from detectors.sigma.detector import SigmaDetector
    from detectors.sigma.rules import RuleSet

Batches = Iterator[list[tuple[Place, Event]]]

Opened = tuple[str, Iterator[Item], Reader]
"""A file's format, its records, and what turns one into an event."""

Opener = Callable[[Path], Opened]


def replay(paths: list[Path], rules: list[Path], format_: str, *, verdicts: bool, config: Path | None) -> int:
    """Detect over files; alerts (or verdicts) on stdout, progress and a summary on stderr.

    Alerts of rules in shadow are tagged as they are live; every rule sees every event, whatever it costs.
    """
    settings = configuration(config)
    files = some_files(paths)
    detector, models, operators = equipped(settings, rules, format_)
    totals = Totals()
    began = time.monotonic()
    source = event_batches(files, opener(format_, finishing(format_, settings)), totals)
    if verdicts:
        for line, rule in replaying.verdicts(source, detector.ids, totals):
            print(f"{line}\t{rule}")
    else:
        for alert in replaying.alerts(source, [detector, *models], operators, totals):
            print(replaying.dump(alert))
    what = "match" if verdicts else "alert"
    print(replaying.summary(totals, began, time.monotonic(), what), file=sys.stderr)
    return 0


def some_files(paths: list[Path]) -> list[Path]:
    """The files that are named and those in the folders that are named; raises UsageError when there are none."""
    files = replaying.files_of(paths)
    if not files:
        raise UsageError(f"{', '.join(map(str, paths))}: there are no files in it")
    return files


def equipped(settings: Config, rules: list[Path], format_: str) -> tuple[SigmaDetector, list[Any], dict[str, Operator]]:
    """What runs over files: the detector of rules, the models, and the operators of both by name.

    Alerts of rules in shadow are tagged as they are live, and every rule sees every event. Rejected rules are told on
    stderr; raises UsageError when no rule is left.
    """
    from almena.app.limits import NAME, Limits
    from detectors.sigma.cache import load_rules
    from detectors.sigma.detector import SigmaDetector

    mode: Literal["ecs", "native"] = "native" if format_ == "native" else "ecs"
    folders = rules or [Path(folder) for folder in settings.rules] or [rules_dir()]
    ruleset = load_rules(folders, mode=mode, cache=cache_of(settings))
    _complain(ruleset)
    over = Limits(Path(settings.data) / NAME).read()
    detector = SigmaDetector(ruleset, shadow=settings.detect.shadow, over=over, sample=1)
    models = [] if mode == "native" else detectors_of(settings, live=False)
    return detector, models, operators_of(models, ruleset)


def _complain(ruleset: RuleSet) -> None:
    for rejection in ruleset.rejected:
        print(f"rule {rejection.rule} ({rejection.file}) is rejected: {rejection.reason}", file=sys.stderr)
    if not ruleset.rules and not ruleset.correlations:
        raise UsageError("no rule was loaded; `--rules DIR` names a folder of Sigma rules")


def finishing(format_: str, config: Config) -> Callable[[Event], Event]:
    """What the intake does behind a parser: an event is enriched, and masked under the installation's key when there is
    one, otherwise under a key of this run alone. Native records are left as they are."""
    from almena.sealing import Secret
    from collectors.enrich import Enricher

    if format_ == "native":
        return lambda event: event
    path = Path(config.data) / "secret.key"
    known = path.exists() or "ALMENA_SECRET" in os.environ
    key = Secret.load(path).derive("masking") if known else secrets.token_bytes(32)
    enrich, mask = Enricher(config.enrich), Masker(key).mask
    return lambda event: mask(enrich(event))


def opener(format_: str, finish: Callable[[Event], Event]) -> Opener:
    """Opens files of a format; their events come finished."""
    from collectors.reading import read

    def open_(path: Path) -> Opened:
        kind, items, read_one = read(path, format_)
        return kind, items, _finished(read_one, finish)

    return open_


def event_batches(files: list[Path], open_: Opener, totals: Totals) -> Batches:
    """Events of all files in batches, with a progress bar on stderr while a person watches."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[records]:,} records"))
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=sum(path.stat().st_size for path in files), records=0)
        done = 0
        for path in files:
            kind, items, read_one = open_(path)
            progress.update(task, description=f"{path.name} ({kind})")
            size = path.stat().st_size
            packed = path.suffix in replaying.PACKED
            for batch in replaying.batches(items, read_one, totals):
                yield batch
                if not packed:
                    progress.update(task, completed=done + min(batch[-1][0].offset, size), records=totals.records)
            done += size
            progress.update(task, completed=done, records=totals.records)


def _finished(read: replaying.Reader, finish: Callable[[Event], Event]) -> replaying.Reader:
    return lambda raw: finish(read(raw))


def parse(file: Path, parser: str, zone: str) -> int:
    """Print the event of each record; what cannot be read is said on stderr, and the exit code is 1 then."""
    from collectors.reading import read

    _check_zone(zone)
    (path,) = replaying.files_of([file])[:1] or [file]
    _, items, read_one = read(path, parser, zone)
    totals = Totals()
    for batch in replaying.batches(items, _finished(read_one, finishing(parser, configuration(None))), totals):
        for _, event in batch:
            print(replaying.plain(event))
    if totals.dead:
        print(f"{sum(totals.dead.values())} of {totals.records} records were not understood", file=sys.stderr)
    return 1 if totals.dead else 0


def guess(file: Path, zone: str) -> int:
    """Say what a file is made of; 1 when less than all of it is understood."""
    from almena.app import guessing

    _check_zone(zone)
    (path,) = replaying.files_of([file])[:1] or [file]
    config = configuration(None)
    found = guessing.guess(path, zone, finishing("auto", config))
    guessing.show(found, path, config.language)
    return 0 if found.understood == found.records else 1


def _check_zone(zone: str) -> None:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(f"zone {zone!r} is not known here; write it like 'America/Mexico_City'") from None
