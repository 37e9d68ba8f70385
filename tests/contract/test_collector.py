"""What every collector promises: records with an identity, nothing acknowledged before its append, a clean stop."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import socket
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import eventlogs
import httpx
import journals
import msgspec
import pytest
from captures import SYN, ethernet, pcap, tcp, write
from exports import v5, v5_flow
from kafkas import kafka_prefix
from sinks import Kept, until
from topics import end, make_topic, position, send

from almena.clock import now
from almena.config import build
from almena.errors import BusError, ConfigError
from almena.event import decode
from collectors import COLLECTORS, remember
from collectors.base import Collector, Raw, Sink, Source
from collectors.parsers import PARSERS

TOKEN = "a-token-of-the-payments-0123456789"


class Way(Protocol):
    """How a test sends to one kind of collector."""

    kind: str
    acknowledges: bool
    """Whether a sender is told, or a checkpoint says, that records are safe."""

    def options(self, folder: Path) -> dict[str, Any]:
        """What the configuration says."""

    async def send(self, collector: Any, folder: Path, texts: Sequence[str]) -> bool:
        """Hand texts over; returns when they are acknowledged, or with False when they are refused."""

    def text(self, record: Raw) -> str:
        """The text that a record stands for."""


class FileWay:
    kind, acknowledges = "file", True

    def options(self, folder: Path) -> dict[str, Any]:
        return {"paths": [str(folder / "*.log")], "checkpoint": str(folder / "memory.json"), "poll": "10ms"}

    async def send(self, collector: Any, folder: Path, texts: Sequence[str]) -> bool:
        path = folder / "a.log"
        with path.open("ab") as file:
            file.write("".join(f"{text}\n" for text in texts).encode())
        reached = f'"offset":{path.stat().st_size},'
        memory = folder / "memory.json"
        await until(lambda: memory.exists() and reached in memory.read_text())
        return True

    def text(self, record: Raw) -> str:
        return record.data.decode()


class PacketsWay:
    kind, acknowledges = "packets", True

    def options(self, folder: Path) -> dict[str, Any]:
        memory = str(folder / "memory.json")
        return {"paths": [str(folder / "*.pcap")], "checkpoint": memory, "poll": "10ms", "settle": "0s"}

    async def send(self, collector: Any, folder: Path, texts: Sequence[str]) -> bool:
        """A text becomes a flow from a port that stands for it."""
        moment = now()
        packets = [(moment, ethernet(tcp("10.0.0.1", _port(text), "10.0.0.2", 80, SYN))) for text in texts]
        path = write(folder / f"{_port(texts[0])}.draft", pcap(packets))
        path = path.rename(path.with_suffix(".pcap"))
        memory = folder / "memory.json"
        await until(lambda: memory.exists() and path.name in memory.read_text())
        return True

    def text(self, record: Raw) -> str:
        return f"text {decode(record.data)['source.port'] - 2_000}"


def _port(text: str) -> int:
    return 2_000 + int(text.rpartition(" ")[2])


class EvtxWay:
    kind, acknowledges = "evtx", True

    def options(self, folder: Path) -> dict[str, Any]:
        memory = str(folder / "memory.json")
        return {"paths": [str(folder / "*.evtx")], "checkpoint": memory, "poll": "10ms", "settle": "0s"}

    async def send(self, collector: Any, folder: Path, texts: Sequence[str]) -> bool:
        name = f"log{len(list(folder.glob('*.evtx')))}.evtx"
        eventlogs.write(folder / name, texts)
        memory = folder / "memory.json"
        await until(lambda: memory.exists() and name in memory.read_text())
        return True

    def text(self, record: Raw) -> str:
        data = msgspec.json.decode(record.data)["Event"]["EventData"]
        return str(next(iter(data.values())))


class NetflowWay:
    kind, acknowledges = "netflow", False

    def options(self, folder: Path) -> dict[str, Any]:
        return {"listen": "127.0.0.1:0"}

    async def send(self, collector: Any, folder: Path, texts: Sequence[str]) -> bool:
        """A text becomes a flow from a port that stands for it."""
        host, _, port = collector.address.rpartition(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for text in texts:
                sock.sendto(v5([v5_flow(source_port=_port(text))], now()), (host, int(port)))
        return True

    def text(self, record: Raw) -> str:
        return f"text {decode(record.data)['source.port'] - 2_000}"


class JournaldWay:
    kind, acknowledges = "journald", True

    def options(self, folder: Path) -> dict[str, Any]:
        journals.needed()
        (folder / "journal").mkdir(exist_ok=True)
        return {"directory": str(folder / "journal"), "checkpoint": str(folder / "memory.json")}

    async def send(self, collector: Any, folder: Path, texts: Sequence[str]) -> bool:
        records = [{"MESSAGE": text} for text in texts]
        count = await asyncio.to_thread(journals.write, folder / "journal" / "web1.journal", records)
        memory = folder / "memory.json"
        await until(lambda: memory.exists() and f";i={count:x};" in memory.read_text())
        return True

    def text(self, record: Raw) -> str:
        return str(decode(record.data)["MESSAGE"])


class KafkaWay:
    kind, acknowledges = "kafka", True
    server = prefix = ""

    def options(self, folder: Path) -> dict[str, Any]:
        topic = f"{self.prefix}.{folder.name}"
        if self.server and end(self.server, topic) < 0:
            make_topic(self.server, topic)
        return {"brokers": [self.server or "127.0.0.1:9"], "topics": [topic], "group": f"{topic}.group"}

    async def send(self, collector: Any, folder: Path, texts: Sequence[str]) -> bool:
        topic = collector.topics[0]
        before = await asyncio.to_thread(end, self.server, topic)
        await asyncio.to_thread(send, self.server, topic, *(text.encode() for text in texts))
        async with asyncio.timeout(60):
            while await asyncio.to_thread(position, self.server, collector.group, topic) < before + len(texts):
                await asyncio.sleep(0.05)
        return True

    def text(self, record: Raw) -> str:
        return record.data.decode()


KAFKA = KafkaWay()


@pytest.fixture(autouse=True)
def _broker(request: pytest.FixtureRequest) -> Iterator[None]:
    """A broker for the way that needs one."""
    if getattr(request.node, "callspec", None) is None or request.node.callspec.params.get("way") is not KAFKA:
        yield
        return
    KAFKA.server = request.getfixturevalue("kafka")
    with kafka_prefix(KAFKA.server, "edge") as KAFKA.prefix:
        yield
    KAFKA.server = ""


class HttpWay:
    kind, acknowledges = "http", True

    def options(self, folder: Path) -> dict[str, Any]:
        token = {"agency": "finanzas", "token": TOKEN}
        return {"listen": "127.0.0.1:0", "tokens": {"payments": token}, "append_timeout": "5s"}

    async def send(self, collector: Any, folder: Path, texts: Sequence[str]) -> bool:
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "text/plain"}
        async with httpx.AsyncClient(base_url=f"http://{collector.address}", headers=headers, timeout=20) as client:
            with contextlib.suppress(httpx.HTTPError):
                return (await client.post("/v1/events", content="\n".join(texts))).status_code == 200
        return False

    def text(self, record: Raw) -> str:
        return record.data.decode()


class SyslogWay:
    kind, acknowledges = "syslog", False

    def __init__(self, transport: str) -> None:
        self.transport = transport

    def options(self, folder: Path) -> dict[str, Any]:
        return {"listen": "127.0.0.1:0", "transport": self.transport}

    async def send(self, collector: Any, folder: Path, texts: Sequence[str]) -> bool:
        host, _, port = collector.address.rpartition(":")
        if self.transport == "udp":
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                for text in texts:
                    sock.sendto(f"<13>{text}".encode(), (host, int(port)))
            return True
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write("".join(f"<13>{text}\n" for text in texts).encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        return True

    def text(self, record: Raw) -> str:
        return record.data.decode().removeprefix("<13>")


class RelpWay:
    kind, acknowledges = "relp", True

    def options(self, folder: Path) -> dict[str, Any]:
        return {"listen": "127.0.0.1:0"}

    async def send(self, collector: Any, folder: Path, texts: Sequence[str]) -> bool:
        host, _, port = collector.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        messages = [f"{number} syslog {len(text) + 4} <13>{text}\n" for number, text in enumerate(texts, 2)]
        writer.write("".join(["1 open 15 commands=syslog\n", *messages]).encode())
        answered = b""
        try:
            while answered.count(b"rsp 6 200 OK\n") < len(texts) and (data := await reader.read(65_536)):
                answered += data
        except ConnectionError:
            return False
        finally:
            writer.close()
        return answered.count(b"rsp 6 200 OK\n") == len(texts)

    def text(self, record: Raw) -> str:
        return record.data.decode().removeprefix("<13>")


WAYS: dict[str, Way] = {
    "evtx": EvtxWay(),
    "file": FileWay(),
    "http": HttpWay(),
    "journald": JournaldWay(),
    "kafka": KAFKA,
    "netflow": NetflowWay(),
    "packets": PacketsWay(),
    "relp": RelpWay(),
    "syslog udp": SyslogWay("udp"),
    "syslog tcp": SyslogWay("tcp"),
}
every = pytest.mark.parametrize("way", [pytest.param(way, id=name) for name, way in WAYS.items()])
every_that_acknowledges = pytest.mark.parametrize(
    "way", [pytest.param(way, id=name) for name, way in WAYS.items() if way.acknowledges]
)


class Gate(Kept):
    """A sink that takes records only once it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.opened = asyncio.Event()

    async def append(self, source: Source, records: Sequence[Raw]) -> int:
        self.asked += 1
        await self.opened.wait()
        return await super().append(source, records)


class Refusing(Kept):
    """A sink that fails."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    async def append(self, source: Source, records: Sequence[Raw]) -> int:
        self.asked += 1
        raise BusError("the disk is gone")


def make(way: Way, folder: Path, **more: Any) -> Any:
    own = {} if way.kind == "http" else {"agency": "finanzas"}
    return build(COLLECTORS[way.kind], way.options(folder) | own | more, "almena.toml: collectors.edge")


@contextlib.asynccontextmanager
async def running(collector: Any, sink: Sink) -> AsyncIterator[asyncio.Task[None]]:
    """The collector at work; on leaving it is cancelled, and must be gone soon."""
    task = asyncio.ensure_future(collector.run("edge", sink))
    try:
        await until(lambda: getattr(collector, "address", "-") or task.done())
        yield task
    finally:
        began = time.monotonic()
        if not task.cancelling():
            task.cancel()
        await asyncio.wait([task], timeout=20)
        assert task.done()
        assert time.monotonic() - began < 8, "a stop takes seconds at most"


def texts(count: int, first: int = 0) -> list[str]:
    return [f"text {number}" for number in range(first, first + count)]


def test_every_collector_is_held_to_the_contract() -> None:
    assert set(COLLECTORS) == {way.kind for way in WAYS.values()}


@every
def test_sources_have_an_agency_a_parser_and_names_of_their_own(way: Way, tmp_path: Path) -> None:
    collector: Collector = make(way, tmp_path)
    assert inspect.iscoroutinefunction(collector.run)
    first, second = list(collector.sources("edge")), list(collector.sources("other"))
    assert first
    assert first == list(collector.sources("edge"))
    assert all(source.agency == "finanzas" and source.parser in PARSERS for source in first)
    names = [source.name for source in [*first, *second]]
    assert len(set(names)) == len(names)
    assert all(name == "edge" or name.startswith("edge.") for name in names[: len(first)])


@every
def test_records_come_once_with_an_identity_that_is_theirs_for_ever(way: Way, tmp_path: Path) -> None:
    """Two runs, as before and after a restart: a lane's sequence only grows, and no record shares its number."""
    sink = Kept()
    began = now()

    async def run(first: int) -> None:
        collector = make(way, tmp_path)
        async with running(collector, sink):
            await way.send(collector, tmp_path, texts(20, first))
            await way.send(collector, tmp_path, texts(20, first + 20))
            await until(lambda: len(sink.records) >= first + 40)

    asyncio.run(run(0))
    asyncio.run(run(40))
    assert sorted(map(way.text, sink.records)) == sorted(texts(80))
    assert len({(record.lane, record.seq) for record in sink.records}) == 80
    for lane in {record.lane for record in sink.records}:
        sequence = [record.seq for record in sink.records if record.lane == lane]
        assert sequence == sorted(sequence)
    assert all(began <= record.received <= now() for record in sink.records)
    assert all(record.origin or way.kind == "http" for record in sink.records)
    known = {source.name for source in make(way, tmp_path).sources("edge")}
    assert {source.name for source, _ in sink.batches} <= known


@every_that_acknowledges
def test_nothing_is_acknowledged_before_it_is_appended(way: Way, tmp_path: Path) -> None:
    async def run() -> Gate:
        gate = Gate()
        collector = make(way, tmp_path)
        async with running(collector, gate):
            sending = asyncio.ensure_future(way.send(collector, tmp_path, texts(30)))
            await until(lambda: gate.asked)
            await asyncio.sleep(0.3)
            assert not sending.done(), "told to be safe while the append was still waiting"
            gate.opened.set()
            assert await sending is True
        return gate

    gate = asyncio.run(run())
    assert sorted(map(way.text, gate.records)) == sorted(texts(30))


@every_that_acknowledges
def test_what_a_failing_sink_refused_is_not_acknowledged_and_comes_again(way: Way, tmp_path: Path) -> None:
    async def refused() -> bool:
        sink = Refusing()
        collector = make(way, tmp_path)
        async with running(collector, sink) as task:
            sending = asyncio.ensure_future(way.send(collector, tmp_path, texts(30)))
            await until(lambda: sink.asked)
            await asyncio.wait([sending], timeout=0.5)
            told = sending.done() and sending.result()
            sending.cancel()
            await asyncio.wait([sending])
            if task.done():
                with pytest.raises((BusError, BaseExceptionGroup)):
                    await task
        return told

    async def again() -> Kept:
        sink = Kept()
        collector = make(way, tmp_path)
        async with running(collector, sink):
            if way.kind in ("http", "relp"):  # the client was told to come back
                assert await way.send(collector, tmp_path, texts(30))
            await until(lambda: len(sink.records) >= 30)
        return sink

    assert asyncio.run(refused()) is False
    assert sorted(map(way.text, asyncio.run(again()).records)) == sorted(texts(30))


@every
@pytest.mark.parametrize("moment", ["idle", "appending"])
def test_a_stop_leaves_nothing_behind(way: Way, moment: str, tmp_path: Path) -> None:
    async def run() -> None:
        for _ in range(3):
            await once()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    async def once() -> None:
        gate = Gate()
        collector = make(way, tmp_path)
        async with running(collector, gate) as task:
            if moment == "appending":
                sending = asyncio.ensure_future(way.send(collector, tmp_path, texts(5)))
                await until(lambda: gate.asked)
                task.cancel()
                await asyncio.sleep(0.05)
                gate.opened.set()
                sending.cancel()
                await asyncio.wait([sending])
        assert task.cancelled()

    asyncio.run(run())  # what is opened once and kept, is open now
    before = _open_files()
    asyncio.run(run())
    assert _open_files() <= before


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


@every
def test_an_address_or_a_place_is_free_after_a_stop(way: Way, tmp_path: Path) -> None:
    sink = Kept()

    async def run() -> None:
        collector = make(way, tmp_path)
        async with running(collector, sink):
            pass
        same = {"listen": collector.address} if hasattr(collector, "address") else {}
        collector = make(way, tmp_path, **same)
        async with running(collector, sink):
            await way.send(collector, tmp_path, texts(3))
            await until(lambda: len(sink.records) == 3)

    asyncio.run(run())
    assert sorted(map(way.text, sink.records)) == texts(3)


def test_collectors_that_keep_their_place_get_a_file_of_their_own(tmp_path: Path) -> None:
    made = {way.kind: make(way, tmp_path) for way in WAYS.values()}
    for name in ("file", "packets"):
        made[name] = make(WAYS[name], tmp_path, checkpoint="")
    made["own"] = make(WAYS["file"], tmp_path, checkpoint="/x.json")
    remember(made, Path("data"))
    assert made["file"].checkpoint == "data/checkpoints/file.json"
    assert made["packets"].checkpoint == "data/checkpoints/packets.json"
    assert made["own"].checkpoint == "/x.json"


def test_a_wrong_transport_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"collectors\.edge\.transport: .*'tpc'"):
        make(WAYS["syslog udp"], tmp_path, transport="tpc")
