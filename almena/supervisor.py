"""Keeps the roles of one machine running: starts each as a process, restarts what dies, ends all cleanly."""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

log = logging.getLogger("almena.supervisor")

FIRST_PAUSE = 0.2
"""Seconds before a role that died is started again; doubles while it keeps dying young."""

LONGEST_PAUSE = 30.0
"""Seconds between two starts at most."""

LOG_BYTES = 5_000_000
"""Size at which a role's log is turned over; one older one is kept."""

_LONGEST_LINE = 64 * 1024
_YOUNG = 10.0
_PATIENCE = 15.0


@dataclass
class _Role:
    name: str
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = FIRST_PAUSE
    due: float = 0.0
    restarts: int = 0


@dataclass
class Supervisor:
    """The processes of one configuration."""

    roles: Sequence[str]
    """Role names, in the order they start; they end in the reverse order."""
    config: Path
    """The configuration every role reads."""
    data: Path
    """Where `metrics/` (shared counters) and `logs/` go."""
    quiet: bool = False
    """Roles write to `logs/ROLE.log` instead of this terminal."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """More environment variables for the roles."""
    _running: list[_Role] = field(default_factory=list)

    @property
    def metrics_dir(self) -> Path:
        """Where the processes share their metrics."""
        return self.data / "metrics"

    def start(self) -> None:
        """Start every role; metrics of an earlier run are forgotten."""
        shutil.rmtree(self.metrics_dir, ignore_errors=True)
        self.metrics_dir.mkdir(parents=True)
        (self.data / "logs").mkdir(parents=True, exist_ok=True)
        for name in self.roles:
            role = _Role(name)
            self._running.append(role)
            self._spawn(role)

    def watch(self, stop: threading.Event) -> None:
        """Restart what dies until `stop` is set."""
        while not stop.wait(0.1):
            self.tend()

    def tend(self) -> None:
        """Restart what has died, once its pause is over."""
        for role in self._running:
            if role.process is not None and role.process.poll() is not None:
                self._bury(role)
            if role.process is None and time.monotonic() >= role.due:
                role.restarts += 1
                self._spawn(role)

    def stop(self) -> bool:
        """End every role; True when all ended by themselves in time."""
        clean = True
        for role in reversed(self._running):
            process = role.process
            if process is None:
                continue
            process.terminate()
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                log.error("%s did not end within %.0f s and was killed", role.name, _PATIENCE)
                process.kill()
                process.wait()
                clean = False
            self._close(process)
        self._running.clear()
        return clean

    def pid(self, name: str) -> int | None:
        """The process id of a role, while it runs."""
        for role in self._running:
            if role.name == name and role.process is not None and role.process.poll() is None:
                return role.process.pid
        return None

    def restarts(self) -> dict[str, int]:
        """How often each role was started again."""
        return {role.name: role.restarts for role in self._running}

    def _spawn(self, role: _Role) -> None:
        environment = {**os.environ, **self.extra, "PROMETHEUS_MULTIPROC_DIR": str(self.metrics_dir)}
        environment["ALMENA_SUPERVISED"] = "1"
        environment["ALMENA_RESTARTED"] = "1" if role.restarts else ""
        command = [sys.executable, "-m", "almena", role.name, "--config", str(self.config)]
        output = subprocess.PIPE if self.quiet else None
        role.process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=_errors(output),
            start_new_session=True,
        )
        if role.process.stdout is not None:
            file = self.data / "logs" / f"{role.name}.log"
            threading.Thread(
                target=_keep, args=(role.process.stdout, file), name=f"log-{role.name}", daemon=True
            ).start()
        role.started = time.monotonic()

    def _bury(self, role: _Role) -> None:
        process = role.process
        if process is None:
            return
        age = time.monotonic() - role.started
        role.pause = FIRST_PAUSE if age > _YOUNG else min(role.pause * 2, LONGEST_PAUSE)
        role.due = time.monotonic() + role.pause
        log.warning("%s ended with code %s; starting it again in %.1f s", role.name, process.returncode, role.pause)
        self._forget_metrics(process.pid)
        self._close(process)
        role.process = None

    def _forget_metrics(self, pid: int) -> None:
        """Live gauges of a dead process must not count; its counters must."""
        for file in self.metrics_dir.glob(f"gauge_live*_{pid}.db"):
            file.unlink(missing_ok=True)

    @staticmethod
    def _close(process: subprocess.Popen[bytes]) -> None:
        if process.stdin is not None:
            process.stdin.close()


def _errors(output: int | None) -> int | None:
    return None if output is None else subprocess.STDOUT


def _keep(output: IO[bytes], file: Path) -> None:
    """Write what a role says into a file that is turned over before it grows large."""
    handler = logging.handlers.RotatingFileHandler(file, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8")
    with output, contextlib.closing(handler):
        while line := output.readline(_LONGEST_LINE):
            text = line.decode("utf-8", "replace").rstrip("\n")
            handler.emit(logging.makeLogRecord({"msg": text, "levelno": logging.INFO}))


def until_told(stop: threading.Event) -> None:
    """In a role: set `stop` on SIGTERM or SIGINT, and when the supervisor is gone, however it went."""

    def told(*_: object) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, told)
    lifeline()


def lifeline() -> None:
    """In a role: end this process in good order when its supervisor is gone, however it went."""
    if os.environ.get("ALMENA_SUPERVISED") != "1":
        return

    def watch() -> None:
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()
