"""The whole product on the cluster: end to end, what each end of it takes alone, and a peer's daemon beside."""

from __future__ import annotations

import asyncio
import os
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from cluster import UNITS, clustered
from corpora import CORPORA
from installation import Installation

from almena.app import bus_of, store_of
from almena.app.demo import installation
from almena.bus import EVENTS, Position, Record
from almena.bus.kafka import KafkaBus
from almena.demo.play import once
from almena.demo.settings import Cluster
from almena.drain import drain
from almena.status import status
from almena.supervisor import Supervisor
from almena.traffic import READERS
from bench import cluster_peer as peer
from bench.cluster_peer import Fed, posts
from bench.cluster_place import PARTITIONS, Place, spent
from bench.cluster_report import Section, Table, say, span
from bench.flow import tended
from bench.peer import PeerError

ONE = tuple(unit for unit in UNITS if not unit.endswith(".2"))
TWO = UNITS
WORKERS: Mapping[int, tuple[str, ...]] = {1: ONE, 2: TWO}
"""The units by how many detectors and correlators there are."""

_RATE = 30
_PATIENCE = 600.0
_PAGE = 5_000


class Run:
    """One run of a flow: events, seconds by the clock, what each process spent, and how many alerts."""

    def __init__(self, events: int, wall: float, cpu: Mapping[str, float], alerts: int = 0) -> None:
        self.events, self.wall, self.cpu, self.alerts = events, wall, cpu, alerts

    @property
    def rate(self) -> float:
        """Events per second by the clock."""
        return self.events / self.wall


class _Spending:
    """What the processes of a run spend from now on."""

    def __init__(self, supervisor: Supervisor, units: Sequence[str], place: Place) -> None:
        self._pids = {unit: pid for unit in units if (pid := supervisor.pid(unit)) is not None} | place.servers()
        self._before, self._began, self._own = spent(self._pids), time.monotonic(), time.process_time()

    def run(self, events: int, alerts: int = 0) -> Run:
        """The run that ends now."""
        wall = time.monotonic() - self._began
        cpu: dict[str, float] = {}
        for name, seconds in spent(self._pids).items():
            role = name.partition(".")[0]
            cpu[role] = cpu.get(role, 0.0) + seconds - self._before[name]
        return Run(events, wall, cpu | {"sender": time.process_time() - self._own}, alerts)


@contextmanager
def sigma() -> Iterator[Path]:
    """The folder of SigmaHQ's rules."""
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(CORPORA / "sigmahq" / "rules-994da16.tar.xz") as tar:
            tar.extractall(Path(folder), filter="data")
        yield Path(folder) / "rules"


@contextmanager
def _made(place: Place, rules: Path | None, units: Sequence[str]) -> Iterator[Installation]:
    """An installation that takes OTRF by HTTP, not running."""
    with (
        tempfile.TemporaryDirectory() as folder,
        clustered(Path(folder) / "i", place.kafka, place.elasticsearch, roles=units, partitions=PARTITIONS) as made,
    ):
        text = made.file.read_text("utf-8").replace('parser = "app"', 'parser = "json"')
        made.file.write_text(f'rules = ["{rules}"]\n{text}' if rules else text, "utf-8")
        try:
            yield made
        finally:
            place.forget(made.config.kafka.prefix)


@contextmanager
def _bus(made: Installation) -> Iterator[KafkaBus]:
    bus = bus_of(made.config, f"bench-{os.getpid()}")
    assert isinstance(bus, KafkaBus)
    try:
        yield bus
    finally:
        bus.close()


def _joined(bus: KafkaBus, units: Sequence[str]) -> None:
    """Wait until every unit is a member of the groups of its role, and all partitions are shared out."""
    for topic, role in READERS.items():
        wanted = sum(unit.partition(".")[0] == role for unit in units)
        _until(lambda t=topic, r=role, n=wanted: len(bus.client.members(bus.group(t, r))) >= n)  # type: ignore[misc]
    time.sleep(4)


def _until(condition: Callable[[], object], pause: float = 0.2) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited for {_PATIENCE:.0f} s in vain")
        time.sleep(pause)


def through(place: Place, rules: Path, bodies: Sequence[Fed], units: Sequence[str]) -> Run:
    """OTRF by HTTP until every alert is stored, all roles at work together."""
    with _made(place, rules, units) as made, made.running(), _bus(made) as bus:
        _joined(bus, units)
        spending = _Spending(made.supervisor, units, place)
        peer.post_ours(made.http, bodies)
        if not drain(bus, _PATIENCE):
            raise RuntimeError("not all events were worked off")
        found = spending.run(sum(each.events for each in bodies))
        made.refresh()
        return Run(found.events, found.wall, found.cpu, int(made.status()["alerts"]))


def taken(place: Place, bodies: Sequence[Fed]) -> tuple[Run, list[Record]]:
    """OTRF by HTTP until it is durable, with nobody to read it; and what then lies on the bus."""
    units = ("collect", "console")
    with _made(place, None, units) as made, made.running(), _bus(made) as bus:
        spending = _Spending(made.supervisor, units, place)
        peer.post_ours(made.http, bodies)
        run = spending.run(sum(each.events for each in bodies))
        return run, [record for number in range(PARTITIONS) for record in _lying(bus, number)]


def _lying(bus: KafkaBus, partition: int) -> Iterator[Record]:
    offset = 0
    while page := bus.read(Position(EVENTS, partition, offset), _PAGE):
        offset = page[-1].offset + 1
        yield from (Record(each.key, each.value, each.headers, partition) for each in page if each.value)


def worked_off(place: Place, rules: Path, records: Sequence[Record], units: Sequence[str]) -> Run:
    """Parsed events that are all there within a moment, until every alert is stored; the collector rests."""
    with _made(place, rules, units) as made, made.running(), _bus(made) as bus:
        _joined(bus, units)
        spending = _Spending(made.supervisor, units, place)
        for start in range(0, len(records), _PAGE):
            bus.append(EVENTS, records[start : start + _PAGE])
        if not drain(bus, _PATIENCE):
            raise RuntimeError("not all events were worked off")
        return spending.run(len(records))


def demo(place: Place, workers: int) -> Run:
    """The demo's mix through all its collectors, as fast as they take it, until every alert is stored."""
    cluster = Cluster(bus=f"kafka://{place.kafka}", store=place.elasticsearch, prefix=place.name(), workers=workers)
    with (
        tempfile.TemporaryDirectory() as folder,
        installation(Path(folder), 0, once=True, cluster=cluster) as (config, targets, supervisor),
        tended(supervisor),
    ):
        store, bus = store_of(config), bus_of(config, f"bench-{os.getpid()}")
        assert isinstance(bus, KafkaBus)
        try:
            _joined(bus, WORKERS[workers])
            spending = _Spending(supervisor, WORKERS[workers], place)
            sent = asyncio.run(once(targets, 1, rate=_RATE))
            total = sum(sent.records.values())

            def accounted() -> bool:
                found = status(store, None)
                return bool(found["events"] + found["dead_letters"] + found["drops"] >= total)

            _until(accounted)
            drain(bus, _PATIENCE)
            return spending.run(total, int(status(store, None)["alerts"]))
        finally:
            bus.close()
            store.close()


def otrf(place: Place, lines: Sequence[bytes], rounds: int, scale: float) -> Section:
    """OTRF with all rules of SigmaHQ, end to end and by halves, with one and two detectors, and the peer's daemon."""
    bodies = posts(lines[: max(1, int(len(lines) * scale))])
    runs: dict[str, list[Run]] = {}
    why = ""
    with sigma() as rules:
        for _ in range(rounds):
            found, records = taken(place, bodies)
            _note(runs, "taken in, nobody reads", found)
            for workers, units in WORKERS.items():
                _note(runs, f"worked off, {_so_many(workers)}", worked_off(place, rules, records, units))
            del records
            for workers, units in WORKERS.items():
                _note(runs, f"end to end, {_so_many(workers)}", through(place, rules, bodies, units))
            try:
                if not why:
                    wall, cpu, matches = peer.daemon(rules, bodies)
                    _note(runs, PEER, Run(sum(each.events for each in bodies), wall, {"the peer": cpu}, matches))
            except PeerError as error:
                why = f"The peer was not measured: {error}"
    return Section("OTRF with 3,132 rules, by HTTP", [speeds(runs), spending(runs), *_notes(why)], rounds)


PEER = "the peer's daemon, HTTP to a file"


def mix(place: Place, lines: Sequence[bytes], rounds: int, scale: float) -> Section:
    """The demo's mix with the project's own rules and models, end to end, with one and two detectors."""
    runs: dict[str, list[Run]] = {}
    for _ in range(rounds):
        for workers in WORKERS:
            _note(runs, f"end to end, {_so_many(workers)}", demo(place, workers))
    return Section("The demo's mix, through all its collectors", [speeds(runs), spending(runs)], rounds)


def _notes(why: str) -> list[Table]:
    return [Table([], [], [why])] if why else []


def _so_many(workers: int) -> str:
    return "1 detector and correlator" if workers == 1 else f"{workers} detectors and correlators"


def _note(runs: dict[str, list[Run]], what: str, run: Run) -> None:
    runs.setdefault(what, []).append(run)
    spent_most = ", ".join(f"{name} {seconds:.1f}" for name, seconds in run.cpu.items() if seconds >= 0.1)
    say([what, f"{run.events:,} events in {run.wall:.1f} s, {run.rate:,.0f}/s, {run.alerts:,} alerts", spent_most])


def speeds(runs: Mapping[str, Sequence[Run]]) -> Table:
    """Events per second, and where the peer ran in the same rounds how many times as many."""
    theirs = runs.get(PEER)
    header = ["way", "events", "events/s", "alerts, or the peer's matches", "µs of all processors an event"]
    rows = []
    for what, some in runs.items():
        counts = sorted({run.alerts for run in some})
        alerts = "–" if counts == [0] else "–".join(f"{each:,}" for each in dict.fromkeys((counts[0], counts[-1])))
        micro = span([sum(run.cpu.values()) / run.events * 1e6 for run in some])
        row = [what, f"{some[0].events:,}", span([run.rate for run in some]), alerts, micro]
        if theirs:
            row.append(
                "–" if some is theirs else span([a.rate / b.rate for a, b in zip(some, theirs, strict=False)], 2)
            )
        rows.append(row)
    return Table([*header, "ratio to the peer"] if theirs else header, rows)


def spending(runs: Mapping[str, Sequence[Run]]) -> Table:
    """Microseconds of the processor an event, by process."""
    names = list(dict.fromkeys(name for some in runs.values() for run in some for name in run.cpu))
    names = [name for name in names if name != "the peer"]
    rows = []
    for what, some in runs.items():
        if what != PEER:
            cells = [[run.cpu.get(name, 0.0) / run.events * 1e6 for run in some] for name in names]
            rows.append([what, *(f"{statistics.median(cell):,.0f}" for cell in cells)])
    return Table(["µs of the processor an event", *names], rows)
