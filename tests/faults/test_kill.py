"""Any role killed, told to end or stopped for a while at any moment loses no acknowledged event, doubles no alert."""

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
    folder: Path, seed: int, kills: int, batches: int, start: int, number: signal.Signals = signal.SIGKILL
) -> tuple[Counter[tuple[Any, ...]], dict[str, Any], int]:
    """One run under load with `kills` seeded signals; returns alerts, status, and how many ids were sent."""
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
                os.kill(pid, number)
                killed[role] += 1
                if number == signal.SIGSTOP:
                    time.sleep(chance.uniform(0.5, 3.0))
                    os.kill(pid, signal.SIGCONT)

    with place.running():
        thread = threading.Thread(target=killer)
        thread.start()
        lines = 0
        for sent in range(batches):
            events = batch(sent, start)
            place.post(events, f"b{sent}")
            if chance.random() < 0.2:  # the 200 was lost: a client cannot know, and sends again
                place.post(events, f"b{sent}")
            if sent % 10 == 0:
                with place.log.open("a") as file:
                    for line in attack_lines(sent // 10, start):
                        file.write(line + "\n")
                        lines += 1
            if sent % 40 == 39:
                place.log.rename(place.log.with_suffix(f".{sent}.log"))
            if kills:
                time.sleep(0.05)
        thread.join(timeout=kills * 5)
        stop.set()
        thread.join()
        sent = batches * BATCH + lines
        found = place.settle(sent)
        assert sum(killed.values()) == kills
        alerts = place.alerts()
    assert place.clean, place.tail()
    assert len({alert["almena.alert.id"] for alert in alerts}) == len(alerts)
    return summary(alerts), found, sent


def check(folder: Path, seed: int, kills: int, number: signal.Signals = signal.SIGKILL) -> None:
    """A run with kills agrees with one without."""
    start = now() - 600 * SECOND
    batches = BATCHES * kills // 10
    calm, calm_status, calm_sent = run(folder / "calm", seed, 0, batches, start)
    rough, rough_status, rough_sent = run(folder / "rough", seed, kills, batches, start, number)
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
    check(tmp_path, seed=int(os.environ.get("FAULTS_SEED", "1")), kills=100)


@pytest.mark.faults
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGSTOP])
def test_roles_told_to_end_or_stopped_for_seconds_lose_nothing(tmp_path: Path, number: signal.Signals) -> None:
    check(tmp_path, seed=int(os.environ.get("FAULTS_SEED", "1")), kills=30, number=number)


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_all_roles_stopped_under_load_and_started_again_lose_nothing(tmp_path: Path) -> None:
    place = Installation(tmp_path / "i")
    start = now() - 600 * SECOND
    acknowledged: list[int] = []

    def send() -> None:
        for sent in range(BATCHES):
            place.post(batch(sent, start), f"b{sent}", patience=120)
            acknowledged.append(sent)

    lines = 0
    thread = threading.Thread(target=send)
    thread.start()
    for turn in range(4):
        with place.running():
            with place.log.open("a") as file:
                lines += 12
                file.writelines(line + "\n" for line in attack_lines(turn, start))
            time.sleep(2.0 + turn / 2)
        assert place.clean, place.tail()
    with place.running():
        thread.join()
        found = place.settle(BATCHES * BATCH + lines)
        alerts = summary(place.alerts())
    assert len(acknowledged) == BATCHES
    assert found["events"] + found["dead_letters"] + found["drops"] == BATCHES * BATCH + lines
    assert found["drops"] == 0
    assert max(alerts.values()) == 1
    assert victims(alerts) == expected_victims(BATCHES)
