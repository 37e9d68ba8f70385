"""Two members of each role share the work; one is killed, stopped or told to end, and the alerts are the same."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from installation import Installation, Worker
from load import BATCH, attack_lines, batch, expected_victims, summary, victims

from almena.bus.sqlite_session import LEASE
from almena.clock import SECOND, now

BATCHES = 60
SHARED = ("detect", "correlate")


@contextmanager
def shared(folder: Path) -> Iterator[tuple[Installation, dict[str, Worker]]]:
    """An installation in which detect and correlate have two members each."""
    place = Installation(folder, partitions=4, roles=("collect", "desk", "console"))
    workers: dict[str, Worker] = {}
    with place.running():
        try:
            for role in SHARED:
                for member in ("one", "two"):
                    workers[f"{role}-{member}"] = Worker(place, role, member)
            yield place, workers
        finally:
            for worker in workers.values():
                worker.end()


def play(
    folder: Path, start: int, disturb: Callable[[dict[str, Worker]], None]
) -> tuple[Counter[tuple[Any, ...]], dict[str, Worker], Installation]:
    """A run under load while somebody disturbs; returns the alerts, after checking the sum."""
    with shared(folder) as (place, workers):
        thread = threading.Thread(target=disturb, args=(workers,))
        thread.start()
        lines = number = 0
        while number < BATCHES or thread.is_alive():
            if number < BATCHES:
                place.post(batch(number, start), f"b{number}")
                if number % 10 == 0:
                    with place.log.open("a") as log:
                        lines += 12
                        log.writelines(line + "\n" for line in attack_lines(number // 10, start))
            number += 1
            time.sleep(0.1)
        thread.join()
        sent = BATCHES * BATCH + lines
        found = place.settle(sent, seconds=180)
        alerts = summary(place.alerts())
    assert found["events"] + found["dead_letters"] + found["drops"] == sent
    assert found["drops"] == 0
    assert victims(alerts) == expected_victims(BATCHES)
    assert set(alerts.values()) == {1}
    return alerts, workers, place


def nothing(workers: dict[str, Worker]) -> None:
    """Disturb nobody."""


def check(tmp_path: Path, disturb: Callable[[dict[str, Worker]], None]) -> dict[str, Worker]:
    start = now() - 600 * SECOND
    calm, *_ = play(tmp_path / "calm", start, nothing)
    rough, workers, _ = play(tmp_path / "rough", start, disturb)
    assert rough == calm
    return workers


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_a_member_that_is_killed_for_good_leaves_its_partitions_to_the_other(tmp_path: Path) -> None:
    def kill(workers: dict[str, Worker]) -> None:
        time.sleep(4)
        for role in SHARED:
            workers[f"{role}-two"].end(signal.SIGKILL)

    workers = check(tmp_path, kill)
    assert [workers[f"{role}-two"].ends for role in SHARED] == [[-9], [-9]]
    assert [workers[f"{role}-one"].ends for role in SHARED] == [[0], [0]], "nobody else was disturbed"


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_members_that_are_killed_and_ended_and_come_back(tmp_path: Path) -> None:
    chance = random.Random(int(os.environ.get("FAULTS_SEED", "1")))

    def trouble(workers: dict[str, Worker]) -> None:
        for _ in range(16):
            time.sleep(chance.uniform(0.3, 2.0))
            workers[chance.choice(sorted(workers))].send(chance.choice([signal.SIGKILL, signal.SIGTERM]))

    workers = check(tmp_path, trouble)
    assert {code for worker in workers.values() for code in worker.ends} <= {0, -9, -15, 3}


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_a_member_that_was_stopped_for_longer_than_its_lease_is_fenced(tmp_path: Path) -> None:
    def stop(workers: dict[str, Worker]) -> None:
        time.sleep(3)
        for role in SHARED:
            workers[f"{role}-one"].send(signal.SIGSTOP)
        time.sleep(LEASE + 10)
        for role in SHARED:
            workers[f"{role}-one"].send(signal.SIGCONT)
        time.sleep(5)

    check(tmp_path, stop)
