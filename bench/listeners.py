"""Syslog listeners under load: offered, received, lost, over UDP and TCP: `python -m bench listeners`.

The sender is another process. Behind the listener is once a sink that only counts, and once the whole intake: parser,
masking and durable appends to a bus in a file. `--rounds 1 --seconds 1` is a look; three rounds of full length are
written to docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import platform
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec

from almena import metrics
from almena.bus import open_bus
from almena.masking import Masker
from almena.sealing import Secret
from bench import engine_report
from bench.cluster_report import FEWEST_ROUNDS, Section, Table, markdown, say, span
from bench.correlation import PAGE
from collectors.base import Raw, Sink, Source
from collectors.intake import Intake
from collectors.parsers import PARSERS
from collectors.syslog import Syslog

BEGIN = "<!-- figures: `make bench-listeners` writes from here -->"

RATES = (10_000, 50_000, 100_000)
SECONDS = 4.0

_QUIET = 1.0  # seconds without a message after which no more is expected
_HEADER = [
    "over",
    "behind it",
    "asked, /s",
    "offered, /s",
    "received, /s",
    "dropped by the kernel",
    "dropped for quota",
    "unaccounted",
    "µs of the processor each",
]


class Run(msgspec.Struct):
    """One round at one rate."""

    sent: int
    seconds: float
    received: int
    took: float
    """Seconds until the last was received."""
    cpu: float
    drops: dict[str, int]

    @property
    def unaccounted(self) -> int:
        """What was sent, and neither received nor counted as lost: nought, or something is wrong."""
        return self.sent - self.received - sum(self.drops.values())


class Counting:
    """A sink that takes everything, counts, and remembers when it took the last; hands on to another, if any."""

    def __init__(self, sink: Sink | None = None) -> None:
        self.received = 0
        self.last = time.perf_counter()
        self.drops: Counter[str] = Counter()
        self._sink = sink

    async def append(self, source: Source, records: Sequence[Raw]) -> int:
        """Count once it is taken."""
        dead = await self._sink.append(source, records) if self._sink else 0
        self.received += len(records)
        self.last = time.perf_counter()
        return dead

    def dropped(self, source: Source, reason: str, count: int) -> None:
        """Count what is lost."""
        self.drops[reason] += count

    def filled(self, source: Source, share: float, *, lost: int = 0, sender: str = "") -> None:
        """Floods are not what is measured."""

    def state(self, source: Source | None = None) -> Literal["open", "full", "down"]:
        """Always ready."""
        return "open"


@asynccontextmanager
async def sink_of(behind: str, folder: Path) -> AsyncIterator[Counting]:
    """`nothing`, or `the intake` with a bus in `folder`."""
    if behind == "nothing":
        yield Counting()
        return
    secret = Secret(bytes(32))
    bus = open_bus(f"sqlite:{folder / 'bus.sqlite'}", partitions=4)
    try:
        async with Intake(bus, parsers=PARSERS, mask=Masker(secret.derive("masking")).mask, seal=secret.seal) as sink:
            yield Counting(sink)
    finally:
        bus.close()


async def measure(transport: Any, behind: str, rate: int, seconds: float) -> Run:
    """One round."""
    collector = Syslog(agency="bench", listen="127.0.0.1:0", transport=transport)
    with tempfile.TemporaryDirectory() as folder:
        async with sink_of(behind, Path(folder)) as sink:
            task = asyncio.ensure_future(collector.run("bench", sink))
            while not collector.address:
                await asyncio.sleep(0.01)
            cpu, began = time.process_time(), time.perf_counter()
            said = await _sender(transport, collector.address, rate, seconds)
            while time.perf_counter() - max(sink.last, began) < _QUIET:
                await asyncio.sleep(0.05)
            spent, took = time.process_time() - cpu, sink.last - began
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
    metrics.EVENTS_RECEIVED.clear()
    return Run(said["sent"], said["seconds"], sink.received, took, spent, {**sink.drops})


async def _sender(transport: str, address: str, rate: int, seconds: float) -> dict[str, Any]:
    host, _, port = address.rpartition(":")
    command = [sys.executable, "-m", "bench.listeners_sender", transport, host, port, str(rate), str(seconds)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    said: dict[str, Any] = msgspec.json.decode(out)
    return said


def row(transport: str, behind: str, rate: int, runs: Sequence[Run]) -> list[str]:
    """The cells of `_HEADER`."""

    def share(reason: str) -> str:
        shares = [100 * run.drops.get(reason, 0) / run.sent for run in runs]
        return f"{statistics.median(shares):.1f} % ({min(shares):.1f}–{max(shares):.1f})" if any(shares) else "none"

    return [
        transport.upper(),
        behind,
        f"{rate:,}",
        span([run.sent / run.seconds for run in runs]),
        span([run.received / max(run.took, run.seconds) for run in runs]),
        share("kernel"),
        share("quota"),
        str(max(abs(run.unaccounted) for run in runs)),
        span([run.cpu / max(run.received, 1) * 1e6 for run in runs], 1),
    ]


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m bench listeners", description=__doc__)
    parser.add_argument("--rounds", type=int, default=FEWEST_ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> None:
    """Measure, print, and write it down where it is whole."""
    asked = arguments(given)
    load = os.getloadavg()[0]
    rows = []
    say(_HEADER)
    for transport in ("udp", "tcp"):
        for behind in ("nothing", "the intake"):
            for rate in RATES:
                runs = [asyncio.run(measure(transport, behind, rate, asked.seconds)) for _ in range(asked.rounds)]
                rows.append(row(transport, behind, rate, runs))
                say(rows[-1])
    section = Section("Syslog over UDP and TCP", [Table(_HEADER, rows)], asked.rounds, (load + os.getloadavg()[0]) / 2)
    if asked.rounds < FEWEST_ROUNDS or asked.seconds < SECONDS:
        print(f"not written: that takes {FEWEST_ROUNDS} rounds of {SECONDS:g} s")
        return
    head = (
        f"Machine: {engine_report.machine()}; the sender shares its cores, and other work ran beside. Python"
        f" {platform.python_version()}. Medians; in brackets the lowest and the highest round."
    )
    engine_report.write(PAGE, f"{head}\n\n{markdown(section)}\n", BEGIN)
    print(f"written to docs/{PAGE.name}")


if __name__ == "__main__":
    main()
