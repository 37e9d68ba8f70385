"""Playing to the real collectors: what was sent is what they hand on."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from sinks import Kept, until

from almena.clock import SECOND, Span, now
from almena.demo import play
from almena.demo.scenes import SCENES
from almena.demo.settings import HTTP_SOURCES, PARSERS, Ports, agency_of, new_tokens
from collectors.base import Collector
from collectors.file import File
from collectors.http import Http, Token
from collectors.syslog import Syslog


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Installation:
    """The demo's collectors with a sink that keeps what they hand on."""

    def __init__(self, folder: Path) -> None:
        self.ports = Ports(udp=free_port(), tcp=free_port(), http=free_port())
        self.nginx = folder / "log" / "access.log"
        self.tokens = new_tokens()
        self.sink = Kept()
        self.collectors: dict[str, Collector] = {
            "servers-udp": Syslog(agency="cdo", listen=f"127.0.0.1:{self.ports.udp}"),
            "servers-tcp": Syslog(agency="cdo", transport="tcp", listen=f"127.0.0.1:{self.ports.tcp}"),
            "portal-nginx": File(
                agency="tramites",
                parser="nginx",
                paths=[str(self.nginx), f"{self.nginx}.1"],
                poll=Span(SECOND // 50),
                checkpoint=str(folder / "checkpoint.json"),
            ),
            "apps": Http(
                listen=f"127.0.0.1:{self.ports.http}",
                tokens={
                    name: Token(agency=agency_of(name), parser=PARSERS[name], token=self.tokens[name])
                    for name in HTTP_SOURCES
                },
            ),
        }

    @property
    def targets(self) -> play.Targets:
        return play.Targets.local(self.ports, self.nginx, self.tokens)

    @property
    def received(self) -> Counter[str]:
        return Counter({source.name: 0 for source, _ in self.sink.batches}) + Counter(
            source.name for source, records in self.sink.batches for _ in records
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self.nginx.parent.mkdir(parents=True)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one.run(name, self.sink)) for name, one in self.collectors.items()]
            await until(lambda: all(self._address(name) for name in ("servers-udp", "servers-tcp", "apps")))
            yield
            for task in tasks:
                task.cancel()

    def _address(self, name: str) -> str:
        return str(getattr(self.collectors[name], "address", ""))


def test_once_every_record_arrives_through_every_way_in(tmp_path: Path) -> None:
    async def scene() -> tuple[play.Sent, Installation]:
        place = Installation(tmp_path)
        async with place.running():
            sent = await play.once(place.targets, 5, minutes=10, rate=3)
            await until(lambda: place.received == sent.records, seconds=30)
        return sent, place

    sent, place = asyncio.run(scene())
    assert place.received == sent.records
    assert place.sink.drops == []
    assert place.nginx.with_name("access.log.1").exists(), "the log was rotated while it was written"
    assert [played.scene for played in sent.played] == list(SCENES)
    assert sum(sent.broken.values()) >= 3
    assert {rule for scene_ in SCENES for rule in scene_.rules} == sent.expected_rules
    ids = {raw.lane + str(raw.seq) + source.name for source, records in place.sink.batches for raw in records}
    assert len(ids) == sum(sent.records.values())


def test_live_traffic_is_paced_by_the_clock_and_stops_when_told(tmp_path: Path) -> None:
    async def scene() -> tuple[play.Sent, Installation, int]:
        place = Installation(tmp_path)
        stop = asyncio.Event()
        async with place.running():
            began = now()
            async with asyncio.TaskGroup() as group:
                playing = group.create_task(play.live(place.targets, 5, stop=stop, rate=60))
                await asyncio.sleep(5)
                stop.set()
            sent = playing.result()
            await until(lambda: place.received == sent.records, seconds=20)
        return sent, place, now() - began

    sent, place, took = asyncio.run(scene())
    assert place.received == sent.records
    assert took < 15 * SECOND
    assert 150 <= sum(sent.records.values()) <= 900
    assert len(sent.played) >= 4


def test_a_wrong_token_ends_the_play_and_says_so(tmp_path: Path) -> None:
    async def scene() -> None:
        place = Installation(tmp_path)
        async with place.running():
            place.tokens = new_tokens()
            await play.once(place.targets, 5, minutes=1, rate=4)

    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(scene())
    assert caught.group_contains(httpx.HTTPStatusError)
