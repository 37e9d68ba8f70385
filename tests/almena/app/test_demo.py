"""The demo as a newcomer meets it: the first alerts within seconds, a real Prometheus, a clean end, an honest sum."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
from installation import free_port
from prometheus import run_prometheus

from almena.store import ALERTS, ALL, Query, open_store

FIRST_ALERT_SECONDS = 15


def almena(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "almena", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
        start_new_session=True,
    )


@contextmanager
def demo(folder: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    process = almena("demo", "--data", str(folder), "--port", str(port))
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def wait_for_console(port: int, process: subprocess.Popen[str], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        try:
            if httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=1).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.05)
    pytest.fail("the console did not answer")


def alerts(folder: Path) -> int:
    with closing(open_store(f"sqlite:{folder / 'store.sqlite'}")) as store:
        return store.count(Query(kind=ALERTS, scope=ALL))


def roles_of(folder: Path) -> list[str]:
    """Processes that still run on this folder's configuration."""
    found = subprocess.run(["pgrep", "-f", f"almena .*{folder}"], capture_output=True, text=True, check=False)
    return found.stdout.split()


@pytest.mark.timeout(240)
def test_alerts_come_soon_prometheus_agrees_and_ctrl_c_ends_everything(tmp_path: Path) -> None:
    folder, port = tmp_path / "data", free_port()
    with demo(folder, port) as process:
        wait_for_console(port, process)
        began = time.monotonic()
        while not alerts(folder):
            assert time.monotonic() - began < FIRST_ALERT_SECONDS, "no alert yet"
            time.sleep(0.1)
        with run_prometheus(tmp_path, port) as prometheus:
            prometheus.wait_for(
                lambda: sum(value for _, value in prometheus.query("sum(almena_alerts_total)")), "alerts in Prometheus"
            )
            prometheus.wait_for(
                lambda: sum(v for _, v in prometheus.query("sum(rate(almena_events_received_total[10s]))")) > 5,
                "a rate of events",
            )
            stages = {labels["stage"] for labels, _ in prometheus.query("almena_heartbeat_timestamp_seconds")}
            assert {"detect", "correlate", "desk"} <= stages
            firing = {name for name, alert in prometheus.alerts().items() if alert["state"] == "firing"}
            assert firing <= {"AlmenaDeadLetters"}, firing
        assert (folder / "admin-password").stat().st_mode & 0o077 == 0
        again = almena("demo", "--data", str(folder), "--port", str(free_port()))
        _, said = again.communicate(timeout=30)
        assert again.returncode == 2
        assert "runs there already" in said
        os.killpg(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=30)
        assert process.returncode == 0, errors
    assert f"http://127.0.0.1:{port}" in output
    assert "contraseña de un solo uso" in output
    assert "Todo se detuvo en orden." in output
    assert "Traceback" not in errors
    assert not roles_of(folder)


@pytest.mark.timeout(240)
def test_the_roles_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    folder, port = tmp_path / "data", free_port()
    with demo(folder, port) as process:
        wait_for_console(port, process)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        deadline = time.monotonic() + 20
        while roles_of(folder):
            assert time.monotonic() < deadline, "roles outlive their supervisor"
            time.sleep(0.2)


@pytest.mark.timeout(300)
def test_once_misses_no_scene_and_its_sum_holds(tmp_path: Path) -> None:
    process = almena("demo", "--once", "--data", str(tmp_path), "--seed", "3")
    output, errors = process.communicate(timeout=280)
    assert process.returncode == 0, output + errors
    assert "ninguna escena quedó sin alerta" in output
    assert "✓" in next(line for line in output.splitlines() if line.startswith("enviados"))


@pytest.mark.timeout(300)
def test_once_fails_when_a_scene_is_missed(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    source = Path(__file__).parents[3] / "rules" / "linux" / "sudo_root_shell.yml"
    (rules / "one.yml").write_text(source.read_text("utf-8"), "utf-8")
    process = almena("demo", "--once", "--data", str(tmp_path), ALMENA_RULES=f'["{rules}"]')
    output, errors = process.communicate(timeout=280)
    assert process.returncode == 1, output + errors
    assert "escena sin alerta: inyección SQL en el portal" in output


def test_a_taken_port_says_so(tmp_path: Path) -> None:
    port = free_port()
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        process = almena("demo", "--data", str(tmp_path), "--port", str(port))
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"port {port} on 127.0.0.1 is taken" in errors
