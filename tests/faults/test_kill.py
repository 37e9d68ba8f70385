"""kill -9 of any role at any moment loses no acknowledged event and doubles no alert."""

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

from almena.app.operate import ROLES
from almena.clock import SECOND, format_time, now

BATCHES = 120
BATCH = 20
EVERY_ATTACK = 25


def batch(number: int, start: int) -> list[dict[str, Any]]:
    """Sign-ins of officials; now and then an expired e.firma that must alert, and a malformed event."""
    events: list[dict[str, Any]] = []
    for index in range(BATCH):
        serial = number * BATCH + index
        event: dict[str, Any] = {
            "@timestamp": format_time(start + serial * SECOND // 50),
            "event.dataset": "app.identity",
            "event.action": "login",
            "event.outcome": "success",
            "service.name": "identidad",
            "source.ip": f"10.1.{serial % 4}.{serial % 250}",
            "user.name": f"persona{serial % 40}",
            "almena.actor.kind": "official",
        }
        if serial % EVERY_ATTACK == 3:
            event |= {
                "event.action": "certificate_used",
                "user.name": f"victima{serial}",
                "almena.certificate.status": "revoked",
                "almena.certificate.serial": f"{serial:020d}",
            }
        if serial % 100 == 50:
            del event["event.dataset"]
        events.append(event)
    return events


def attack_lines(number: int, start: int) -> list[str]:
    """A brute force that succeeds, as sshd writes it: a window over many events in a tailed file."""
    user, ip = f"objetivo{number}", f"203.0.113.{number % 250 + 1}"
    lines = []
    for index in range(12):
        moment = format_time(start + (number * 10 + index) * SECOND // 4)
        said = "Failed password" if index < 11 else "Accepted password"
        lines.append(f"<38>1 {moment} srv1 sshd {number * 100 + index} - - {said} for {user} from {ip} port 50000 ssh2")
    return lines


def summary(alerts: list[dict[str, Any]]) -> Counter[tuple[Any, ...]]:
    """What two runs must agree on; ids hold file generations, which differ."""
    return Counter(
        (alert["rule.id"], alert["almena.alert.entity"], alert["@timestamp"], alert["almena.alert.count"])
        for alert in alerts
    )


def run(
    folder: Path, seed: int, kills: int, batches: int, start: int
) -> tuple[Counter[tuple[Any, ...]], dict[str, Any], int]:
    """One run under load with `kills` seeded kill -9; returns alerts, status, and how many ids were sent."""
    place = Installation(folder)
    chance = random.Random(seed)
    stop = threading.Event()
    killed: Counter[str] = Counter()

    def killer() -> None:
        while sum(killed.values()) < kills and not stop.is_set():
            time.sleep(chance.uniform(0.05, 1.0))
            role = chance.choice(ROLES)
            pid = place.supervisor.pid(role)
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
                killed[role] += 1

    with place.running():
        thread = threading.Thread(target=killer)
        thread.start()
        lines = 0
        for number in range(batches):
            events = batch(number, start)
            place.post(events, f"b{number}")
            if chance.random() < 0.2:  # the 200 was lost: a client cannot know, and sends again
                place.post(events, f"b{number}")
            if number % 10 == 0:
                with place.log.open("a") as file:
                    for line in attack_lines(number // 10, start):
                        file.write(line + "\n")
                        lines += 1
            if number % 40 == 39:
                place.log.rename(place.log.with_suffix(f".{number}.log"))
            if kills:
                time.sleep(0.05)
        thread.join(timeout=kills * 2)
        stop.set()
        thread.join()
        sent = batches * BATCH + lines
        found = place.settle(sent)
        assert sum(killed.values()) == kills
        alerts = place.alerts()
    assert place.clean, place.tail()
    assert len({alert["almena.alert.id"] for alert in alerts}) == len(alerts)
    return summary(alerts), found, sent


def check(folder: Path, seed: int, kills: int) -> None:
    """A run with kills agrees with one without."""
    start = now() - 600 * SECOND
    batches = BATCHES * kills // 10
    calm, calm_status, calm_sent = run(folder / "calm", seed, 0, batches, start)
    rough, rough_status, rough_sent = run(folder / "rough", seed, kills, batches, start)
    assert rough_sent == calm_sent
    for found in (calm_status, rough_status):
        assert found["events"] + found["dead_letters"] + found["drops"] == calm_sent
        assert found["dead_letters"] == batches * BATCH // 100
        assert found["drops"] == 0
    assert rough == calm
    assert max(rough.values()) == 1
    victims = sum(1 for _, entity, *_ in rough if "victima" in entity)
    assert victims == sum(1 for serial in range(batches * BATCH) if serial % EVERY_ATTACK == 3)


@pytest.mark.timeout(600)
def test_ten_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    check(tmp_path, seed=7, kills=10)


@pytest.mark.faults
@pytest.mark.timeout(3000)
def test_a_hundred_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    check(tmp_path, seed=int(os.environ.get("ALMENA_SEED", "1")), kills=100)
