"""Rules at work: what they cost is measured, one over budget moves to shadow, and everybody hears of it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import REGISTRY

from almena.app.limits import Limits
from almena.app.live import LiveRules
from almena.bus import ALERTS, LEDGER, Bus, Record, Step, open_bus
from almena.clock import MINUTE, SECOND, Span
from almena.config import DetectSettings
from almena.ecs import check
from almena.errors import BusError
from detectors.sigma.budget import Cost
from detectors.sigma.detector import SigmaDetector
from detectors.sigma.evaluator import PlainEngine
from detectors.sigma.loader import load_texts
from detectors.sigma.rules import Rule, RuleSet

DEAR = "55555555-5555-4555-8555-555555555555"
CHEAP = "66666666-6666-4666-8666-666666666666"
MANY = "77777777-7777-4777-8777-777777777777"

RULES = f"""\
title: Dear
id: {DEAR}
name: dear
logsource: {{product: app, service: tramites}}
detection: {{s: {{event.action: dear}}, condition: s}}
level: high
es: {{titulo: "Cara\\u202e"}}
---
title: Cheap
id: {CHEAP}
logsource: {{product: app, service: tramites}}
detection: {{s: {{event.action: cheap}}, condition: s}}
level: low
---
title: Many
id: {MANY}
correlation:
  {{type: event_count, rules: [dear], group-by: [source.ip], timespan: 5m, condition: {{gte: 9}}, generate: true}}
"""


def load(text: str = RULES) -> RuleSet:
    found = load_texts([("rules.yml", text)], "ecs")
    assert not found.rejected
    return found


def event(number: int, action: str) -> dict[str, Any]:
    return {
        "@timestamp": "2026-11-22T10:00:00.000000Z",
        "event.id": f"app:0:{number}",
        "event.ingested": "2026-11-22T10:00:00.000000Z",
        "organization.id": "sfa",
        "event.dataset": "app.tramites",
        "event.action": action,
        "source.ip": "203.0.113.9",
    }


class Priced(PlainEngine):
    """Says of a rule that it took all the time, however long that was, and of the others that they took none."""

    dear = DEAR

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules)
        self.ids = [rule.id for rule in rules]
        self.seen = 0

    def match(self, event: dict[str, Any]) -> Sequence[Rule]:
        self.seen += 1
        return super().match(event)

    def costs(self) -> dict[str, Cost]:
        return {rule: Cost(self.seen, 0, self.seen * 10**9 * (rule == self.dear)) for rule in self.ids}


class Room:
    """One worker with a clock of its own."""

    def __init__(self, path: Path, bus: Bus | None = None, **settings: Any) -> None:
        self.bus = bus or open_bus("memory:", partitions=1)
        self.limits = Limits(path / "shadow.json")
        self.settings = DetectSettings(**settings)
        self.now = 0
        self.next: list[RuleSet] = []
        self.start()

    def start(self) -> None:
        sigma = SigmaDetector(load(), Priced, shadow=self.settings.shadow, over=self.limits.read(), sample=4)
        self.live = LiveRules(
            sigma,
            self.bus,
            self.settings,
            self.limits,
            changed=lambda: self.next.pop() if self.next else None,
            clock=lambda: self.now,
        )

    def work(self, minutes: int, action: str = "other") -> list[Any]:
        found = []
        for _ in range(minutes):
            self.now += MINUTE
            found += list(self.live.select([event(number, action) for number in range(200)]))
            self.live.between()
        return found

    def read(self, topic: str) -> list[dict[str, Any]]:
        session = self.bus.session(topic, group="test", member="test")
        found = []
        while batch := session.poll(1_000, 0.0).records:
            for partition, records in batch.items():
                found += [msgspec.json.decode(record.value) for record in records]
                session.commit({partition: Step(records[-1].offset + 1)})
        session.close()
        return found


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def sample(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"almena_{name}", labels)


def test_the_start_is_told(tmp_path: Path) -> None:
    room = Room(tmp_path, shadow=["dear", "nobody"])
    (told,) = room.read(LEDGER)
    assert told == {
        "kind": "rules",
        "loaded": 3,
        "rejected": [],
        "shadow": [
            {"rule": DEAR, "title": "Dear", "why": "listed", "detail": "", "since": ""},
            {"rule": MANY, "title": "Many", "why": "rests", "detail": DEAR, "since": ""},
        ],
        "hash": load().hash,
    }
    assert sample("rules_loaded") == 3
    assert [sample("rules_shadow", why=why) for why in ("listed", "rule", "budget", "rests")] == [1, 0, 0, 1]
    assert sample("rules_info", hash=load().hash) == 1
    assert sample("rule_shadow", rule_id=DEAR) == 1
    assert sample("rule_matches_total", rule_id=CHEAP, level="low") is not None


def test_names_that_no_rule_has_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Room(tmp_path, shadow=["dear", "nobody"])
    assert [record.message for record in caplog.records if record.levelno == logging.WARNING] == [
        "[detect] shadow names nobody, but no rule in use has that id or name"
    ]


def test_a_rule_over_budget_moves_to_shadow_and_everybody_hears(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    room.read(LEDGER)
    alerts = [item for item in room.work(3, "dear") if isinstance(item, dict)]
    assert len(alerts) == 600
    assert not any("almena.alert.shadow" in alert for alert in alerts)
    assert "moves to shadow" in caplog.text
    (told,) = room.read(LEDGER)
    assert [(item["rule"], item["why"]) for item in told["shadow"]] == [(DEAR, "budget"), (MANY, "rests")]
    assert told["shadow"][0]["since"] == told["shadow"][1]["since"] != ""
    (alert,) = room.read(ALERTS)
    assert check(alert) == alert
    assert alert["rule.id"] == "almena.rules.budget"
    assert alert["almena.alert.level"] == "high"
    assert alert["almena.alert.entity"] == f"rule.id={DEAR}"
    assert "«Cara\\u202e»" in alert["almena.alert.words"]["es"]["what_happened"]
    assert f"almena rules shadow --lift {DEAR}" in alert["almena.alert.words"]["en"]["what_to_do"]
    assert sample("rules_shadow", why="budget") == 1
    assert sample("rule_shadow", rule_id=DEAR) == 1
    assert sample("rule_shadow", rule_id=CHEAP) == 0
    after = [item for item in room.work(1, "dear") if isinstance(item, dict)]
    assert len(after) == 200 / 4
    assert all(alert["almena.alert.shadow"] is True for alert in after)
    assert room.work(20, "dear")
    assert room.read(ALERTS) == [], "told once"
    assert len([item for item in room.work(1, "cheap") if isinstance(item, dict)]) == 200, "the others go on"


def test_the_decision_outlives_a_restart_and_reaches_other_workers(room: Room, tmp_path: Path) -> None:
    other = Room(tmp_path, room.bus)
    room.work(3)
    assert DEAR not in other.live.detector.shadow
    other.now = SECOND
    other.live.between()
    assert other.live.detector.shadow[DEAR] == room.live.detector.shadow[DEAR]
    room.start()
    assert room.live.detector.shadow[DEAR].why == "budget"


def test_a_person_takes_it_back(room: Room) -> None:
    room.work(3)
    room.limits.lift(DEAR)
    Priced.dear = ""
    try:
        found = room.work(1), room.work(1, "dear")
    finally:
        Priced.dear = DEAR
    assert len([item for item in found[1] if isinstance(item, dict) and "almena.alert.shadow" not in item]) == 200
    assert room.read(LEDGER)[-1]["shadow"] == []
    assert sample("rule_shadow", rule_id=MANY) is None
    assert sample("rules_shadow", why="budget") == 0


def test_a_rule_that_changes_alerts_again_and_one_that_does_not_stays(room: Room) -> None:
    room.work(3)
    before = room.live.detector.ruleset.hash
    room.next.append(load(RULES.replace("event.action: cheap", "event.action: dearer")))
    room.work(1)
    assert room.live.detector.shadow[DEAR].why == "budget"
    assert (sample("rules_info", hash=before), sample("rules_info", hash=room.live.detector.ruleset.hash)) == (None, 1)
    room.next.append(load(RULES.replace("event.action: dear}", "event.action: dearest}")))
    room.work(1)
    assert room.live.detector.shadow == {}
    assert room.read(LEDGER)[-1]["hash"] == room.live.detector.ruleset.hash


def test_without_a_budget_nothing_moves(tmp_path: Path) -> None:
    room = Room(tmp_path, budget_time=Span(0))
    room.work(10)
    assert room.live.detector.shadow == {}


def test_what_rules_cost_is_exported(room: Room) -> None:
    def cost() -> list[float]:
        return [
            sample(f"rule_{name}_total", rule_id=rule) or 0.0
            for rule in (DEAR, CHEAP)
            for name in ("candidates", "seconds")
        ]

    before = cost()
    room.work(2)
    assert [after - was for after, was in zip(cost(), before, strict=True)] == [400, 400.0, 400, 0.0]


def test_rules_go_on_when_what_is_due_about_them_fails(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise MemoryError

    monkeypatch.setattr(room.live, "_changed", broken)
    assert len([item for item in room.work(1, "cheap") if isinstance(item, dict)]) == 200


def test_where_nothing_can_be_written_this_worker_decides_for_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "no").write_text("a file where a folder should be")
    room = Room(tmp_path / "no")
    room.work(3)
    assert room.live.detector.shadow[DEAR].why == "budget"
    assert "other workers and the next start will not know" in caplog.text


def test_what_the_bus_refuses_is_told_later(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.read(LEDGER)
    append = room.bus.append

    def full(topic: str, records: Sequence[Record]) -> Any:
        raise BusError("disk full")

    monkeypatch.setattr(room.bus, "append", full)
    room.work(3)
    monkeypatch.setattr(room.bus, "append", append)
    assert room.read(ALERTS) == []
    room.work(1)
    assert [alert["rule.id"] for alert in room.read(ALERTS)] == ["almena.rules.budget"]
    assert len(room.read(LEDGER)) == 1
