"""What `rules check` and `rules test` say."""

from __future__ import annotations

from pathlib import Path

import pytest

from almena.paths import rules_dir
from detectors.sigma.check import check, review
from detectors.sigma.loader import load_texts
from detectors.sigma.trial import Outcome, run_tests, try_rules

RULE = """\
title: Shell
id: 11111111-1111-4111-8111-111111111111
name: base
level: {level}
logsource: {{product: linux, category: process_creation}}
detection: {{s: {{Image|endswith: /sh, CommandLine|contains|all: [a, b]}}, condition: s}}
es:
  titulo: Una consola
  que_paso: "{{process.executable}} en {{host.nombre}}"
  por_que_importa: x
  que_hacer: x
tests:
{tests}
"""

CHAIN = """\
title: Failed
name: failed
logsource: {product: app, service: tramites}
detection: {s: {event.action: login_failed}, condition: s}
---
title: Entered
name: entered
logsource: {product: app, service: tramites}
detection: {s: {event.action: login}, condition: s}
---
title: Many failed
name: many
level: high
correlation: {type: event_count, rules: [failed], group-by: [source.ip], timespan: 1m, condition: {gte: 3}}
---
title: Got in
correlation: {type: temporal_ordered, rules: [many, entered], group-by: [source.ip], timespan: 5m}
tests:
%s
"""


def tried(text: str) -> Outcome:
    return try_rules(load_texts([("x.yml", text)], "ecs"))


def test_the_project_s_own_rules_are_without_fault() -> None:
    report = check([rules_dir()])
    assert report.loaded > 25
    assert report.rejected == ()
    assert report.warnings == ()
    outcome = run_tests([rules_dir()])
    assert [str(failure) for failure in outcome.failures] == []
    assert outcome.passed > 100


@pytest.mark.parametrize(
    ("tests", "passed"),
    [
        ("  alerts: {x: {process.executable: /bin/sh, process.command_line: ab}}", 1),
        ("  alerts: {x: {Image: /bin/sh, CommandLine: b a}}", 1),
        ("  alerts: {x: [{Image: /bin/sh, CommandLine: ab}, {Image: /sh, CommandLine: ba}]}", 1),
        ("  alerts: {x: {Image: /bin/sh, CommandLine: ab}}\n  silent: {y: {Image: /bin/sh}, z: {}}", 3),
    ],
)
def test_examples_pass(tests: str, passed: int) -> None:
    outcome = tried(RULE.format(tests=tests, level="low"))
    assert (outcome.passed, [str(failure) for failure in outcome.failures]) == (passed, [])


@pytest.mark.parametrize(
    ("tests", "said"),
    [
        ("  alerts: {x: {Image: /bin/sh, CommandLine: a}}", "✗ process.command_line contains '*b*'; seen 'a'"),
        ("  alerts: {x: {CommandLine: ab}}", "✗ process.executable endswith '*/sh'; seen nothing"),
        ("  silent: {x: {Image: /sh, CommandLine: ab}}", "it should not match and does"),
        ("  silent: {x: [{Image: /x}, {Image: /sh, CommandLine: ab}]}", "it should not match and does"),
        ("  alarms: {x: {}}", "'alarms' is unknown"),
        ("  alerts: [a]", "'alerts' is a mapping"),
        ("  alerts: {x: 5}", "an example is a mapping"),
        ("  alerts: {x: []}", "an example is a mapping"),
        ("  - a", "'tests' is a mapping"),
    ],
)
def test_examples_that_fail_say_what_was_seen(tests: str, said: str) -> None:
    (failure,) = tried(RULE.format(tests=tests, level="low")).failures
    assert said in str(failure)
    assert str(failure).startswith("x.yml: Shell: ")


FAIL = "event.action: login_failed, source.ip: 203.0.113.9"
ENTER = "event.action: login, source.ip: 203.0.113.9"


@pytest.mark.parametrize(
    ("example", "kind"),
    [
        (
            f"[{{after: 0s, repeat: 3, every: 10s, {FAIL}}}, {{after: 1m, {ENTER}}}]",
            "alerts",
        ),
        (f"[{{after: 1m, {ENTER}}}, {{repeat: 3, every: 10s, {FAIL}}}]", "alerts"),
        (f"[{{repeat: 2, every: 10s, {FAIL}}}, {{after: 1m, {ENTER}}}]", "silent"),
        (f"[{{repeat: 3, every: 40s, {FAIL}}}, {{after: 2m, {ENTER}}}]", "silent"),
        (f"[{{repeat: 3, every: 10s, {FAIL}}}, {{after: 1m, event.action: login, source.ip: 203.0.113.8}}]", "silent"),
        (f"[{{after: 0s, {ENTER}}}, {{after: 5s, repeat: 3, {FAIL}}}]", "silent"),
        (
            (
                '[{repeat: 3, event.action: login_failed, source.ip: "{n}"}, '
                '{after: 5s, event.action: login, source.ip: "1"}]'
            ),
            "silent",
        ),
    ],
)
def test_examples_of_correlations_run_in_time(example: str, kind: str) -> None:
    outcome = tried(CHAIN % f"  {kind}:\n    x: {example}")
    assert (outcome.passed, [str(failure) for failure in outcome.failures]) == (1, [])
    other = "silent" if kind == "alerts" else "alerts"
    assert len(tried(CHAIN % f"  {other}:\n    x: {example}").failures) == 1


@pytest.mark.parametrize(
    ("example", "said"),
    [
        (f"[{{repeat: 2, {FAIL}}}]", "'Failed' matched 2, 'Entered' matched 0"),
        ("[{repeat: 2, event.action: login_failed}]", "2 lack a field to group by"),
        (f"[{{after: soon, {FAIL}}}]", "no length of time"),
        (f"[{{repeat: 100000, {FAIL}}}]", "repeat"),
        (f"[{{repeat: -1, {FAIL}}}]", "repeat"),
    ],
)
def test_failing_examples_of_correlations_say_why(example: str, said: str) -> None:
    (failure,) = tried(CHAIN % f"  alerts:\n    x: {example}").failures
    assert said in str(failure)


def test_rejected_rules_fail_the_test_run() -> None:
    outcome = tried("title: T\nid: NEW\n")
    assert "UUID" in str(outcome.failures[0]) or "logsource" in str(outcome.failures[0])


def test_doubts_are_said() -> None:
    text = RULE.format(tests="  alerts: {x: {Image: /bin/sh, CommandLine: ab}}", level="high")
    text += "---\ntitle: C\ncorrelation: {type: event_count, rules: [base], group-by: [host.nombre], "
    text += "timespan: 1m, condition: {gte: 2}}\n"
    said = [str(warning) for warning in review(load_texts([("x.yml", text)], "ecs")).warnings]
    for expected in (
        "Shell: its tests have no example under 'silent'",
        "Shell: it has no Spanish words for falsos_positivos",
        "Shell: its words name the field host.nombre, which no feed fills",
        "Shell: its level is high, but it only feeds correlations",
        "C: it has no tests",
        "C: it reads the field host.nombre, which no feed fills",
    ):
        assert any(expected in line for line in said), expected


def test_check_reports_what_was_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.yml").write_text("title: T\nid: NEW\nlogsource: {product: linux}\n", "utf-8")
    (tmp_path / "odd.yml").write_text(
        "title: Odd\nlogsource: {product: windwos}\ndetection: {s: {a: x}, condition: s}\n", "utf-8"
    )
    report = check([tmp_path])
    assert report.loaded == 1
    assert [Path(rejection.file).name for rejection in report.rejected] == ["bad.yml"]
    assert any("windwos" in str(warning) for warning in report.warnings)
    assert any("it reads the field a, which no feed fills" in str(warning) for warning in report.warnings)
    assert len(report.hash) == 16
