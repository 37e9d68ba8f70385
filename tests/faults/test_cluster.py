"""On Kafka and Elasticsearch too: whatever is killed, stopped or cut off, nothing is lost and nothing comes twice."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cluster import clustered
from installation import Installation, Worker
from rough import Disturb, calm, killer, play

SEED = int(os.environ.get("FAULTS_SEED", "1"))
BATCHES = 120


def compare(
    tmp_path: Path, kafka: str, elasticsearch: str, batches: int, disturb: Disturb, *, seed: int = SEED
) -> None:
    """A run with trouble agrees with one without."""
    start, expected = calm(tmp_path, batches)
    with clustered(tmp_path / "rough", kafka, elasticsearch) as place:
        rough = play(place, batches, start, disturb, seed=seed, patience=180)
    rough.agrees(expected)


@pytest.mark.timeout(400)
def test_a_few_kills_lose_nothing_and_double_nothing(tmp_path: Path, kafka: str, elasticsearch: str) -> None:
    compare(tmp_path, kafka, elasticsearch, 40, killer(5, seed=7), seed=7)


@pytest.mark.faults
@pytest.mark.timeout(3000)
def test_a_hundred_kills_lose_nothing_and_double_nothing(tmp_path: Path, kafka: str, elasticsearch: str) -> None:
    compare(tmp_path, kafka, elasticsearch, 10 * BATCHES, killer(100, SEED))


@pytest.mark.faults
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGSTOP])
def test_roles_told_to_end_or_stopped_for_seconds_lose_nothing(
    tmp_path: Path, kafka: str, elasticsearch: str, number: signal.Signals
) -> None:
    compare(tmp_path, kafka, elasticsearch, 3 * BATCHES, killer(30, SEED, number))


@contextmanager
def storm(place: Installation, every: float) -> Iterator[None]:
    """A detector and a correlator that join and leave, one or the other every few seconds, while the block runs."""
    over = threading.Event()
    chance = random.Random(SEED)

    def join_and_leave() -> None:
        workers: dict[str, Worker] = {}
        while not over.wait(every):
            role = chance.choice(["detect", "correlate"])
            if role in workers:
                workers.pop(role).end(chance.choice([signal.SIGTERM, signal.SIGKILL]))
            else:
                workers[role] = Worker(place, role, "guest")
        for worker in workers.values():
            worker.end()

    thread = threading.Thread(target=join_and_leave)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.faults
@pytest.mark.timeout(1200)
def test_a_storm_of_rebalances(tmp_path: Path, kafka: str, elasticsearch: str) -> None:
    def disturb(place: Installation, over: threading.Event) -> None:
        with storm(place, every=5):
            time.sleep(120)

    compare(tmp_path, kafka, elasticsearch, 10 * BATCHES, disturb)
