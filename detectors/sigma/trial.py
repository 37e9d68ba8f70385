"""Runs the examples that rules carry under `tests:`, and says what was seen where one fails.

Each example counts as an event of the rule's own log source, and may use ECS names or those of the rule:

    tests:
      alerts:                                   # each must match
        web shell: {process.executable: /bin/sh, process.parent.executable: /usr/sbin/nginx}
        two of them: [{Image: /bin/sh, ...}, {Image: /bin/bash, ...}]      # a list: each of its events must match
      silent:                                   # none may match
        cron job: {process.executable: /bin/sh, process.parent.executable: /usr/sbin/cron}

An example of a correlation is a list of events in time. Every rule that the correlation reads sees each of them;
`after` is the offset from the start, `repeat` and `every` repeat an event, and `{n}` in a text is the number of the
repetition, from 0:

    tests:
      alerts:
        ten failures, then in:
          - {after: 0s, repeat: 10, every: 3s, event.action: login_failed, user.name: "u{n}", source.ip: 203.0.113.9}
          - {after: 1m, event.action: login, user.name: u7, source.ip: 203.0.113.9}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from almena.clock import SECOND, Span, format_time, parse_time
from almena.errors import AlmenaError, ConfigError
from almena.event import Event
from almena.hit import Hit
from almena.replay import run_all
from detectors.sigma import failing
from detectors.sigma.detector import Feeds, operators_of
from detectors.sigma.evaluator import compile_test
from detectors.sigma.explain import explain
from detectors.sigma.loader import load_rules
from detectors.sigma.rules import Correlation, LogSource, Rule, RuleSet
from detectors.sigma.values import View

START = parse_time("2026-01-05T12:00:00Z")
"""When examples begin: a Monday at noon UTC."""

MOST_EVENTS = 10_000
"""Events of one example."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An example that did not do what it promises."""

    file: str
    rule: str
    example: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.rule}: {self.example}: {self.reason}"


@dataclass
class Outcome:
    """What running examples gave."""

    passed: int = 0
    failures: list[Failure] = field(default_factory=list)


def run_tests(paths: Sequence[Path]) -> Outcome:
    """Every example of every rule under `paths`; a rule that is rejected is a failure."""
    return try_rules(load_rules(paths))


def try_rules(ruleset: RuleSet) -> Outcome:
    """Every example of the rules of `ruleset`."""
    outcome = Outcome()
    for rejection in ruleset.rejected:
        outcome.failures.append(Failure(rejection.file, rejection.rule, "loading", rejection.reason))
    for item in ruleset.everything:
        tests = item.document.get("tests")
        if tests is None:
            continue
        for example, wanted, content in _examples(tests):
            try:
                reason = _try(item, content, wanted, ruleset)
            except (AlmenaError, ValueError) as error:
                reason = str(error)
            if reason is None:
                outcome.passed += 1
            else:
                outcome.failures.append(Failure(item.file, item.title, example, reason))
    return outcome


def _examples(tests: Any) -> Iterator[tuple[str, bool | None, Any]]:
    if not isinstance(tests, Mapping):
        yield "tests", None, "'tests' is a mapping of 'alerts' and 'silent'"
        return
    for kind, examples in tests.items():
        if kind not in ("alerts", "silent"):
            yield str(kind), None, f"{kind!r} is unknown under 'tests'; known are 'alerts' and 'silent'"
        elif not isinstance(examples, Mapping):
            yield str(kind), None, f"'{kind}' is a mapping of names to events"
        else:
            for name, content in examples.items():
                yield f"{kind}: {name}", kind == "alerts", content


def _try(item: Rule | Correlation, content: Any, wanted: bool | None, ruleset: RuleSet) -> str | None:
    """Why the example failed, or None."""
    if wanted is None:
        return str(content)
    events = content if isinstance(content, list) else [content]
    if not events or not all(isinstance(event, Mapping) for event in events):
        return "an example is a mapping of fields to values, or a list of such"
    if isinstance(item, Correlation):
        return _try_correlation(item, _series(events), wanted, ruleset)
    test = compile_test(item.expression)
    for number, written in enumerate(events, 1):
        view = View(_named(dict(written), item.logsource, ruleset))
        if test(view) is not wanted:
            what = "it should match and does not" if wanted else "it should not match and does"
            which = f", its event {number} of {len(events)}" if len(events) > 1 else ""
            return f"{what}{which}\n" + "\n".join(failing.lines(explain(item, view), wanted))
    return None


def _named(event: Event, logsource: LogSource, ruleset: RuleSet) -> Event:
    """The event with its fields also under the names that rules of `logsource` read after mapping."""
    return {ruleset.field(name, logsource): value for name, value in event.items()} | event


def _series(written: Sequence[Mapping[str, Any]]) -> list[Event]:
    """The events of a correlation's example in the order of their times."""
    events: list[tuple[int, Event]] = []
    for entry in written:
        fields = {name: value for name, value in entry.items() if name not in ("after", "repeat", "every")}
        after = Span.parse(str(entry.get("after", "0s")))
        every = Span.parse(str(entry.get("every", "1s")))
        repeat = entry.get("repeat", 1)
        if not isinstance(repeat, int) or not 0 < repeat <= MOST_EVENTS - len(events):
            raise ConfigError(f"repeat: {repeat!r} is no number between 1 and {MOST_EVENTS} events in all")
        events += [(START + after + number * every, _numbered(fields, number)) for number in range(repeat)]
    events.sort(key=lambda item: item[0])
    return [
        {
            "event.id": f"example:0:{number:05}",
            "organization.id": "example",
            **event,
            "@timestamp": format_time(time),
            "event.ingested": format_time(time + SECOND),
        }
        for number, (time, event) in enumerate(events)
    ]


def _numbered(fields: Event, number: int) -> Event:
    return {
        name: value.replace("{n}", str(number)) if isinstance(value, str) else value for name, value in fields.items()
    }


def _try_correlation(item: Correlation, events: Sequence[Event], wanted: bool, ruleset: RuleSet) -> str | None:
    operators = operators_of(item, ruleset)
    feeds = Feeds(operators)
    leaves = [rule for leaf in item.leaves if isinstance(rule := ruleset.by_id[leaf], Rule)]
    tests = [(rule, compile_test(rule.expression)) for rule in leaves]
    hits: list[Hit] = []
    matched = Counter({rule.title: 0 for rule in leaves})
    for event in events:
        for rule, test in tests:
            view = View(_named(event, rule.logsource, ruleset))
            if test(view):
                matched[rule.title] += 1
                hits.extend(feeds.hits(rule, view.event, view))
    if any(run_all(operators, hits)) is wanted:
        return None
    what = "it should alert and does not" if wanted else "it should not alert and does"
    counts = ", ".join(f"{title!r} matched {count}" for title, count in matched.items())
    skipped = "".join(f"; {count} lack a field to {_TO[why]}" for (_, why), count in feeds.skipped.items())
    return f"{what}: of {len(events)} events {counts}{skipped}"


_TO = {"group": "group by", "field": "count"}
