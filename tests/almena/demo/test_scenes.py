"""Every scene must raise its alerts through the real parsers and rules, and ordinary days must raise none."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import pytest

from almena import replay
from almena.alert import SEVERITY, Alert
from almena.clock import parse_time
from almena.demo.play import past
from almena.demo.scenes import SCENES, Scene
from almena.demo.settings import PARSERS as PARSER_OF
from almena.demo.settings import agency_of
from almena.demo.simulation import Played, Simulation, Timed
from almena.ecs import check
from almena.errors import ParseError
from almena.event import Event
from almena.masking import Masker
from almena.paths import rules_dir
from collectors.base import Context
from collectors.parsers import PARSERS
from detectors import DETECTORS
from detectors.first_seen_network import FirstSeenNetwork
from detectors.sigma.detector import SigmaDetector, operators
from detectors.sigma.loader import load_rules
from detectors.web_session import WebSession

START = parse_time("2026-11-22T19:00:00Z")
MASK = Masker(b"a key of thirty-two bytes for it").mask


def events_of(records: Iterable[Timed]) -> list[Event]:
    """What the collectors would make of the records; checks that exactly the marked ones are dead letters."""
    events = []
    for number, record in enumerate(records):
        parser = PARSERS[PARSER_OF[record.source]]
        if record.broken:
            with pytest.raises(ParseError):
                parser(record.data, Context(received=record.time, source=record.source))
            continue
        event = MASK(parser(record.data, Context(received=record.time, source=record.source)))
        event["event.id"] = f"{record.source}:0:{number}"
        event["event.ingested"] = event["@timestamp"]
        event["organization.id"] = agency_of(record.source)
        event["almena.source.name"] = record.source
        events.append(event)
    return events


def alerts_of(events: list[Event]) -> list[Alert]:
    """The alerts of Almena's own rules and of the two detectors that scenes address."""
    ruleset = load_rules([rules_dir()])
    assert not ruleset.rejected
    models = (FirstSeenNetwork(days=0), WebSession())
    running = {operator.name: operator for operator in operators(ruleset)} | {model.name: model for model in models}
    batches = (
        [(replay.Place("", 0, 0), event) for event in events[at : at + 500]] for at in range(0, len(events), 500)
    )
    return list(replay.alerts(batches, [SigmaDetector(ruleset), *models], running, replay.Totals()))


@cache
def a_past() -> tuple[list[Played], list[Alert]]:
    simulation = past(seed=11, minutes=45, rate=6, end=START)
    return simulation.played, alerts_of(events_of(simulation))


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_a_scene_raises_its_alerts_and_the_first_names_its_entity(scene: Scene) -> None:
    played, alerts = a_past()
    (this,) = (one for one in played if one.scene == scene)
    raised = {alert["rule.id"] for alert in alerts}
    assert set(scene.rules) - raised == set()
    if this.entity:
        named = {alert["almena.alert.entity"] for alert in alerts if alert["rule.id"] == scene.rules[0]}
        assert this.entity in named


def test_scenes_raise_little_beside_what_is_expected_of_them() -> None:
    played, alerts = a_past()
    expected = {rule for one in played for rule in one.scene.rules}
    beside = [alert["rule.name"] for alert in alerts if alert["rule.id"] not in expected]
    assert beside == []


@pytest.mark.parametrize("seed", [1, 2])
def test_ordinary_days_raise_no_alert_above_low(seed: int) -> None:
    events = events_of(Simulation(seed=seed, start=START, seconds=300, rate=70, scenes=()))
    assert len(events) > 20_000
    alerts = [alert for alert in alerts_of(events) if alert["event.severity"] > SEVERITY["low"]]
    assert [(alert["rule.name"], alert["event.reason"]) for alert in alerts] == []


def test_no_field_of_the_simulation_is_a_misfit() -> None:
    events = events_of(Simulation(seed=3, start=START, seconds=240, rate=30))
    misfits: set[str] = set()
    for event in events:
        misfits |= set(check(event).get("almena.misfit", ()))
    assert {name for name in misfits if not name.startswith(("winlog.", "almena.app.", "system."))} == set()


def test_personal_data_of_the_simulation_is_masked() -> None:
    simulation = Simulation(seed=3, start=START, seconds=120, rate=30)
    cast_curps = {person.curp for people in simulation_officials(simulation.seed) for person in people}
    for event in events_of(simulation):
        for name in ("almena.citizen.curp", "almena.account.clabe", "almena.account.holder_rfc"):
            value = event.get(name)
            assert value is None or not (value.isdigit() or len(value) in (13, 18)), name
        assert not any(curp in str(event) for curp in cast_curps)


def simulation_officials(seed: int) -> Iterable[list]:  # type: ignore[type-arg]
    from almena.demo.cast import Cast

    return Cast(seed).officials.values()


def test_every_expected_detector_and_rule_exists() -> None:
    ruleset = load_rules([rules_dir()])
    known = {rule.id for rule in (*ruleset.rules, *ruleset.correlations)}
    known |= {f"almena.{name}" for name in DETECTORS}
    assert {rule for scene in SCENES for rule in scene.rules} - known == set()
