"""Playing the simulation to real collectors: live at the clock's pace, or a stretch of the past as fast as it goes."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from almena.clock import MINUTE, SECOND, now
from almena.demo.scenes import SCENES
from almena.demo.senders import Http, Log, Sender, Tcp, Udp
from almena.demo.settings import HTTP_SOURCES, Ports, source_name
from almena.demo.simulation import Played, Simulation, Timed

_WAITING = 5_000  # records that may wait for one sender
_BATCH = 500
_TICK = 0.05  # seconds between looks at the clock in live play
_LINGER = 0.1  # seconds a sender waits for company before it sends


@dataclass(frozen=True, kw_only=True)
class Targets:
    """Where the collectors of the demo listen."""

    udp: tuple[str, int]
    """Host and port of syslog over UDP."""
    tcp: tuple[str, int]
    """Host and port of syslog over TCP."""
    nginx: Path
    """The access log that is tailed."""
    http: str
    """URL that takes JSON lines by POST."""
    tokens: Mapping[str, str]
    """The bearer token of each of `HTTP_SOURCES`."""

    @classmethod
    def local(cls, ports: Ports, nginx: Path, tokens: Mapping[str, str]) -> Targets:
        """The collectors that `settings.demo_config` configures with the same arguments."""
        return cls(
            udp=("127.0.0.1", ports.udp),
            tcp=("127.0.0.1", ports.tcp),
            nginx=nginx,
            http=f"http://127.0.0.1:{ports.http}/v1/events",
            tokens=tokens,
        )


@dataclass(kw_only=True)
class Sent:
    """What was sent, to compare with what arrived."""

    records: Counter[str] = field(default_factory=Counter)
    """Records by source (as `settings.source_name` calls it), unreadable ones included."""
    broken: Counter[str] = field(default_factory=Counter)
    """Records by source that must become dead letters."""
    ids: dict[str, list[str]] = field(default_factory=dict)
    """The ids inside the records, by source, for the formats that have one."""
    played: list[Played] = field(default_factory=list)
    """Scenes that were played, with the rules that must alert and the entity they must name."""

    def count(self, record: Timed) -> None:
        """Count one record."""
        source = source_name(record.source)
        self.records[source] += 1
        if record.broken:
            self.broken[source] += 1
        elif record.id:
            self.ids.setdefault(source, []).append(record.id)

    @property
    def expected_rules(self) -> set[str]:
        """The ids of all rules and detectors that must alert."""
        return {rule for played in self.played for rule in played.scene.rules}


async def live(
    targets: Targets, seed: int, *, stop: asyncio.Event, rate: float = 60.0, start: int | None = None
) -> Sent:
    """Ordinary traffic at about `rate` records a second and the scenes in a loop, until `stop` is set.

    Raises an ExceptionGroup of httpx.HTTPStatusError when a collector refuses a token.
    """
    simulation = Simulation(seed=seed, start=now() if start is None else start, rate=rate)
    return await _play(simulation, Log(targets.nginx, rotate=20_000), targets, stop)


async def once(
    targets: Targets, seed: int, *, minutes: float = 45.0, rate: float = 8.0, end: int | None = None
) -> Sent:
    """The `minutes` before `end` (now when None) with every scene once, as fast as the collectors take them.

    `rate` is in records per simulated second; every scene fits in when `minutes` is 10 or more. Raises as `live` does.
    """
    end = now() if end is None else end
    simulation = past(seed, minutes=minutes, rate=rate, end=end)
    # One rotation only: in this hurry a second one could come before whoever tails the file has seen the first.
    log = Log(targets.nginx, rotate=max(1, round(minutes * 60 * rate / 5)), times=1)
    return await _play(simulation, log, targets, None)


def past(seed: int, *, minutes: float, rate: float, end: int) -> Simulation:
    """The simulation of `once`: scenes spread over the last two thirds, each played once."""
    span = minutes * 60
    gap = span * 0.62 / len(SCENES)
    return Simulation(
        seed=seed,
        start=end - round(minutes * MINUTE),
        seconds=span,
        rate=rate,
        first=span / 3,
        gap=gap,
        rush=gap,
        loop=False,
        garbage=span / 7,
    )


async def _play(simulation: Simulation, log: Log, targets: Targets, stop: asyncio.Event | None) -> Sent:
    sent = Sent()
    outlets = {name: Outlet(sender) for name, sender in _senders(log, targets).items()}
    async with asyncio.TaskGroup() as group:
        for outlet in outlets.values():
            group.create_task(outlet.run())
        records = iter(simulation)
        if stop is None:
            await _hand_out(records, outlets, sent)
        else:
            await _paced(records, outlets, sent, stop)
        for outlet in outlets.values():
            await outlet.put(None)
    sent.played = list(simulation.played)
    return sent


def _senders(log: Log, targets: Targets) -> dict[str, Sender]:
    senders: dict[str, Sender] = {
        "servers-udp": Udp(*targets.udp),
        "servers-tcp": Tcp(*targets.tcp),
        "portal-nginx": log,
    }
    run = secrets.token_hex(8)
    for name in HTTP_SOURCES:
        senders[name] = Http(targets.http, targets.tokens[name], f"{run}-{name}")
    return senders


async def _hand_out(records: Iterable[Timed], outlets: dict[str, Outlet], sent: Sent) -> None:
    for record in records:
        sent.count(record)
        await outlets[record.source].put(record.data)


async def _paced(records: Iterable[Timed], outlets: dict[str, Outlet], sent: Sent, stop: asyncio.Event) -> None:
    for record in records:
        while (early := record.time - now()) > 0 and not stop.is_set():
            await asyncio.sleep(min(max(early / SECOND, _TICK), 1.0))
        if stop.is_set():
            return
        sent.count(record)
        await outlets[record.source].put(record.data)


class Outlet:
    """One sender with the records that wait for it; a slow one does not hold the others up until many wait."""

    def __init__(self, sender: Sender) -> None:
        """Hands on to `sender` whatever is put."""
        self._sender = sender
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue(_WAITING)

    async def put(self, record: bytes | None) -> None:
        """Let a record wait for its turn; None says that it was the last."""
        await self._waiting.put(record)

    async def run(self) -> None:
        """Send until the last record, then close."""
        try:
            more = True
            while more:
                batch = [await self._waiting.get()]
                await asyncio.sleep(_LINGER)
                while len(batch) < _BATCH and not self._waiting.empty():
                    batch.append(self._waiting.get_nowait())
                more = None not in batch
                records = [record for record in batch if record is not None]
                if records:
                    await self._sender.send(records)
        finally:
            await self._sender.close()
