"""Event logs arrive once: whole ones, grown ones, the same ones under other names, with kills in between."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import eventlogs
import msgspec
import pytest
from sinks import Kept, events, letters, until

from almena.bus import open_bus
from almena.clock import SECOND, Span
from almena.errors import ConfigError
from collectors.base import Raw
from collectors.eventlog import Found
from collectors.evtx import Evtx, Known, Survey
from collectors.intake import Intake
from collectors.parsers import PARSERS


def collector(folder: Path, **options: Any) -> Evtx:
    defaults = {
        "paths": [str(folder / "*.evtx")],
        "checkpoint": str(folder / "memory.json"),
        "poll": Span(10_000),
        "settle": Span(0),
    }
    return Evtx(agency="finanzas", **{**defaults, **options})


@contextlib.asynccontextmanager
async def running(evtx: Evtx, sink: object) -> AsyncIterator[None]:
    task = asyncio.ensure_future(evtx.run("dc", sink))  # type: ignore[arg-type]
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def kept(records: Sequence[Raw]) -> list[Raw]:
    """Without repeats: a lane's sequence only grows."""
    highest: dict[str, int] = {}
    new = []
    for record in records:
        if record.seq > highest.get(record.lane, -1):
            highest[record.lane] = record.seq
            new.append(record)
    return new


def text(record: Raw) -> str:
    return str(msgspec.json.decode(record.data)["Event"]["EventData"]["Text"])


def once(folder: Path, sink: Kept, path: Path) -> None:
    """Run until a file was read."""

    def read() -> bool:
        memory = folder / "memory.json"
        known = msgspec.json.decode(memory.read_bytes(), type=Known) if memory.exists() else Known()
        status = path.stat()
        return any((seen.path, seen.changed) == (str(path), status.st_mtime_ns) for seen in known.files)

    async def run() -> None:
        async with running(collector(folder), sink):
            await until(read)

    asyncio.run(run())


def numbers(first: int, behind: int) -> list[str]:
    return [f"text {number}" for number in range(first, behind)]


def test_a_log_arrives_on_the_bus_with_what_is_damaged_as_dead_letters(tmp_path: Path) -> None:
    path = eventlogs.write(tmp_path / "a.evtx", numbers(0, 9), each=3)
    data = bytearray(path.read_bytes())
    data[eventlogs.HEAD + eventlogs.CHUNK] ^= 1
    path.write_bytes(data)
    bus = open_bus(f"sqlite:{tmp_path / 'bus.sqlite'}")

    async def run() -> None:
        intake = Intake(bus, parsers=PARSERS, mask=lambda event: event, seal=bytes.hex)
        async with intake as sink, running(collector(tmp_path), sink):
            await until(lambda: len(events(bus)) == 6)

    asyncio.run(run())
    found = sorted(events(bus), key=lambda event: event["log.offset"])
    assert [event["winlog.event_data.Text"] for event in found] == [*numbers(0, 3), *numbers(6, 9)]
    assert {event["log.file.path"] for event in found} == {str(path)}
    (letter,) = letters(bus)
    assert letter["reason"] == "a damaged chunk of an event log"
    assert letter["place"] == eventlogs.HEAD + eventlogs.CHUNK
    assert bytes.fromhex(letter["sealed"]) == data[letter["place"] : letter["place"] + eventlogs.CHUNK]
    bus.close()


def replaced(path: Path) -> None:
    """The same log with more in it, as an export that runs every hour."""
    eventlogs.write(path, numbers(0, 25), each=5)


def renamed(path: Path) -> None:
    path.rename(path.with_name("archive.evtx"))
    eventlogs.write(path.with_name("archive.evtx"), numbers(0, 25), each=5)


def copied(path: Path) -> None:
    shutil.copyfile(path, path.with_name("copy.evtx"))
    eventlogs.write(path.with_name("later.evtx"), numbers(0, 25), each=5)


def begun_again(path: Path) -> None:
    """Full: the oldest chunks were written over."""
    chunks = [eventlogs.chunk(numbers(at, at + 5), at + 1) for at in (15, 20, 5, 10)]
    path.write_bytes(eventlogs.log(chunks))


@pytest.mark.parametrize("what", [replaced, renamed, copied, begun_again])
def test_a_log_that_comes_again_with_more_in_it_is_read_on(tmp_path: Path, what: Callable[[Path], None]) -> None:
    sink = Kept()
    path = eventlogs.write(tmp_path / "a.evtx", numbers(0, 10), each=5)
    os.utime(path, ns=(1, 1))
    once(tmp_path, sink, path)
    assert [text(record) for record in sink.records] == numbers(0, 10)
    what(path)
    for each in tmp_path.glob("*.evtx"):
        once(tmp_path, sink, each)
    assert sorted(text(record) for record in sink.records) == sorted(numbers(0, 25))
    assert len(kept(sink.records)) == 25


def test_another_log_under_the_same_name_is_read_whole(tmp_path: Path) -> None:
    sink = Kept()
    for turn in range(3):
        path = eventlogs.write(tmp_path / "a.evtx", [f"{turn}.{number}" for number in range(4)])
        once(tmp_path, sink, path)
    assert len(kept(sink.records)) == 12


def test_kills_anywhere_repeat_under_the_same_numbers_and_lose_nothing(tmp_path: Path) -> None:
    """Cancelled between and within batches; the checkpoint is put back, as when a kill came before it was saved."""
    path = eventlogs.write(tmp_path / "a.evtx", numbers(0, 400), each=40)
    sink = Kept(delay=0.002)
    memory = tmp_path / "memory.json"

    async def some(records: int) -> None:
        async with running(collector(tmp_path), sink):
            await until(lambda: len(sink.records) >= records)

    import collectors.evtx

    before, collectors.evtx._TOGETHER = collectors.evtx._TOGETHER, 30
    try:
        for turn in range(1, 6):
            saved = memory.read_bytes() if memory.exists() else b""
            asyncio.run(some(len(sink.records) + 35))
            if turn % 2 and saved:
                memory.write_bytes(saved)
            if turn == 3:  # it grows meanwhile
                eventlogs.write(path, numbers(0, 460), each=40)
        once(tmp_path, sink, path)
    finally:
        collectors.evtx._TOGETHER = before
    assert len(sink.records) > 460
    assert [text(record) for record in kept(sink.records)] == numbers(0, 460)


def test_a_log_that_still_changes_is_waited_for(tmp_path: Path) -> None:
    eventlogs.write(tmp_path / "a.evtx", numbers(0, 3))
    sink = Kept()

    async def run() -> None:
        async with running(collector(tmp_path, settle=Span(3600 * SECOND)), sink):
            await asyncio.sleep(0.1)

    asyncio.run(run())
    assert sink.records == []


def test_a_stop_ends_the_process_that_decodes(tmp_path: Path) -> None:
    eventlogs.write(tmp_path / "a.evtx", numbers(0, 200), each=10)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    async def run() -> None:
        sink = Kept(delay=5.0)
        async with running(collector(tmp_path), sink):
            await until(lambda: sink.records)

    asyncio.run(run())
    assert len(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208


def test_excluded_and_empty_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "empty.evtx").touch()
    eventlogs.write(tmp_path / "not this.evtx", ["no"])
    path = eventlogs.write(tmp_path / "a.evtx", ["yes"])
    sink = Kept()

    async def run() -> None:
        async with running(collector(tmp_path, exclude=["not*"]), sink):
            await until(lambda: sink.records)
            await asyncio.sleep(0.1)

    asyncio.run(run())
    assert [text(record) for record in sink.records] == ["yes"]
    assert sink.records[0].origin == str(path)


def test_no_paths_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"collectors\.dc: paths: names no file"):
        asyncio.run(collector(tmp_path, paths=[]).run("dc", Kept()))


def test_two_logs_that_begin_alike_and_go_on_differently_have_lanes_of_their_own() -> None:
    known = Known()
    logs = [[Found(b"same", 0, 1), Found(end, 0, 2)] for end in (b"one", b"other")]
    lanes = []
    for found in logs:
        survey = Survey(known)
        survey.look(enumerate(found))
        place = survey.place()
        for index, each in enumerate(found):
            assert place.is_new(index, each)
            place.reach(index, each)
        lanes.append(place.lane)
    assert len(set(lanes)) == 2
