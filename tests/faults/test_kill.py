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
from load import BATCH, attack_lines, batch, expected_victims, summary, victims

from almena.app.operate import ROLES
from almena.clock import SECOND, now

BATCHES = 120


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
    assert victims(rough) == expected_victims(batches)


@pytest.mark.timeout(600)
def test_ten_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    check(tmp_path, seed=7, kills=10)


@pytest.mark.faults
@pytest.mark.timeout(3000)
def test_a_hundred_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    check(tmp_path, seed=int(os.environ.get("ALMENA_SEED", "1")), kills=100)
