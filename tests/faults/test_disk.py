"""A disk that is really full: nothing is acknowledged, nobody dies, and all arrives once there is room."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from installation import Installation
from load import attack_lines, batch, expected_victims, summary, victims

from almena.app.operate import ROLES
from almena.clock import SECOND, now

SIZE = 32 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", place], check=False, capture_output=True, text=True
    )
    if made.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@contextlib.contextmanager
def full(disk: Path) -> Iterator[None]:
    """Not one page is left, however much the others give back meanwhile."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:

        def fill() -> None:
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(4096))

        fill()
        filling = True

        def keep_full() -> None:
            while filling:
                fill()
                time.sleep(0.05)

        thread = threading.Thread(target=keep_full)
        thread.start()
        try:
            yield
        finally:
            filling = False
            thread.join()
    ballast.unlink()


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def health(place: Installation) -> int:
    return httpx.get(f"http://127.0.0.1:{place.http}/healthz", timeout=5).status_code


def write(place: Installation, lines: list[str]) -> int:
    with place.log.open("a") as file:
        file.writelines(line + "\n" for line in lines)
    return len(lines)


@pytest.mark.timeout(200)
def test_nothing_is_acknowledged_nobody_dies_and_all_arrives(tmp_path: Path, disk: Path) -> None:
    place = Installation(tmp_path / "i", data=str(disk), patience="1s")
    start = now() - 600 * SECOND
    with place.running():
        place.post(batch(0, start), "b0")
        lines = write(place, attack_lines(0, start))
        place.settle(20 + lines, end=False)
        pids = {role: place.supervisor.pid(role) for role in ROLES}
        with full(disk):
            lines += write(place, attack_lines(1, start))
            until(lambda: health(place) == 503, 20, "the source says that it is down")
            answers: Counter[int] = Counter()
            deadline = time.monotonic() + 10
            number = 1
            while time.monotonic() < deadline:
                answer = place.try_to_post(batch(number, start), f"b{number}")
                answers[0 if answer is None else answer.status_code] += 1
                number = number % 5 + 1
                time.sleep(0.2)
            assert set(answers) <= {429, 503}
            assert answers[503] > 5
            assert httpx.get(f"http://127.0.0.1:{place.console}/healthz", timeout=5).status_code in (200, 503)
            assert {role: place.supervisor.pid(role) for role in ROLES} == pids
        for number in range(1, 6):
            place.post(batch(number, start), f"b{number}")
        found = place.settle(6 * 20 + lines)
        alerts = summary(place.alerts())
        assert {role: place.supervisor.pid(role) for role in ROLES} == pids
    assert place.clean, place.tail()
    assert found["events"] + found["dead_letters"] + found["drops"] == 6 * 20 + lines
    assert found["drops"] == 0
    assert set(alerts.values()) == {1}
    assert victims(alerts) == expected_victims(6)
    assert sum("203.0.113." in entity for _, entity, *_ in alerts) >= 2, f"both brute forces were found: {alerts}"


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_kills_on_a_disk_that_fills_up_again_and_again(tmp_path: Path, disk: Path) -> None:
    place = Installation(tmp_path / "i", data=str(disk), patience="1s")
    start = now() - 600 * SECOND
    chance = random.Random(int(os.environ.get("FAULTS_SEED", "1")))
    lines = 0
    with place.running():
        for number in range(60):
            lines += write(place, attack_lines(number, start)) if number % 10 == 0 else 0
            if number % 6 == 5:
                with full(disk):
                    place.try_to_post(batch(number, start), f"b{number}")
                    for role in chance.sample(ROLES, 2):
                        if (pid := place.supervisor.pid(role)) is not None:
                            os.kill(pid, signal.SIGKILL)
                        time.sleep(chance.uniform(0.2, 3.0))
                    place.try_to_post(batch(number, start), f"b{number}")
            place.post(batch(number, start), f"b{number}", patience=120)
        found = place.settle(60 * 20 + lines)
        alerts = summary(place.alerts())
    assert place.clean, place.tail()
    assert found["events"] + found["dead_letters"] + found["drops"] == 60 * 20 + lines
    assert found["drops"] == 0
    assert set(alerts.values()) == {1}
    assert victims(alerts) == expected_victims(60)
