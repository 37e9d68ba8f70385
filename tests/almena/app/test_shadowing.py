"""Rules in shadow on the terminal, and the way back."""

from __future__ import annotations

from pathlib import Path

import pytest

from almena.app import configuration
from almena.app.limits import NAME, Limits
from almena.app.offline import replay
from almena.app.shadowing import rules_shadow
from almena.config import Config
from almena.errors import UsageError
from detectors.sigma.budget import Excess
from detectors.sigma.loader import load_texts
from detectors.sigma.shadow import Over

LOGIN = "88888888-8888-4888-8888-888888888888"
MANY = "99999999-9999-4999-8999-999999999999"
RULES = f"""\
title: "Login\\u202e"
id: {LOGIN}
name: login
logsource: {{product: app, service: tramites}}
detection: {{s: {{event.action: login_failed}}, condition: s}}
---
title: Many
id: {MANY}
correlation:
  {{type: event_count, rules: [login], group-by: [source.ip], timespan: 5m, condition: {{gte: 2}}, generate: true}}
"""
SINCE = "2026-11-22T10:00:00.000000Z"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.yml").write_text(RULES)
    return tmp_path


def settings(place: Path, text: str = "", language: str = "en") -> Config:
    file = place / "almena.toml"
    file.write_text(f'rules = ["rules"]\nlanguage = "{language}"\n{text}')
    return configuration(file)


def decide(place: Path) -> Limits:
    limits = Limits(place / "data" / NAME)
    (rule, _) = load_texts([("a.yml", RULES)], "ecs").everything
    limits.add({LOGIN: Over(rule.version, SINCE, Excess(50.0, 0.5))})
    return limits


def test_no_rule_is_in_shadow(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rules_shadow(settings(place), None) == 0
    assert capsys.readouterr().out == "no rule is in shadow\n"


@pytest.mark.parametrize(
    ("language", "said"),
    [
        (
            "es",
            [
                "costó 50 µs · 50% desde 2026-11-22T10:00:00.000000Z; ve uno de cada 16 eventos",
                "se apoya en Login\\u202e",
            ],
        ),
        (
            "en",
            [
                "it cost 50 µs · 50% since 2026-11-22T10:00:00.000000Z; it sees one event in 16",
                "it rests on Login\\u202e",
            ],
        ),
    ],
)
def test_each_is_listed_with_why(
    place: Path, capsys: pytest.CaptureFixture[str], language: str, said: list[str]
) -> None:
    decide(place)
    rules_shadow(settings(place, language=language), None)
    assert capsys.readouterr().out.splitlines() == [f"{LOGIN}\tLogin\\u202e\t{said[0]}", f"{MANY}\tMany\t{said[1]}"]


def test_names_of_the_configuration_that_no_rule_has_are_told(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules_shadow(settings(place, '[detect]\nshadow = ["login", "nobody"]\n'), None)
    told = capsys.readouterr()
    assert told.out.splitlines()[0] == f"{LOGIN}\tLogin\\u202e\tas the configuration says"
    assert told.err == "[detect] shadow names nobody, and no rule has that id or name\n"


@pytest.mark.parametrize("name", ["login", LOGIN])
def test_a_rule_is_taken_back_by_id_or_name(place: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    limits = decide(place)
    assert rules_shadow(settings(place), name) == 0
    assert limits.read() == {}
    assert capsys.readouterr().out == f"{LOGIN} alerts again as soon as detect notices, within a second\n"


def test_one_that_is_listed_as_well_stays(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    decide(place)
    rules_shadow(settings(place, '[detect]\nshadow = ["login"]\n'), LOGIN)
    assert f"{LOGIN} stays in shadow: as the configuration says" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["many", MANY, "nobody", ""])
def test_what_is_not_over_its_budget_cannot_be_taken_back(place: Path, name: str) -> None:
    decide(place)
    with pytest.raises(UsageError, match=f"is not over its budget; of rules that are: {LOGIN}"):
        rules_shadow(settings(place), name)


def test_a_rule_that_is_gone_is_forgotten_by_its_id(place: Path) -> None:
    limits = decide(place)
    limits.add({"gone": Over("v", SINCE, Excess(1.0, 1.0))})
    assert rules_shadow(settings(place), "gone") == 0
    assert list(limits.read()) == [LOGIN]


@pytest.mark.parametrize("decided", [False, True])
def test_a_replay_tags_what_rules_in_shadow_find_and_shows_them_every_event(
    place: Path, capsys: pytest.CaptureFixture[str], decided: bool
) -> None:
    if decided:
        decide(place)
    events = place / "events.ndjson"
    event = (
        '{{"@timestamp": "2026-11-22T10:00:{:02d}Z", "event.dataset": "app.tramites", '
        '"event.action": "login_failed", "source.ip": "203.0.113.9"}}\n'
    )
    events.write_text("".join(event.format(number) for number in range(40)))
    file = place / "almena.toml"
    settings(place)
    assert replay([events], [], "ecs", verdicts=False, config=file) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert len(lines) == 41
    assert sum('"almena.alert.shadow":true' in line for line in lines) == (41 if decided else 0)
