"""A development server in a folder of its own: started, stopped, killed and brought back with its data."""

from __future__ import annotations

import fcntl
import os
import secrets
import signal
import socket
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from contextlib import closing
from pathlib import Path

from deploy.dev.jars import HERE, StackError, java

QUICK = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]
"""For tests: half the processor time of a start, a third less speed when warm."""
STEADY = ["-XX:+UseSerialGC"]
"""For measurements and longer use."""


class Server(ABC):
    """One JVM and its folder, which holds all that a start needs: any process may start it again or end it."""

    heap: str
    """The most memory for Java objects."""
    patience: float = 60
    """Seconds a start may take on a busy machine."""

    def __init__(self, folder: Path, jvm: list[str] | None = None, tie: Path | None = None) -> None:
        """`tie`: a FIFO; the server ends when nobody holds it open for writing any more."""
        self.folder = folder
        self.jvm = STEADY if jvm is None else jvm
        self.tie = tie

    @property
    def name(self) -> str:
        """Its folder's name."""
        return self.folder.name

    @property
    def port(self) -> int:
        """Its first port."""
        return int((self.folder / "port").read_text("utf-8"))

    @property
    def log(self) -> Path:
        """All that the server said since it was made."""
        return self.folder / "server.log"

    @property
    @abstractmethod
    def address(self) -> str:
        """Where clients find it."""

    @abstractmethod
    def command(self) -> list[str]:
        """What follows `java` and its options."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it serves a real request now."""

    def start(self) -> None:
        """Start and wait until it answers; raises StackError."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Start without waiting; raises StackError where it runs already."""
        if self.alive():
            raise StackError(f"{self.name} runs already, as process {self.pid()}")
        self.folder.mkdir(parents=True, exist_ok=True)
        options = [f"-Xmx{self.heap}", *self.jvm, f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}"]
        # The lock passes to the server and is held for as long as it lives, whoever is its parent.
        with (self.folder / "pid").open("w") as pid, self.log.open("ab") as log:
            fcntl.flock(pid, fcntl.LOCK_EX | fcntl.LOCK_NB)
            stdin = self._stdin()
            try:
                process = subprocess.Popen(
                    [java(), *options, *self.command(), *(["tied"] if self.tie else [])],
                    cwd=self.folder,
                    stdin=stdin,
                    stdout=log,
                    stderr=log,
                    pass_fds=[pid.fileno()],
                    start_new_session=True,
                )
            finally:
                os.close(stdin)
            pid.write(str(process.pid))
        # Buried whoever ends it and whenever.
        threading.Thread(target=process.wait, daemon=True).start()

    def wait(self) -> None:
        """Wait until it answers; raises StackError with the log's end when it dies or takes too long."""
        deadline = time.monotonic() + self.patience
        while not self.answers():
            if not self.alive() or time.monotonic() > deadline:
                self.kill()
                said = self.log.read_text("utf-8", "replace")[-3000:]
                raise StackError(f"{self.name} did not start; the end of {self.log}:\n{said}")
            time.sleep(0.1)

    def stop(self, seconds: float = 30) -> None:
        """Ask it to end in good order and wait; kill it when it takes longer."""
        self.signal(signal.SIGTERM)
        if not self._gone(seconds):
            self.kill()

    def kill(self) -> None:
        """End it as a power failure would."""
        self.signal(signal.SIGKILL)
        if not self._gone(30):
            raise StackError(f"{self.name}: process {self.pid()} does not end")

    def pause(self) -> None:
        """Let it hang: connections stay, nothing answers."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after `pause`."""
        self.signal(signal.SIGCONT)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal if it runs."""
        if self.alive():
            os.kill(self.pid(), number)

    def pid(self) -> int:
        """The process of the last start; 0 when there was none."""
        try:
            return int((self.folder / "pid").read_text("utf-8") or 0)
        except FileNotFoundError:
            return 0

    def alive(self) -> bool:
        """Whether the process runs, hanging or not."""
        try:
            with (self.folder / "pid").open() as pid:
                fcntl.flock(pid, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def _gone(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def _stdin(self) -> int:
        if self.tie is None:
            return os.open(os.devnull, os.O_RDONLY)
        # Opening must not wait where the holder is gone; reading must.
        stdin = os.open(self.tie, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(stdin, True)
        return stdin


def free_ports(count: int) -> int:
    """The first of `count` free ports in a row, below those that the system gives to clients."""
    for _ in range(1000):
        first = 20_000 + secrets.randbelow(12_000)
        if all(is_free(port) for port in range(first, first + count)):
            return first
    raise StackError("no free ports between 20000 and 32000")


def is_free(port: int) -> bool:
    """Whether a server could listen there."""
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
