"""Keeps the roles of one machine running: starts each as a process, restarts what dies, ends all cleanly."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import logging.handlers
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from almena import metrics
from almena.errors import AlmenaError

log = logging.getLogger("almena.supervisor")

FIRST_PAUSE = 0.2
"""Seconds before a role that died is started again; doubles while it keeps dying young."""

LONGEST_PAUSE = 5.0
"""Seconds between two starts at most."""

LOG_BYTES = 5_000_000
"""Size at which a role's log is turned over; one older one is kept."""

_LONGEST_LINE = 64 * 1024
_YOUNG = 10.0
_PATIENCE = 15.0


def units(roles: Sequence[str], workers: Mapping[str, int]) -> list[str]:
    """What to start where roles have several workers: the role's name for the first, `detect.2` for the next."""
    return [
        role if number == 1 else f"{role}.{number}" for role in roles for number in range(1, workers.get(role, 1) + 1)
    ]


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
    """Names of `units`, in the order they start; they end in the reverse order."""
    config: Path
    """The configuration every role reads."""
    data: Path
    """Where `logs/` go, and the shared counters in `metrics/` on a machine without a file system in memory."""
    quiet: bool = False
    """Roles write to `logs/ROLE.log` instead of this terminal."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """More environment variables for the roles."""
    _running: list[_Role] = field(default_factory=list)
    _metrics: Path = Path()

    def start(self) -> None:
        """Start every role; metrics of an earlier run are forgotten."""
        self._metrics = _metrics_folder(self.data)
        (self.data / "logs").mkdir(parents=True, exist_ok=True)
        for name in self.roles:
            role = _Role(name)
            self._running.append(role)
            self._spawn(role)

    def watch(self, stop: threading.Event) -> None:
        """Restart what dies until `stop` is set."""
        while not stop.is_set():  # not `stop.wait`, whose lock a signal handler would wait for in vain
            time.sleep(0.1)
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
        shutil.rmtree(self._metrics, ignore_errors=True)
        return clean

    def pid(self, name: str) -> int | None:
        """The process id of a unit, while it runs."""
        for role in self._running:
            if role.name == name and role.process is not None and role.process.poll() is None:
                return role.process.pid
        return None

    def restarts(self) -> dict[str, int]:
        """How often each role was started again."""
        return {role.name: role.restarts for role in self._running}

    def _spawn(self, role: _Role) -> None:
        environment = {**os.environ, **self.extra, "PROMETHEUS_MULTIPROC_DIR": str(self._metrics)}
        environment["ALMENA_SUPERVISED"] = "1"
        environment["ALMENA_RESTARTED"] = "1" if role.restarts else ""
        kind, _, number = role.name.partition(".")
        command = [sys.executable, "-m", "almena", kind, "--config", str(self.config)]
        if number:
            command += ["--member", f"{socket.gethostname()}.{number}"]
        output = subprocess.PIPE if self.quiet else None
        role.started = time.monotonic()
        try:
            role.process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=None if output is None else subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:  # no memory, no processes left
            self._wait_before_next(role, f"could not be started: {error}")
            return
        if role.process.stdout is not None:
            file = self.data / "logs" / f"{role.name}.log"
            threading.Thread(
                target=_keep, args=(role.process.stdout, file), name=f"log-{role.name}", daemon=True
            ).start()

    def _bury(self, role: _Role) -> None:
        process = role.process
        if process is None:
            return
        self._wait_before_next(role, f"ended with code {process.returncode}")
        metrics.bury_dead(self._metrics)
        self._close(process)
        role.process = None

    @staticmethod
    def _wait_before_next(role: _Role, what: str) -> None:
        age = time.monotonic() - role.started
        role.pause = FIRST_PAUSE if age > _YOUNG else min(role.pause * 2, LONGEST_PAUSE)
        role.due = time.monotonic() + role.pause
        log.warning("%s %s; starting it again in %.1f s", role.name, what, role.pause)

    @staticmethod
    def _close(process: subprocess.Popen[bytes]) -> None:
        if process.stdin is not None:
            process.stdin.close()


def metrics_places(data: Path) -> tuple[Path, Path]:
    """Where the counters the roles share may lie: in memory, since a full disk kills who maps a file on it; or not."""
    name = hashlib.blake2b(os.fsencode(data.resolve()), digest_size=8).hexdigest()
    return Path("/dev/shm") / f"almena-{os.getuid()}-{name}", data / "metrics"  # noqa: S108


def _metrics_folder(data: Path) -> Path:
    """An empty folder for the counters the roles share."""
    for folder in metrics_places(data):
        shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir(parents=True, mode=0o700)
        except OSError:
            continue
        return folder
    raise AlmenaError(f"{data}: cannot be written to; the roles share their counters there")


class _Log(logging.handlers.RotatingFileHandler):
    """A file that is turned over before it grows large; a full disk costs its lines, never the role that says them."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Leave the line out."""


def _keep(output: IO[bytes], file: Path) -> None:
    """Write what a role says into its log."""
    handler = _Log(file, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8", delay=True)
    with output, contextlib.suppress(OSError), contextlib.closing(handler):
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
