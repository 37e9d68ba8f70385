"""The systemd units: systemd itself reads them, finds them closed, and their limits are limits Almena can live in."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from almena.app.operate import ROLES

ROOT = Path(__file__).resolve().parents[2]
SYSTEMD = ROOT / "deploy" / "systemd"

EXPOSURE = {"detect": 1.5, "collect": 2.5}
"""The most that `systemd-analyze security` may find open, 0 to 10, by role."""


def analyze() -> str:
    """The path of systemd-analyze; the test skips where it is missing, and fails under CI=true."""
    found = shutil.which("systemd-analyze")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("systemd-analyze is not installed (Debian package systemd)")
        pytest.skip("systemd-analyze is not installed (Debian package systemd)")
    return found


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units with a program that exists on this machine."""
    folder = tmp_path / "units"
    shutil.copytree(SYSTEMD, folder)
    unit = folder / "almena@.service"
    unit.write_text(unit.read_text().replace("/opt/almena/.venv/bin/almena", sys.executable))
    return folder


def verify(units: Path, *names: str) -> subprocess.CompletedProcess[str]:
    paths = [str(units / name) for name in names]
    environment = {**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:"}
    command = [analyze(), "verify", "--man=no", *paths]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_systemd_reads_the_units_without_a_word(units: Path) -> None:
    result = verify(units, "almena.target", *(f"almena@{role}.service" for role in ROLES))
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_the_check_above_can_fail(units: Path) -> None:
    unit = units / "almena@.service"
    unit.write_text(unit.read_text() + "ProtectSistem=strict\n")
    assert "ProtectSistem" in verify(units, "almena@detect.service").stderr


@pytest.mark.parametrize("role", EXPOSURE)
def test_systemd_finds_the_units_closed(units: Path, role: str) -> None:
    limit = round(EXPOSURE[role] * 10)
    command = [analyze(), "security", "--offline=true", f"--threshold={limit}", str(units / f"almena@{role}.service")]
    environment = {**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stdout[-300:]


def options(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def test_every_role_is_started_by_the_target_and_started_again() -> None:
    target = (SYSTEMD / "almena.target").read_text()
    assert re.findall(r"almena@(\w+)\.service", target) == list(ROLES)
    unit = options((SYSTEMD / "almena@.service").read_text())
    assert unit["Restart"] == ["always"]
    assert unit["StartLimitIntervalSec"] == ["0"], "systemd must not give up"
    assert unit["PartOf"] == ["almena.target"]
    assert unit["User"] == ["almena"]
    assert "u almena " in (ROOT / "deploy" / "sysusers.conf").read_text()


def test_the_roles_share_their_metrics() -> None:
    unit = options((SYSTEMD / "almena@.service").read_text())
    assert f"PROMETHEUS_MULTIPROC_DIR=/run/{unit['RuntimeDirectory'][0]}" in unit["Environment"]
    assert unit["RuntimeDirectoryPreserve"] == ["yes"], "a role that stops must not take the others' counters with it"


MDWE = """
import ctypes, sys
if ctypes.CDLL(None, use_errno=True).prctl(65, 1, 0, 0, 0) != 0:
    sys.exit(77)
import mmap
try:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    sys.exit("memory may be writable and executable after all")
except PermissionError:
    pass
from detectors._tail_forest import TailForest
TailForest([[float(n % 7), float(n % 5)] for n in range(50)], [0.1, 0.1], 5.0).score([[1.0, 2.0]])
import almena.app.roles, almena.console.app, collectors, detectors.sigma.loader
import cryptography.hazmat.primitives.ciphers.aead, evtx, re2, sqlite3, zstandard
assert re2.search("a+", "caat")
assert zstandard.decompress(zstandard.compress(b"x")) == b"x"
assert sqlite3.connect(":memory:").execute("select 1").fetchone() == (1,)
"""


def test_everything_runs_where_no_memory_is_writable_and_executable() -> None:
    """What MemoryDenyWriteExecute=yes means, asked of this kernel."""
    result = subprocess.run([sys.executable, "-c", MDWE], cwd=ROOT, capture_output=True, text=True)
    if result.returncode == 77:
        pytest.skip("this kernel cannot deny writable and executable memory (Linux 6.3)")
    assert result.returncode == 0, result.stderr
