"""From a line on a TCP socket to the alert in the store, while the demo's traffic flows."""

from __future__ import annotations

import asyncio
import socket
import tempfile
import threading
import time
from pathlib import Path

from almena.app.demo import installation
from almena.clock import format_time, now
from almena.demo.play import live
from almena.store import ALERTS, ALL, Filter, Query, open_store
from bench.flow import tended
from bench.measure import percentiles

_SAMPLES = 100
_PAUSE = 0.15
_PATIENCE = 20.0


def main() -> None:
    """A root login over SSH that must alert, a hundred times."""
    with (
        tempfile.TemporaryDirectory() as folder,
        installation(Path(folder), 0, once=False) as (config, targets, supervisor),
    ):
        store = open_store(config.store)
        delays = []
        with tended(supervisor), socket.create_connection(targets.tcp) as link:
            stop = _traffic(targets)
            time.sleep(3)
            for number in range(_SAMPLES):
                host = f"medida{number}"
                said = f"Accepted password for root from 198.51.100.{number % 250 + 1} port 50000 ssh2"
                began = time.monotonic()
                link.sendall(f"<38>1 {format_time(now())} {host} sshd 100 - - {said}\n".encode())
                query = Query(kind=ALERTS, scope=ALL, filters=(Filter("host.name", "in", (host,)),))
                while not store.count(query) and time.monotonic() - began < _PATIENCE:
                    time.sleep(0.002)
                delays.append(time.monotonic() - began)
                time.sleep(_PAUSE)
            stop.set()
        store.close()
    percentiles("latency: TCP line to stored alert, single event", delays)


def _traffic(targets: object) -> threading.Event:
    """The demo's traffic beside the samples, until the event is set."""
    stop = threading.Event()

    async def play() -> None:
        finished = asyncio.Event()

        async def watch() -> None:
            while not stop.is_set():
                await asyncio.sleep(0.1)
            finished.set()

        async with asyncio.TaskGroup() as group:
            group.create_task(watch())
            await live(targets, 1, stop=finished)  # type: ignore[arg-type]

    threading.Thread(target=lambda: asyncio.run(play()), daemon=True).start()
    return stop
