"""Roles are kept running, what they say is kept, and neither a full disk nor a failed start ends the supervisor."""

from __future__ import annotations

import io
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from almena.supervisor import Supervisor, _keep, units


def tended(place: Supervisor, condition: Callable[[int | None], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition(place.pid("detect")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
        place.tend()


def test_what_a_role_says_is_kept_in_bounded_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("almena.supervisor.LOG_BYTES", 1000)
    _keep(io.BytesIO(b"".join(b"line %d\n" % number for number in range(500))), tmp_path / "role.log")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["role.log", "role.log.1"]
    assert (tmp_path / "role.log").read_text().splitlines()[-1] == "line 499"
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2000


def test_a_log_that_cannot_be_written_holds_up_no_role(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = io.BytesIO(b"x" * 100_000 + b"\nend\n")
    _keep(said, Path("/dev/full"))
    assert said.closed, "read to its end"
    said = io.BytesIO(b"line\n" * 10)
    _keep(said, tmp_path / "no" / "such" / "folder.log")
    assert said.closed
    assert capsys.readouterr().err == ""


def test_counters_lie_in_memory_and_leave_when_all_is_over(tmp_path: Path) -> None:
    place = Supervisor([], tmp_path / "almena.toml", tmp_path)
    place.start()
    folder = place._metrics
    if Path("/dev/shm").is_dir():
        assert folder.parent == Path("/dev/shm")
    assert folder.stat().st_mode & 0o777 == 0o700
    (folder / "counter_1.db").touch()
    other = Supervisor([], tmp_path / "almena.toml", tmp_path / "other")
    other.start()
    assert other._metrics != folder
    assert other.stop()
    again = Supervisor([], tmp_path / "almena.toml", tmp_path)
    again.start()
    assert not list(folder.iterdir()), "an earlier run is forgotten"
    assert again.stop()
    assert not folder.exists()


def test_without_memory_counters_lie_beside_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Path.mkdir

    def refuse(path: Path, *arguments: Any, **options: Any) -> None:
        if path.is_relative_to("/dev/shm"):
            raise PermissionError("no memory here")
        made(path, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", refuse)
    place = Supervisor([], tmp_path / "almena.toml", tmp_path)
    place.start()
    assert place._metrics == tmp_path / "metrics"
    assert place.stop()


def test_a_start_that_fails_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = subprocess.Popen
    failed: list[int] = []

    def fork(*arguments: Any, **options: Any) -> Any:
        if not failed:
            failed.append(1)
            raise BlockingIOError("Resource temporarily unavailable")
        return real(["sleep", "60"], **options)

    monkeypatch.setattr(subprocess, "Popen", fork)
    place = Supervisor(["detect"], tmp_path / "almena.toml", tmp_path, quiet=True)
    place.start()
    assert place.pid("detect") is None
    tended(place, lambda pid: pid is not None)
    assert place.restarts() == {"detect": 1}
    pid = place.pid("detect")
    assert pid is not None
    os.kill(pid, 9)
    tended(place, lambda new: new not in (None, pid))
    assert place.stop()


def test_roles_with_several_workers_are_several_units() -> None:
    assert units(["collect", "detect", "desk"], {"detect": 3, "correlate": 2}) == [
        *("collect", "detect", "detect.2", "detect.3", "desk")
    ]


def test_each_worker_has_a_name_of_its_own(tmp_path: Path) -> None:
    place = Supervisor(["detect", "detect.2"], tmp_path / "almena.toml", tmp_path, quiet=True)
    place.start()
    try:
        lines = {unit: Path(f"/proc/{place.pid(unit)}/cmdline").read_bytes().split(b"\0") for unit in place.roles}
    finally:
        place.stop()
    assert b"--member" not in lines["detect"]
    assert lines["detect.2"][lines["detect.2"].index(b"--member") + 1].endswith(b".2")
