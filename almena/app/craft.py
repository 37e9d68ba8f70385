"""The commands of those who write and choose rules: check, test, coverage, bench, install."""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from almena import replay as replaying
from almena.app import configuration
from almena.app.offline import event_batches, finishing, opener
from almena.clock import format_time, now
from almena.errors import UsageError
from almena.event import Event
from almena.paths import rules_dir
from almena.replay import Totals
from almena.words import safe

if TYPE_CHECKING:
    from detectors.sigma.bench import RuleCost
    from detectors.sigma.check import Finding, Report
    from detectors.sigma.coverage import Coverage
    from detectors.sigma.install import Outcome
    from detectors.sigma.rules import RuleSet

FEW = 20
"""Rejections, warnings or failures that are listed one by one without `--all`."""

_NAMED = 8
_LONGEST_LINE = 2_000
_FIELD = re.compile(r"\bfield ([^\s,]+)")
_SAID = re.compile(
    r"'[^']*'|\"[^\"]*\"|(?<=is that of ).+|(?<=the same as ).+|(?<=reference )\S+|(?<=matches by ).+(?= alone)"
    r"|(?<=EventID )\d+|(?<=category ).+(?= says)"
)
"""What differs between warnings of one kind."""

_PLAIN = frozenset({"tests", "words", "field", "level", "loading"})
"""Kinds of warnings whose quotes are always the same."""


def rules_check(directory: Path | None, *, every: bool = False, strict: bool = False, json: bool = False) -> int:
    """Say what is wrong with rules; exit code 1 when one is rejected, or with `strict` when there is a warning."""
    from detectors.sigma.check import check

    report = check([_folder(directory, "check")])
    failed = bool(report.rejected) or (strict and bool(report.warnings))
    if json:
        _print_json(report)
        return int(failed)
    rejected = [f"{rejection.file}: {rejection.rule}: {rejection.reason}" for rejection in report.rejected]
    warnings = report.warnings
    _say_all("[red]✗[/red]", rejected if every else _first(rejected))
    short = not every and len(warnings) > FEW
    _say_all("[yellow]![/yellow]", _kinds(warnings) if short else map(str, warnings))
    if short or (not every and len(rejected) > FEW):
        print("`--all` shows each one")
    print(f"{report.loaded:,} rules loaded, {len(rejected):,} rejected, {_many(len(warnings), 'warning')}")
    return int(failed)


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


def rules_coverage(directory: Path | None, layer: Path | None) -> int:
    """Show which techniques and log sources rules cover; `layer` is written for ATT&CK Navigator."""
    from detectors.sigma import coverage as covering

    folder = _folder(directory, "coverage")
    ruleset = _loaded(folder)
    found = covering.coverage_of(ruleset)
    if layer is not None:
        text = msgspec.json.format(msgspec.json.encode(covering.layer(found, f"Almena: {folder.name}")), indent=1)
        layer.write_bytes(text + b"\n")
    _show_coverage(found)
    if layer is not None:
        print(f"{layer}: written; open it in ATT&CK Navigator as an existing layer")
    return 0


def _loaded(folder: Path, mode: Any = "ecs") -> RuleSet:
    from detectors.sigma.loader import load_rules

    ruleset = load_rules([folder], mode=mode)
    if not ruleset.everything:
        raise UsageError(f"{folder}: no rule in it could be loaded; `almena rules check {folder}` says why")
    if ruleset.rejected:
        print(
            f"{len(ruleset.rejected):,} rules are rejected and not counted; `almena rules check {folder}` says why",
            file=sys.stderr,
        )
    return ruleset


def _show_coverage(found: Coverage) -> None:
    table = _table("tactic", "techniques", "rules", "tested", left=1)
    for row in found.rows:
        table.add_row(row.tactic, f"{row.covered} of {row.techniques}", f"{row.rules:,}", f"{row.tested:,}")
    _show(table)
    gaps = list(dict.fromkeys(technique for row in found.rows for technique in row.gaps))
    print(f"often seen in intrusions and named by no rule: {len(gaps)}")
    for technique in gaps:
        print(f"  {technique.id:<10} {technique.name}")
    sources = _table("log source", "rules", "tested", "reached", left=1)
    for source, counts in found.sources.items():
        reached = "yes" if found.reached(source) else "by no event"
        sources.add_row(safe(str(source)), f"{len(counts.rules):,}", f"{counts.tested:,}", reached)
    _show(sources)
    untagged = f", {found.untagged:,} without a tactic or technique" if found.untagged else ""
    print(f"{found.rules:,} rules name {_many(len(found.techniques), 'technique')}{untagged}")


def rules_bench(file: Path, rules: Path | None, format_: str, *, top: int, most: int, json: bool) -> int:
    """Say what each rule costs on the events of a file."""
    from detectors.sigma.bench import by_source

    ruleset = _loaded(_folder(rules, "bench"), "native" if format_ == "native" else "ecs")
    totals = Totals()
    costs = _measured(ruleset, _events(file, format_, totals, most))
    if json:
        print(msgspec.json.encode([_row(cost) for cost in costs]).decode())
        return 0
    silent = sum(not cost.events for cost in costs)
    if silent == len(costs):
        raise UsageError(f"{file}: none of its {totals.records:,} records reaches a rule; `--rules DIR` names others")
    whole = sum(cost.total for cost in costs) or 1.0
    table = _table("rule", "log source", "events", "candidates", "matches", "ns/event", "ms", "share", left=2)
    for cost in [cost for cost in costs if cost.events][: top or None]:
        table.add_row(
            safe(cost.rule.title), safe(str(cost.rule.logsource)), f"{cost.events:,}", f"{cost.candidates:,}",
            f"{cost.matches:,}", f"{cost.each:,.0f}", f"{cost.total / 1e6:,.1f}", f"{cost.total / whole:.1%}",
        )  # fmt: skip
    _show(table)
    dearest = ", ".join(
        f"{safe(str(source))} {share / whole:.0%}" for source, share in islice(by_source(costs).items(), 5)
    )
    print(f"log sources: {dearest}")
    print(
        f"{_many(len(costs), 'rule')} on {_many(totals.records, 'record')}, each alone: {whole / 1e6:,.1f} ms in all;"
        f" {silent:,} rules saw no event"
    )
    return 0


def _measured(ruleset: RuleSet, events: Iterable[Event]) -> list[RuleCost]:
    from detectors.sigma.bench import measure

    return measure(ruleset.rules, events, time.perf_counter_ns)


def _events(file: Path, format_: str, totals: Totals, most: int) -> Iterator[Event]:
    files = replaying.files_of([file])
    if not files:
        raise UsageError(f"{file}: there are no files in it")
    batches = event_batches(files, opener(format_, finishing(format_, configuration(None))), totals)
    yield from islice((event for batch in batches for _, event in batch), most)


def _row(cost: RuleCost) -> dict[str, Any]:
    return {
        "id": cost.rule.id,
        "title": cost.rule.title,
        "file": cost.rule.file,
        "logsource": str(cost.rule.logsource),
        "events": cost.events,
        "candidates": cost.candidates,
        "matches": cost.matches,
        "ns_per_event": round(cost.each, 1),
        "ns": round(cost.total),
    }


def rules_install(
    source: Path, to: Path, statuses: str, levels: str, licence: str, *, overwrite: bool, dry: bool, every: bool
) -> int:
    """Install other people's rules; exit code 1 when something of ours was in the way."""
    from detectors.sigma.choosing import LEVELS, NONE, STATUSES, Choice
    from detectors.sigma.install import install

    choice = Choice(
        _asked("--status", statuses, (*STATUSES, NONE)), _asked("--level", levels, LEVELS), licence.strip() or "unknown"
    )
    outcome = install(source, to, choice, format_time(now()), overwrite=overwrite, dry=dry)
    _say_installed(outcome, every=every)
    what = "would be in use" if dry else "in use"
    print(
        f"{to}: {outcome.rules:,} files of rules {what}: {len(outcome.new):,} new, {len(outcome.updated):,} updated,"
        f" {len(outcome.unchanged):,} unchanged; {len(outcome.removed):,} removed, {len(outcome.kept):,} left as they"
        f" are, {len(outcome.left):,} left out"
    )
    print(f"licence: {outcome.note}")
    if not dry:
        print(_how_to_use(to))
    return 1 if outcome.kept else 0


def _say_installed(outcome: Outcome, *, every: bool) -> None:
    kept = [f"{name}: {reason}; `--overwrite` puts it right" for name, reason in outcome.kept]
    _say_all("[yellow]![/yellow]", kept if every else _first(kept))
    left = [f"{name}: {reason}" for name, reason in outcome.left]
    if every:
        _say_all("-", [*left, *(f"{name}: removed" for name in outcome.removed)])
        return
    reasons = Counter(reason for _, reason in outcome.left)
    first: dict[str, str] = {}
    for name, reason in outcome.left:
        first.setdefault(reason, name)
    _say_all("-", (f"{count:,} × {reason}; first {first[reason]}" for reason, count in reasons.most_common(FEW)))
    if len(left) > len(reasons) or len(reasons) > FEW:
        print("`--all` shows each one")


def _how_to_use(to: Path) -> str:
    """The line of the configuration that puts the folder into use beside what is in use now."""
    used = configuration(None).rules or [str(rules_dir())]
    path = str(to.resolve())
    if any(Path(folder).resolve() == to.resolve() for folder in used):
        return "almena.toml names this folder already"
    names = ", ".join(msgspec.json.encode(name).decode() for name in [*used, path])
    return f"to use them, write into almena.toml: rules = [{names}]"


def _asked(option: str, text: str, known: Sequence[str]) -> frozenset[str]:
    names = frozenset(name.strip().lower() for name in text.split(",") if name.strip())
    if names == {"all"}:
        return frozenset(known)
    unknown = sorted(names - set(known))
    if unknown or not names:
        what = f"{', '.join(unknown)} is unknown" if unknown else "nothing is named"
        raise UsageError(f"{option}: {what}; there are {', '.join(known)}, and all")
    return names


def _print_json(report: Report) -> None:
    print(
        msgspec.json.encode(
            {
                "loaded": report.loaded,
                "hash": report.hash,
                "rejected": [
                    {"rule": rejection.rule, "file": rejection.file, "reason": rejection.reason}
                    for rejection in report.rejected
                ],
                "warnings": report.warnings,
            }
        ).decode()
    )


def _table(*columns: str, left: int) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number < left else "right", overflow="fold")
    return table


def _show(table: Any) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = 160
    console.print(table)


def _say_all(sign: str, texts: Iterable[str]) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False, soft_wrap=True)
    for text in texts:
        console.print(f"{sign} {escape(_shown(text))}")


def _shown(text: str) -> str:
    """What rules of strangers say, without control characters that a terminal would obey."""
    return "\n".join(safe(line, _LONGEST_LINE) for line in text.split("\n"))


def _first(texts: list[str]) -> Iterator[str]:
    yield from texts[:FEW]
    if len(texts) > FEW:
        yield f"and {len(texts) - FEW:,} more"


def _kinds(warnings: Iterable[Finding]) -> Iterator[str]:
    """Warnings counted by what they say whatever the field or value, the commonest first, each with its first place."""
    found: dict[str, list[Finding]] = {}
    for warning in warnings:
        said = _FIELD.sub("field …", warning.reason)
        said = said if warning.kind in _PLAIN else _SAID.sub("…", said)
        found.setdefault(said, []).append(warning)
    for kind, those in sorted(found.items(), key=lambda item: -len(item[1])):
        fields = Counter(name for warning in those for name in _FIELD.findall(warning.reason))
        named = ", ".join(f"{name} {count:,}" for name, count in fields.most_common(_NAMED))
        rest = f" and {len(fields) - _NAMED:,} other fields" if len(fields) > _NAMED else ""
        place = f"{those[0].file}: {those[0].rule}"
        yield f"{len(those):,} × {kind}{f': {named}{rest}' if named else ''}; first in {place}"


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
