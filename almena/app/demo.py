"""The demo: all roles on this machine, fed through the real collectors with a state's simulated traffic."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import shutil
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from almena.app import bus_of, configuration, store_of
from almena.app.operate import ROLES, only_one
from almena.app.terminal import Live, Report, waiting_password
from almena.app.texts import Texts
from almena.bus import Bus
from almena.config import Config
from almena.demo.play import Targets, live, once
from almena.demo.settings import Cluster, Ports, demo_config, new_tokens
from almena.drain import drain, end_time
from almena.errors import AlmenaError, UsageError
from almena.status import status
from almena.store import ALERTS, ALL, Query, Store
from almena.supervisor import Supervisor, units

READY_SECONDS = 60.0
"""How long the roles may take to answer."""

SETTLE_SECONDS = 300.0
"""How long everything sent may take to be worked off, in `--once`."""

SEARCHABLE = 1.5
"""Seconds after which Elasticsearch finds what another process has written."""

ONCE_LATENESS = "2h"
"""`--once` plays the last 45 minutes at once: nothing of that is late."""


def run(*, data: Path, port: int, seed: int, once: bool, cluster: Cluster | None = None) -> int:
    """Run the demo until Ctrl-C, or play everything once; returns the exit code."""
    if once:
        # What an earlier run left on servers is not to be counted again.
        fresh = None if cluster is None else replace(cluster, prefix=f"{cluster.prefix}-{secrets.token_hex(4)}")
        return _once(data / "once", seed, fresh)
    with installation(data, port, once=False, cluster=cluster) as (config, targets, supervisor):
        return _live(config, targets, supervisor, seed)


@contextlib.contextmanager
def installation(
    data: Path, port: int, *, once: bool, cluster: Cluster | None = None
) -> Iterator[tuple[Config, Targets, Supervisor]]:
    """The roles, running on a configuration of their own."""
    ports = Ports(console=_checked(port) if port else _free(), http=_free(), udp=_free(socket.SOCK_DGRAM), tcp=_free())
    data.mkdir(parents=True, exist_ok=True)
    tokens, folder = new_tokens(), data.resolve()
    nginx = folder / "nginx" / "access.log"
    nginx.parent.mkdir(exist_ok=True)
    nginx.touch()
    targets = Targets(
        udp=("127.0.0.1", ports.udp),
        tcp=("127.0.0.1", ports.tcp),
        nginx=nginx,
        http=f"http://127.0.0.1:{ports.http}/v1/events",
        tokens=tokens,
    )
    file = folder / "almena.toml"
    lateness = ONCE_LATENESS if once else "5s"
    file.touch(mode=0o600)
    text = demo_config(
        ports=ports, nginx=nginx, tokens=tokens, data=folder, lateness=lateness, expect=not once, cluster=cluster
    )
    file.write_text(text, "utf-8")
    config = configuration(file)
    logging.basicConfig(filename=folder / "demo.log", level=logging.INFO, force=True, format="%(asctime)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with only_one(config):
        supervisor = Supervisor(units(ROLES, config.workers.counts()), file, folder, quiet=True)
        supervisor.start()
        try:
            _await_ready(supervisor, ports, folder)
            yield config, targets, supervisor
        finally:
            clean = supervisor.stop()
            if not clean:
                print("almena: a role did not end in time; see " + str(folder / "logs"), file=sys.stderr)


def _live(config: Config, targets: Targets, supervisor: Supervisor, seed: int) -> int:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    failed: list[BaseException] = []

    async def play() -> None:
        finished = asyncio.Event()

        async def watch() -> None:
            while not stop.is_set():
                await asyncio.sleep(0.1)
            finished.set()

        async with asyncio.TaskGroup() as group:
            group.create_task(watch())
            await live(targets, seed, stop=finished)

    def feed() -> None:
        try:
            asyncio.run(play())
        except BaseException as error:
            failed.append(error)
            stop.set()

    feeder = threading.Thread(target=feed, name="simulation")
    feeder.start()
    with (
        closing(store_of(config)) as store,
        closing(bus_of(config)) as bus,
        Live(config, password=waiting_password(config, store), supervisor=supervisor) as screen,
    ):
        while not stop.wait(0.1):
            supervisor.tend()
            screen.update(lambda: status(store, bus, language=config.language), store)
    feeder.join()
    if failed:
        raise AlmenaError(f"the simulation ended: {failed[0]!r}; see {config.data}/logs")
    print(Texts(config.language)("stopped"))
    return 0


def _once(data: Path, seed: int, cluster: Cluster | None) -> int:
    """Play the past with every scene; 1 when a scene was missed or the sum does not hold."""
    shutil.rmtree(data, ignore_errors=True)
    began = time.monotonic()
    with installation(data, 0, once=True, cluster=cluster) as (config, targets, supervisor):
        stop = threading.Event()
        watcher = threading.Thread(target=supervisor.watch, args=(stop,))
        watcher.start()
        try:
            sent = asyncio.run(once(targets, seed))
            played = time.monotonic()
            found, alerts = _settled(config, sum(sent.records.values()))
        finally:
            stop.set()
            watcher.join()
    report = Report(sent=sent, status=found, alerts=alerts, seconds=(played - began, time.monotonic() - began))
    report.show(config.language)
    return 0 if report.ok else 1


def _settled(config: Config, sent: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Wait until everything sent is accounted for, end event time, and return status and alerts."""
    with closing(store_of(config)) as store, closing(bus_of(config)) as bus:
        deadline = time.monotonic() + SETTLE_SECONDS
        while _accounted(store, bus) < sent and time.monotonic() < deadline:
            time.sleep(0.2)
        end_time(bus)
        # What has no end within its time is missing from the report, which says so.
        drain(bus, SETTLE_SECONDS)
        if config.store.startswith("http"):
            time.sleep(SEARCHABLE)
        return status(store, bus, language=config.language), list(_alerts(store))


def _accounted(store: Store, bus: Bus) -> int:
    found = status(store, bus)
    return int(found["events"] + found["dead_letters"] + found["drops"])


def _alerts(store: Store) -> Iterator[dict[str, Any]]:
    cursor: str | None = None
    while True:
        page = store.search(Query(kind=ALERTS, scope=ALL, limit=500), cursor)
        yield from (item.document for item in page.items)
        cursor = page.cursor
        if cursor is None:
            return


def _await_ready(supervisor: Supervisor, ports: Ports, data: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    waiting = {f"http://127.0.0.1:{ports.console}/healthz", f"http://127.0.0.1:{ports.http}/healthz"}
    while waiting:
        supervisor.tend()
        waiting = {url for url in waiting if not _answers(url)}
        if waiting and time.monotonic() > deadline:
            raise AlmenaError(
                f"{', '.join(sorted(waiting))} did not answer within {READY_SECONDS:.0f} s; see {data}/logs"
            )
        time.sleep(0.05)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310 (our own address on loopback)
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _checked(port: int) -> int:
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise UsageError(f"port {port} on 127.0.0.1 is taken; `almena demo --port N` uses another") from None
    return port


def _free(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with closing(socket.socket(type=kind)) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
