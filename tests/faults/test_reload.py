"""Real roles whose rules change, break, are mended, and which are killed meanwhile: every event alerts exactly once."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from installation import Installation

from almena.clock import SECOND, format_time, now

SINGLE = "11111111-1111-4111-8111-111111111111"
MANY = "22222222-2222-4222-8222-222222222222"
BATCH = 20

RULE = f"""
title: Permiso otorgado {{number}}
id: {SINGLE}
level: low
logsource: {{{{product: app, service: identity}}}}
detection:
  s: {{{{event.action{{modifier}}: role_granted}}}}
  condition: s
"""

CORRELATION = f"""
title: Muchos
id: {MANY}
level: high
correlation:
  type: event_count
  rules: [{SINGLE}]
  group-by: [user.name]
  timespan: 1h
  condition: {{gte: 3}}
  generate: true
"""


def write(folder: Path, name: str, text: str) -> None:
    beside = folder / f"{name}.new"
    beside.write_text(text, "utf-8")
    beside.replace(folder / name)


def events(batch: int, start: int) -> list[dict[str, Any]]:
    return [
        {
            "@timestamp": format_time(start + (batch * BATCH + number) * SECOND // 1_000),
            "event.dataset": "app.identity",
            "event.action": "role_granted",
            "event.outcome": "success",
            "service.name": "identidad",
            "user.name": f"persona{number % 4}",
            "user.target.name": f"b{batch}-{number}",
        }
        for number in range(BATCH)
    ]


class Rules:
    """A folder of rules that is written to while others read it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.number = 0
        folder.mkdir(parents=True)
        self.change()

    def change(self, modifier: str = "") -> None:
        """The rule in other words; with an unknown modifier it is broken."""
        self.number += 1
        write(self.folder, "single.yml", RULE.format(number=self.number, modifier=modifier))
        write(self.folder, "many.yml", CORRELATION.replace("gte: 3", f"gte: {3 + self.number % 3}"))


def hash_of(place: Installation) -> set[str]:
    return {str(member["hash"]) for member in place.status()["rules"]["members"]}


def settled(place: Installation, rules: Rules) -> None:
    """Wait until both roles run what is written: one that starts on a broken rule would do without it."""
    moment = format_time(now())
    rules.change()

    def all_have_it() -> bool:
        members = place.status()["rules"]["members"]
        return len(members) == 2 and all(str(member["since"]) > moment for member in members)

    place.wait_for(all_have_it, "both roles to run the newest rules")


def run(folder: Path, seed: int, changes: int, kills: bool) -> None:
    place = Installation(folder, lateness="1h")
    rules = Rules(folder / "rules")
    place.file.write_text(f'rules = ["{rules.folder}"]\n' + place.file.read_text("utf-8"), "utf-8")
    chance = random.Random(seed)
    stop = threading.Event()
    sent = 0

    def feed() -> None:
        nonlocal sent
        start = now() - 60 * SECOND
        while not stop.is_set():
            place.post(events(sent, start), f"b{sent}")
            sent += 1
            time.sleep(0.02)

    def refusals() -> list[Any]:
        return [item for member in place.status()["rules"]["members"] for item in member["refused"]]

    with place.running():
        place.wait_for(lambda: len(place.status()["rules"]["members"]) == 2, "both roles to say what they run")
        feeder = threading.Thread(target=feed, daemon=True)
        feeder.start()
        for number in range(changes):
            if number % 4 == 2:
                settled(place, rules)
                rules.change(modifier="|nonsense")
                place.wait_for(refusals, "the broken rule to be told")
                before = hash_of(place)
                time.sleep(2)
                assert hash_of(place) == before, "what ran before runs on"
                rules.change()
                place.wait_for(lambda: not refusals(), "the mended rule to be taken")
            else:
                rules.change()
            time.sleep(chance.uniform(0.0, 2.5))
            for role in ("detect", "correlate") if kills else ():
                pid = place.supervisor.pid(role)
                if pid is not None and chance.random() < 0.7:
                    os.kill(pid, signal.SIGKILL)
        pid = place.supervisor.pid("detect")
        if pid is not None:
            os.kill(pid, signal.SIGHUP)  # which ends nobody
        stop.set()
        feeder.join()
        found = place.settle(sent * BATCH)
        place.wait_for(lambda: len(hash_of(place)) == 1 and len(place.status()["rules"]["members"]) == 2, "one set")
        alerts = place.alerts()
        titles = {alert["rule.name"] for alert in alerts if alert["rule.id"] == SINGLE}
    assert place.clean, place.tail()
    assert found["drops"] == 0
    assert found["events"] == sent * BATCH
    singles = Counter(alert["user.target.name"] for alert in alerts if alert["rule.id"] == SINGLE)
    assert singles == {f"b{batch}-{number}": 1 for batch in range(sent) for number in range(BATCH)}
    assert len(titles) > 1, "several sets were at work"
    assert any(alert["rule.id"] == MANY for alert in alerts)


@pytest.mark.faults
@pytest.mark.parametrize("seed", [1, 2])
def test_rules_change_and_roles_are_killed(tmp_path: Path, seed: int) -> None:
    run(tmp_path / "place", seed, 9, kills=True)


def test_rules_change_while_events_stream(tmp_path: Path) -> None:
    run(tmp_path / "place", 0, 3, kills=False)
