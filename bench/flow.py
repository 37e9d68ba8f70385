"""The whole flow as processes on SQLite: the demo's traffic through its collectors, and OTRF with all rules by HTTP."""

from __future__ import annotations

import asyncio
import lzma
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
from corpora import CORPORA
from installation import Installation

from almena.app.demo import ONCE_LATENESS, installation
from almena.app.operate import ROLES
from almena.bus import open_bus
from almena.demo.play import once
from almena.drain import drain
from almena.status import status
from almena.store import open_store
from almena.supervisor import Supervisor
from bench.measure import show

_BATCH = 500


def memory(supervisor: Supervisor) -> str:
    """Highest resident memory of each role so far, MB."""
    found = []
    for role in ROLES:
        pid = supervisor.pid(role)
        text = Path(f"/proc/{pid}/status").read_text("utf-8") if pid else ""
        peak = next((line.split()[1] for line in text.splitlines() if line.startswith("VmHWM")), "0")
        found.append(f"{role} {int(peak) // 1024}")
    return ", ".join(found)


@contextmanager
def tended(supervisor: Supervisor) -> Iterator[None]:
    """The supervisor at work beside the block."""
    stop = threading.Event()
    thread = threading.Thread(target=supervisor.watch, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def main() -> None:
    """Both flows, each once: the run itself is long enough."""
    demo()
    otrf()


def demo() -> None:
    """Syslog, files and HTTP at once, as fast as the collectors take it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        installation(Path(folder), 0, once=True) as (config, targets, supervisor),
        tended(supervisor),
        closing(open_bus(config.bus)) as bus,
        closing(open_store(config.store)) as store,
    ):
        began = time.monotonic()
        sent = asyncio.run(once(targets, 1, rate=60))
        total = sum(sent.records.values())
        while (found := status(store, bus))["events"] + found["dead_letters"] + found["drops"] < total:
            time.sleep(0.1)
            assert time.monotonic() - began < 600
        drain(bus, 600)
        seconds = time.monotonic() - began
        show("flow: demo mix, socket to store, events", [total / seconds])
        print(f"  {total:,} in {seconds:.1f} s; lost by the kernel over UDP and counted: {found['drops']:,}")
        print(f"  peak memory, MB: {memory(supervisor)}   (lateness {ONCE_LATENESS}: all hits wait)", flush=True)


def otrf() -> None:
    """Real attacks posted by HTTP, through masking and all rules in ECS, to stored alerts."""
    rules, events = CORPORA / "sigmahq" / "rules-994da16.tar.xz", CORPORA / "otrf" / "events.ndjson.xz"
    if not rules.exists():
        print("flow: the corpora are not beside the repository; OTRF not measured")
        return
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(rules) as tar:
            tar.extractall(Path(folder) / "sigma", filter="data")
        place = Installation(Path(folder) / "i")
        text = place.file.read_text("utf-8").replace('parser = "app"', 'parser = "json"')
        place.file.write_text(f'rules = ["{folder}/sigma/rules"]\n{text}', "utf-8")
        with lzma.open(events) as file:
            lines = file.read().splitlines()
        with place.running():
            began = time.monotonic()
            for start in range(0, len(lines), _BATCH):
                place.post([msgspec.json.decode(line) for line in lines[start : start + _BATCH]], f"b{start}")
            sent = time.monotonic() - began
            found = place.settle(len(lines), end=False, seconds=900)
            seconds = time.monotonic() - began
            show("flow: OTRF with 3,132 rules, HTTP to store, events", [len(lines) / seconds])
            print(f"  {len(lines):,} in {seconds:.1f} s, taken in {sent:.1f} s, {found['alerts']:,} alerts")
            print(f"  peak memory, MB: {memory(place.supervisor)}", flush=True)
