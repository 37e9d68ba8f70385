"""Any role killed, told to end or stopped for a while at any moment loses no acknowledged event, doubles no alert."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from installation import Installation
from load import BATCH, attack_lines, batch, expected_victims, summary, victims
from rough import killer, play

from almena.clock import SECOND, now

BATCHES = 120


def check(folder: Path, seed: int, kills: int, number: signal.Signals = signal.SIGKILL) -> None:
    """A run with kills agrees with one without."""
    start = now() - 600 * SECOND
    batches = BATCHES * kills // 10
    calm = play(Installation(folder / "calm"), batches, start, seed=seed)
    rough = play(Installation(folder / "rough"), batches, start, killer(kills, seed, number), seed=seed)
    calm.check()
    rough.check()
    assert rough.sent == calm.sent
    assert rough.alerts == calm.alerts


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
