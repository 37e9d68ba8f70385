"""The database locked for long, and a file that cannot be written: roles wait or say why, and nothing is lost."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from installation import Installation
from load import BATCH, attack_lines, batch, expected_victims, summary, victims

from almena.app.operate import ROLES
from almena.bus.sqlite import PATIENCE
from almena.clock import SECOND, now


@contextmanager
def locked(*paths: Path) -> Iterator[None]:
    """Another program writes into the files and does not come to an end."""
    connections = [sqlite3.connect(path, isolation_level=None, timeout=60) for path in paths]
    try:
        for connection in connections:
            connection.execute("BEGIN IMMEDIATE")
        yield
    finally:
        for connection in connections:
            connection.close()


@pytest.mark.faults
@pytest.mark.timeout(400)
def test_a_lock_held_beyond_the_patience_costs_nothing(tmp_path: Path) -> None:
    place = Installation(tmp_path / "i", patience="1s")
    start = now() - 600 * SECOND
    with place.running():
        place.post(batch(0, start), "b0")
        pids = {role: place.supervisor.pid(role) for role in ROLES}
        answers: Counter[int] = Counter()
        for number, files in enumerate((["bus.sqlite"], ["store.sqlite"], ["bus.sqlite", "store.sqlite"])):
            with locked(*(place.folder / name for name in files)):
                with place.log.open("a") as log:
                    log.writelines(line + "\n" for line in attack_lines(number, start))
                deadline = time.monotonic() + PATIENCE + 5
                while time.monotonic() < deadline:
                    answer = place.try_to_post(batch(number + 1, start), f"b{number + 1}")
                    if files != ["store.sqlite"]:
                        answers[0 if answer is None else answer.status_code] += 1
                    time.sleep(0.5)
            place.post(batch(number + 1, start), f"b{number + 1}")
        found = place.settle(4 * BATCH + 36)
        alerts = summary(place.alerts())
        assert {role: place.supervisor.pid(role) for role in ROLES} == pids
    assert place.clean, place.tail()
    assert set(answers) <= {429, 503}
    assert found["events"] + found["dead_letters"] + found["drops"] == 4 * BATCH + 36
    assert found["drops"] == 0
    assert set(alerts.values()) == {1}
    assert victims(alerts) == expected_victims(4)


@pytest.mark.faults
@pytest.mark.timeout(400)
def test_stopping_while_the_bus_is_locked_loses_nothing(tmp_path: Path) -> None:
    place = Installation(tmp_path / "i", patience="1s")
    start = now() - 600 * SECOND
    with place.running():
        place.post(batch(0, start), "b0")
    with place.running(), locked(place.folder / "bus.sqlite"):
        place.log.write_text("".join(line + "\n" for line in attack_lines(0, start)))
        answer = place.try_to_post(batch(1, start), "b1")
        assert answer is None or answer.status_code in (429, 503)
        threading.Thread(target=place.stop.set).start()
        began = time.monotonic()
        place.supervisor.stop()
        assert time.monotonic() - began < 80, "the service manager gives 90 s"
    with place.running():
        place.post(batch(1, start), "b1")
        found = place.settle(2 * BATCH + 12)
        alerts = summary(place.alerts())
    assert place.clean, place.tail()
    assert found["events"] + found["dead_letters"] + found["drops"] == 2 * BATCH + 12
    assert victims(alerts) == expected_victims(2)
    assert set(alerts.values()) == {1}


@pytest.mark.faults
@pytest.mark.timeout(400)
def test_a_read_only_disk_is_said_and_left_when_it_can_be_written_again(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", disk], check=False, capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    try:
        place = Installation(tmp_path / "i", data=str(disk))
        start = now() - 600 * SECOND
        with place.running():
            place.post(batch(0, start), "b0")
            place.settle(BATCH, end=False)
        place.log.write_text("".join(line + "\n" for line in attack_lines(0, start)))
        said = subprocess.run(["mount", "-o", "remount,ro", disk], check=False, capture_output=True, text=True)
        assert said.returncode == 0, said.stderr
        for role in ROLES:
            ended = subprocess.run(
                [sys.executable, "-m", "almena", role, "--config", str(place.file)],
                check=False,
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert ended.returncode == 2, ended.stderr
            assert "bus.sqlite: cannot be opened" in ended.stderr
            assert "let Almena's user write" in ended.stderr or "Read-only" in ended.stderr
            assert "Traceback" not in ended.stderr
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        with place.running():
            place.post(batch(1, start), "b1")
            found = place.settle(2 * BATCH + 12)
            alerts = summary(place.alerts())
        assert found["events"] + found["dead_letters"] + found["drops"] == 2 * BATCH + 12
        assert victims(alerts) == expected_victims(2)
        assert set(alerts.values()) == {1}
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.faults
@pytest.mark.timeout(400)
def test_a_damaged_file_is_said_by_every_role_and_a_backup_brings_it_back(tmp_path: Path) -> None:
    place = Installation(tmp_path / "i")
    start = now() - 600 * SECOND
    command = [sys.executable, "-m", "almena"]
    with place.running():
        place.post(batch(0, start), "b0")
        place.settle(BATCH, end=False)
        subprocess.run([*command, "backup", tmp_path / "b.tar.gz", "--config", place.file], check=True)
    bus = place.folder / "bus.sqlite"
    with bus.open("r+b") as file:
        file.write(bytes(4096))
    for role in ROLES:
        ended = subprocess.run(
            [*command, role, "--config", str(place.file)], check=False, capture_output=True, text=True, timeout=60
        )
        assert ended.returncode == 2, ended.stderr
        assert "almena restore" in ended.stderr
        assert "Traceback" not in ended.stderr
    subprocess.run([*command, "restore", tmp_path / "b.tar.gz", "--force", "--config", place.file], check=True)
    with place.running():
        place.post(batch(0, start), "b0")  # known
        place.post(batch(1, start), "b1")
        found = place.settle(2 * BATCH)
        alerts = summary(place.alerts())
    assert found["events"] + found["dead_letters"] + found["drops"] == 2 * BATCH
    assert victims(alerts) == expected_victims(2)
    assert set(alerts.values()) == {1}
    with closing(sqlite3.connect(bus)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
