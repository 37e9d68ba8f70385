"""A real Prometheus for tests: it scrapes one port of this machine every second and evaluates rules."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from almena.paths import dashboards_dir

RULES = (dashboards_dir() / "prometheus" / "recording.yml", dashboards_dir() / "prometheus" / "alerts.yml")
"""The project's own rules."""


def program(name: str) -> str:
    """The path of `prometheus` or `promtool`; the test skips where it is missing, and fails under CI=true."""
    found = shutil.which(name)
    if found is None:
        reason = f"{name} is not installed (Debian package prometheus; `make servers` installs it)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    url: str

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The instant answer of a PromQL expression: (labels, value) of every series."""
        result = self._get("/api/v1/query", query=expression)["result"]
        return [(item["metric"], float(item["value"][1])) for item in result]

    def alerts(self) -> dict[str, dict[str, Any]]:
        """The alerts that are pending or firing, the last of each name."""
        return {item["labels"]["alertname"]: item for item in self._get("/api/v1/alerts")["alerts"]}

    def targets(self) -> list[dict[str, Any]]:
        """What is scraped, with `health` and `lastError`."""
        return list(self._get("/api/v1/targets")["activeTargets"])

    def wait_for(self, true: Callable[[], object], what: str, seconds: float = 30) -> None:
        """Wait until `true()` is; fails the test after `seconds`."""
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                errors = [target["lastError"] for target in self.targets()]
                pytest.fail(f"{what}: not within {seconds} s; scrape errors: {errors}")
            time.sleep(0.2)

    def _get(self, path: str, **params: str) -> Any:
        answer = httpx.get(self.url + path, params=params, timeout=10)
        body = msgspec.json.decode(answer.content)
        assert body["status"] == "success", body
        return body["data"]


@contextmanager
def run_prometheus(
    tmp_path: Path, target_port: int, rules: Sequence[Path] = RULES, metrics_path: str = "/metrics"
) -> Iterator[Prometheus]:
    """Prometheus over `127.0.0.1:target_port`, as job `almena`, until the block ends."""
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(path) for path in rules],
        "scrape_configs": [
            {
                "job_name": "almena",
                "metrics_path": metrics_path,
                "static_configs": [{"targets": [f"127.0.0.1:{target_port}"]}],
            }
        ],
    }
    # JSON is YAML.
    (tmp_path / "prometheus.yml").write_bytes(msgspec.json.encode(config))
    port = _free_port()
    arguments = [
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with (tmp_path / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([program("prometheus"), *arguments], stdout=log, stderr=log)
        try:
            _wait_until_ready(process, f"http://127.0.0.1:{port}/-/ready", tmp_path / "prometheus.log")
            yield Prometheus(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()
            process.wait(timeout=20)


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(url, timeout=2).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    pytest.fail(f"prometheus did not start: {log.read_text()[-2000:]}")


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
