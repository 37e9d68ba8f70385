"""A whole installation for tests: real roles as processes on a folder of its own, real sockets, real files."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec

from almena.app import bus_of, configuration, store_of
from almena.app.operate import ROLES
from almena.config import Config
from almena.drain import drain, end_time
from almena.status import status
from almena.store import ALERTS, ALL, Query
from almena.supervisor import Supervisor

TOKEN = "0123456789abcdef0123456789abcdef"

TOML = """
bus = "{bus}"
store = "{store}"
data = "{data}"
partitions = {partitions}

[agencies.sfa]
name = "Secretaría de Finanzas y Administración"
[agencies.cdo]
name = "Centro Digital de Operaciones"

[collectors.apps]
type = "http"
listen = "127.0.0.1:{http}"
append_timeout = "{patience}"
[collectors.apps.tokens.identidad]
agency = "sfa"
token = "{token}"
parser = "app"
lateness = "{lateness}"

[collectors.servidores]
type = "file"
paths = ["{folder}/in/*.log"]
agency = "cdo"
parser = "syslog"
lateness = "{lateness}"

[console]
listen = "127.0.0.1:{console}"
{more}
"""


CLUSTER = """
[kafka]
prefix = "{prefix}"
[elasticsearch]
prefix = "{prefix}"
replicas = 0
"""


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Installation:
    """One installation under `folder`; `start` it, send to it, and ask it.

    `data` is the folder of bus, store and all that is written, `patience` how long a request waits to be durable.
    `bus` and `store` are URLs of servers instead of files, `prefix` what their topics and indices are called.
    """

    def __init__(
        self,
        folder: Path,
        *,
        partitions: int = 2,
        more: str = "",
        data: str = ".",
        patience: str = "30s",
        lateness: str = "1h",
        roles: Sequence[str] = ROLES,
        bus: str = "",
        store: str = "",
        prefix: str = "",
    ) -> None:
        self.folder = folder
        self.data = folder / data
        self.http, self.console = free_port(), free_port()
        (folder / "in").mkdir(parents=True)
        self.log = folder / "in" / "auth.log"
        self.log.touch()
        self.file = folder / "almena.toml"
        self.file.write_text(
            TOML.format(
                partitions=partitions,
                http=self.http,
                console=self.console,
                token=TOKEN,
                folder=folder,
                more=f"{CLUSTER.format(prefix=prefix)}{more}" if prefix else more,
                data=data,
                bus=bus or f"sqlite:{data}/bus.sqlite",
                store=store or f"sqlite:{data}/store.sqlite",
                patience=patience,
                lateness=lateness,
            )
        )
        self.supervisor = Supervisor(roles, self.file, self.data, quiet=True)
        self.stop = threading.Event()
        self.restarts: dict[str, int] = {}
        """How often each unit was started again in the last run."""
        self.acknowledged = 0
        """Batches that were acknowledged so far."""
        self._watch: threading.Thread | None = None

    @property
    def config(self) -> Config:
        return configuration(self.file)

    @contextmanager
    def running(self) -> Iterator[Installation]:
        self.supervisor.start()
        self.stop.clear()
        self._watch = threading.Thread(target=self.supervisor.watch, args=(self.stop,))
        self._watch.start()
        try:
            self.wait_for(self.answers, "the console and the HTTP source to answer", 60)
            yield self
        finally:
            self.stop.set()
            self._watch.join()
            self.restarts = self.supervisor.restarts()
            self.clean = self.supervisor.stop()

    def answers(self) -> bool:
        try:
            ready = httpx.get(f"http://127.0.0.1:{self.console}/healthz", timeout=2).status_code == 200
            return ready and httpx.get(f"http://127.0.0.1:{self.http}/healthz", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def wait_for(self, condition: Any, what: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"waited {seconds} s for {what}\n{self.tail()}"
            time.sleep(0.1)

    def tail(self) -> str:
        """The last lines of every role's log."""
        paths = sorted((self.data / "logs").glob("*"))
        return "\n".join(
            f"== {path.name}\n" + "\n".join(path.read_text("utf-8", "replace").splitlines()[-15:]) for path in paths
        )

    def post(self, events: list[dict[str, Any]], batch: str, *, patience: float = 60) -> httpx.Response:
        """Send a batch until it is acknowledged, like a client that does not give up."""
        deadline = time.monotonic() + patience
        while True:
            answer = self.try_to_post(events, batch)
            if answer is not None:
                if answer.status_code == 200:
                    self.acknowledged += 1
                    return answer
                assert answer.status_code in (429, 503), answer.text
            assert time.monotonic() < deadline, f"batch {batch} was never acknowledged\n{self.tail()}"
            time.sleep(0.05)

    def try_to_post(self, events: list[dict[str, Any]], batch: str) -> httpx.Response | None:
        """Send a batch once; the answer, when there is one."""
        body = b"\n".join(msgspec.json.encode(event) for event in events)
        headers = {
            "Authorization": f"Bearer {TOKEN}",
            "Content-Type": "application/x-ndjson",
            "Idempotency-Key": batch,
        }
        try:
            return httpx.post(f"http://127.0.0.1:{self.http}/v1/events", content=body, headers=headers, timeout=10)
        except httpx.HTTPError:
            return None

    def settle(self, events: int, *, end: bool = True, seconds: float = 120) -> dict[str, Any]:
        """Wait until `events` are stored or dead and nothing waits to be read; `end` moves event time to its end."""
        with closing(store_of(self.config)) as store:
            self.wait_for(lambda: total(status(store, None)) >= events, f"{events} events to be seen", seconds)
            with closing(bus_of(self.config)) as bus:
                if end:
                    end_time(bus)
                assert drain(bus, seconds), self.tail()
                self.refresh()
                return status(store, bus)

    def refresh(self) -> None:
        """Let this process see at once what others wrote, which an Elasticsearch node shows within a second."""
        config = self.config
        if config.store.startswith("http"):
            httpx.post(f"{config.store}/{config.elasticsearch.prefix}-*/_refresh", timeout=30).raise_for_status()

    def status(self) -> dict[str, Any]:
        bus, store = bus_of(self.config), store_of(self.config)
        try:
            return status(store, bus)
        finally:
            bus.close()
            store.close()

    def log_of(self, unit: str) -> str:
        """What a unit has said."""
        path = self.data / "logs" / f"{unit}.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def alerts(self) -> list[dict[str, Any]]:
        store = store_of(self.config)
        try:
            found, cursor = [], None
            while True:
                page = store.search(Query(kind=ALERTS, scope=ALL, limit=500), cursor)
                found += [item.document for item in page.items]
                cursor = page.cursor
                if cursor is None:
                    return found
        finally:
            store.close()


def total(found: dict[str, Any]) -> int:
    """How many events a status has seen, whatever became of them."""
    return int(found["events"] + found["dead_letters"] + found["drops"])


class Worker:
    """One member of a role that shares its work, as a unit that is started again whenever it ends."""

    def __init__(
        self, place: Installation, role: str, member: str, environment: Mapping[str, str] | None = None
    ) -> None:
        """`member` is empty for a role that shares nothing; `environment` is added to this process's own."""
        self._environment = {**os.environ, **(environment or {})}
        self._command = [sys.executable, "-m", "almena", role, "--config", str(place.file)]
        self._command += ["--member", member] if member else []
        self._log = place.folder / f"{role}-{member or 'alone'}.log"
        self._wanted = True
        self._turn = threading.Lock()
        self.ends: list[int] = []
        self.process = self._start()
        self._thread = threading.Thread(target=self._tend)
        self._thread.start()

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def said(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def end(self, number: int = signal.SIGTERM) -> None:
        """End for good."""
        with self._turn:
            self._wanted = False
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(number)
        self._thread.join()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(self._command, stdout=log, stderr=log, env=self._environment)

    def _tend(self) -> None:
        while True:
            self.ends.append(self.process.wait())
            time.sleep(0.2)
            with self._turn:
                if not self._wanted:
                    return
                self.process = self._start()
