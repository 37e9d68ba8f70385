from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sinks import Kept, events, until, words

from almena.bus import open_bus
from almena.clock import Span
from almena.errors import ConfigError
from almena.event import Event
from collectors.file import File
from collectors.intake import Intake


def collector(folder: Path, **options: object) -> File:
    defaults = {"paths": [str(folder / "*.log")], "checkpoint": str(folder / "memory.json"), "poll": Span(10_000)}
    return File(agency="finanzas", parser="words", **{**defaults, **options})  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def running(file: File, sink: object) -> AsyncIterator[None]:
    task = asyncio.ensure_future(file.run("portal", sink))  # type: ignore[arg-type]
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def test_files_arrive_on_the_bus_and_go_on_after_a_restart(tmp_path: Path) -> None:
    log = tmp_path / "portal.log"
    log.write_bytes(b"one\ntwo\n")
    bus = open_bus(f"sqlite:{tmp_path / 'bus.sqlite'}")

    def once() -> list[Event]:
        """Without repeats: a stop between the append and the checkpoint may repeat, under the same id."""
        return sorted(
            {event["event.id"]: event for event in events(bus)}.values(), key=lambda event: event["log.offset"]
        )

    async def run(count: int) -> None:
        intake = Intake(bus, parsers={"words": words}, mask=lambda event: event, seal=bytes.hex)
        async with intake as sink, running(collector(tmp_path), sink):
            await until(lambda: len(once()) == count)

    asyncio.run(run(2))
    with log.open("ab") as file:
        file.write(b"three\n")
    asyncio.run(run(3))
    found = once()
    assert [event["message"] for event in found] == ["one", "two", "three"]
    assert {event["log.file.path"] for event in found} == {str(log)}
    assert len({event["event.id"].rpartition(":")[0] for event in found}) == 1
    bus.close()


def test_the_checkpoint_never_runs_ahead_of_the_append(tmp_path: Path) -> None:
    (tmp_path / "portal.log").write_bytes(b"one\n")
    sink = Kept()
    places = []

    def look(records: object) -> None:
        places.append((tmp_path / "memory.json").read_bytes())

    sink.before = look

    async def run() -> None:
        async with running(collector(tmp_path), sink):
            await until(lambda: places and b'"offset":4' in (tmp_path / "memory.json").read_bytes())

    asyncio.run(run())
    assert sink.records[0].lane.encode() in places[0]
    assert b'"offset":0' in places[0]


def test_a_stop_in_the_middle_repeats_and_never_loses(tmp_path: Path) -> None:
    log = tmp_path / "portal.log"
    log.write_bytes(b"")
    sink = Kept(delay=0.005)

    async def run(number: int) -> None:
        async with running(collector(tmp_path), sink):
            with log.open("ab", buffering=0) as file:
                for line in range(100):
                    file.write(b"%d.%d\n" % (number, line))
                    await asyncio.sleep(0.0005)

    for number in range(5):
        asyncio.run(run(number))

    async def rest() -> None:
        async with running(collector(tmp_path), sink):
            await until(lambda: b"4.99" in sink.texts())

    asyncio.run(rest())
    highest = -1
    kept = []
    for record in sink.records:
        if record.seq > highest:
            highest = record.seq
            kept.append(record.data)
    assert kept == [b"%d.%d" % (number, line) for number in range(5) for line in range(100)]


def test_no_paths_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"collectors\.portal: paths: names no file"):
        asyncio.run(collector(tmp_path, paths=[]).run("portal", Kept()))


def test_a_disk_that_refuses_the_checkpoint_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.checkpoint._FIRST_WAIT", 0.01)
    log = tmp_path / "portal.log"
    log.write_bytes(b"one\n")
    real = os.fsync
    refused: list[str] = []

    def fsync(handle: int) -> None:
        if refused and refused[-1] != "freed":
            refused.append("again")
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)

    async def run() -> list[bytes]:
        sink = Kept()
        async with running(collector(tmp_path), sink):
            await until(lambda: len(sink.records) == 1)
            refused.append("full")
            with log.open("ab") as file:
                file.write(b"two\n")
            await until(lambda: len(refused) > 3)
            with (tmp_path / "new.log").open("wb") as file:
                file.write(b"three\n")
            await asyncio.sleep(0.1)
            assert b"three" not in sink.texts(), "its lane is not remembered yet"
            refused.append("freed")
            await until(lambda: len(sink.records) == 3)
        return sink.texts()

    assert asyncio.run(run()) == [b"one", b"two", b"three"]
    kept = Kept()

    async def again() -> None:
        async with running(collector(tmp_path), kept):
            await asyncio.sleep(0.1)

    asyncio.run(again())
    assert kept.records == []
