"""The journal, read by a real journalctl from files that another machine's journal would send."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import journals
import msgspec
import pytest
from sinks import Kept, events, until

from almena.bus import open_bus
from almena.errors import ConfigError
from almena.event import Event
from collectors.base import Context, Raw, Sink
from collectors.intake import Intake
from collectors.journald import Journald
from collectors.parsers import PARSERS

CONTEXT = Context(received=1_795_376_040_000_000)


@pytest.fixture(autouse=True)
def _programs() -> None:
    journals.needed()


def journald(folder: Path, **options: object) -> Journald:
    (folder / "journal").mkdir(exist_ok=True)
    memory = str(folder / "memory.json")
    given = {"agency": "finanzas", "directory": str(folder / "journal"), "checkpoint": memory, **options}
    return Journald(**given)  # type: ignore[arg-type]


def write(folder: Path, *messages: str | bytes, file: str = "web1.journal", **more: str) -> None:
    journals.write(folder / "journal" / file, [{"MESSAGE": message, **more} for message in messages])


@contextlib.asynccontextmanager
async def running(collector: Journald, sink: Sink) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.ensure_future(collector.run("diario", sink))
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def message(record: Raw) -> str:
    return str(msgspec.json.decode(record.data)["MESSAGE"])


def collected(collector: Journald, count: int, *, sink: Kept | None = None) -> Kept:
    """What comes until there are so many."""
    kept = sink or Kept()

    async def run() -> None:
        async with running(collector, kept) as task:
            await until(lambda: len(kept.records) >= count or task.done())
            await until(lambda: Path(collector.checkpoint).exists())
            await asyncio.sleep(0.2)

    asyncio.run(run())
    return kept


def test_records_come_as_they_are_written_and_once(tmp_path: Path) -> None:
    sink = Kept()
    write(tmp_path, "one", "two")

    async def run() -> None:
        async with running(journald(tmp_path), sink):
            await until(lambda: len(sink.records) == 2)
            await asyncio.to_thread(write, tmp_path, "three")
            await until(lambda: len(sink.records) == 3)

    asyncio.run(run())
    write(tmp_path, "four", "five")
    collected(journald(tmp_path), 5, sink=sink)
    assert list(map(message, sink.records)) == ["one", "two", "three", "four", "five"]
    assert [record.seq for record in sink.records] == [1, 2, 3, 4, 5]
    assert len({record.lane for record in sink.records}) == 1
    assert sink.drops == []


def test_what_was_appended_and_not_remembered_comes_again_as_the_same(tmp_path: Path) -> None:
    write(tmp_path, "one", "two")
    first = collected(journald(tmp_path), 2)
    (tmp_path / "memory.json").unlink()
    again = collected(journald(tmp_path), 2)
    assert [(each.lane, each.seq) for each in first.records] == [(each.lane, each.seq) for each in again.records]


def test_nothing_is_remembered_before_it_is_durable(tmp_path: Path) -> None:
    write(tmp_path, "one", "two")
    sink = Kept(delay=60)

    async def run() -> None:
        async with running(journald(tmp_path), sink):
            await until(lambda: sink.records)
            await asyncio.sleep(0.2)

    asyncio.run(run())
    assert not (tmp_path / "memory.json").exists()


def test_journalctl_is_started_again_when_it_dies(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sink = Kept()
    write(tmp_path, "one")

    async def run() -> None:
        async with running(journald(tmp_path), sink):
            await until(lambda: len(sink.records) == 1)
            for pid in _children():
                os.kill(pid, signal.SIGKILL)
            await asyncio.to_thread(write, tmp_path, "two")
            await until(lambda: len(sink.records) == 2)

    asyncio.run(run())
    assert list(map(message, sink.records)) == ["one", "two"]
    assert "journalctl ended" in caplog.text


def _children() -> list[int]:
    found = []
    for thread in Path("/proc/self/task").iterdir():
        found += [int(pid) for pid in (thread / "children").read_text().split()]
    return [pid for pid in found if b"journalctl" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_a_journalctl_that_ends_at_once_is_started_more_and_more_seldom(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collectors.journald._FIRST_WAIT", 0.02)
    (tmp_path / "memory.json").write_text('{"cursor":"nonsense"}')
    caplog.set_level(logging.ERROR)

    async def run() -> None:
        async with running(journald(tmp_path), Kept()):
            await until(lambda: caplog.text.count("journalctl ended") >= 4)

    asyncio.run(run())
    assert "Failed to seek to cursor" in caplog.text
    assert "in 0.3 s" in caplog.text


def test_at_the_end_nothing_old_comes(tmp_path: Path) -> None:
    sink = Kept()
    write(tmp_path, "old", "older")

    async def run() -> None:
        async with running(journald(tmp_path, start="end"), sink):
            await until(lambda: (tmp_path / "memory.json").exists())

    asyncio.run(run())
    write(tmp_path, "new")
    assert list(map(message, collected(journald(tmp_path, start="end"), 1).records)) == ["new"]


def pretended(folder: Path, *lines: bytes, **options: object) -> Journald:
    """One whose journalctl writes these lines and waits."""
    (folder / "lines").write_bytes(b"".join(line + b"\n" for line in lines))
    program = folder / "journalctl"
    program.write_text(f"#!/bin/sh\ncat {folder}/lines\nexec sleep 60\n")
    program.chmod(0o700)
    return journald(folder, program=str(program), **options)


def line(number: int, *, journal: str = "ab12") -> bytes:
    return b'{"MESSAGE":"text %d","__CURSOR":"s=%s;i=%x;b=0;m=1;t=2;x=3"}' % (number, journal.encode(), number)


@pytest.mark.parametrize(
    ("last", "numbers", "came", "lost"),
    [
        ("s=ab12;i=10;b=0", [16, 17, 18], [17, 18], 0),
        ("s=ab12;i=10;b=0", [17, 18], [17, 18], 0),
        ("s=ab12;i=10;b=0", [26, 27], [26, 27], 9),
        ("s=cd34;i=10;b=0", [5, 6], [5, 6], 1),
    ],
)
def test_records_that_are_gone_when_the_collector_comes_back_are_counted(
    last: str, numbers: list[int], came: list[int], lost: int, tmp_path: Path
) -> None:
    (tmp_path / "memory.json").write_bytes(msgspec.json.encode({"cursor": last}))
    sink = collected(pretended(tmp_path, *map(line, numbers)), len(came))
    assert [record.seq for record in sink.records] == came
    assert sum(count for _, _, count in sink.drops) == lost


def test_lines_without_a_place_have_numbers_of_their_own(tmp_path: Path) -> None:
    strange = [b"no json", b'{"__CURSOR":5}', b'{"MESSAGE":",\\"__CURSOR\\":\\"s=1;i=1\\""}', b'{"__CURSOR":"s=x;i=1"}']
    sink = collected(pretended(tmp_path, line(1), *strange, line(2)), 6)
    assert len({(record.lane, record.seq) for record in sink.records}) == 6
    assert [record.seq for record in sink.records] == [1, 0, 1, 2, 3, 2]
    assert msgspec.json.decode((tmp_path / "memory.json").read_bytes())["cursor"].startswith("s=ab12;i=2;")


def test_a_line_beyond_every_cap_is_cut_and_keeps_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.journald._LONGEST_LINE", 2_000)
    long = b'{"__CURSOR":"s=ab12;i=7;b=0","MESSAGE":"' + b"x" * 50_000 + b'"}'
    sink = collected(pretended(tmp_path, long, line(8), max_record=1_000), 2)
    assert [(record.seq, record.truncated, len(record.data)) for record in sink.records] == [
        (7, True, 1_000),
        (8, False, len(line(8))),
    ]


def test_several_machines_have_lanes_of_their_own(tmp_path: Path) -> None:
    write(tmp_path, "one", "two")
    write(tmp_path, "three", "four", file="db1.journal")
    sink = collected(journald(tmp_path), 4)
    lanes = {record.lane for record in sink.records}
    assert len(lanes) == 2
    for lane in lanes:
        assert [record.seq for record in sink.records if record.lane == lane] == [1, 2]


def test_only_the_units_that_were_asked_for_come(tmp_path: Path) -> None:
    write(tmp_path, "one", _SYSTEMD_UNIT="ssh.service")
    write(tmp_path, "two", _SYSTEMD_UNIT="cron.service")
    write(tmp_path, "three", _SYSTEMD_UNIT="ssh.service")
    sink = collected(journald(tmp_path, units=["ssh.service"]), 2)
    assert list(map(message, sink.records)) == ["one", "three"]
    write(tmp_path, "four", _SYSTEMD_UNIT="ssh.service")
    again = collected(journald(tmp_path, units=["ssh.service"]), 1)
    assert list(map(message, again.records)) == ["four"]
    assert again.drops == []


def test_bytes_and_huge_values_come_through_under_a_cap(tmp_path: Path) -> None:
    write(tmp_path, b"caf\xe9 \x1b[31m", "x" * 10_000, b"\xff" * 900_000, "y" * 2_000_000, "last")
    sink = collected(journald(tmp_path), 5)
    assert [record.truncated for record in sink.records] == [False, False, True, True, False]
    assert all(len(record.data) <= 1 << 20 for record in sink.records)
    parsed: list[Event] = [PARSERS["journal"](record.data, CONTEXT) for record in sink.records]
    assert parsed[0]["message"] == "caf\\xe9 \x1b[31m"
    assert parsed[1]["message"] == "x" * 10_000
    assert parsed[2]["message"].startswith("\\xff\\xff")
    assert parsed[3]["message"] == "y" * (64 << 10)
    assert parsed[4]["message"] == "last"


def test_records_become_events(tmp_path: Path) -> None:
    said = "Failed password for root from 192.0.2.7 port 22 ssh2"
    write(tmp_path, said, SYSLOG_IDENTIFIER="sshd", _PID="811", PRIORITY="6")
    bus = open_bus(f"sqlite:{tmp_path / 'bus.sqlite'}")

    async def run() -> None:
        intake = Intake(bus, parsers=PARSERS, mask=lambda event: event, seal=bytes.hex)
        async with intake as sink, running(journald(tmp_path), sink):
            await until(lambda: (tmp_path / "memory.json").exists())

    asyncio.run(run())
    (event,) = events(bus)
    assert (event["event.dataset"], event["host.name"], event["source.ip"]) == ("system.auth", "web1", "192.0.2.7")
    assert event["event.id"].startswith("diario:j.")
    bus.close()


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"program": "no-such-journalctl"}, "program: there is no"), ({"directory": "/no/such/folder"}, "is no folder")],
)
def test_what_cannot_be_is_told(options: dict[str, str], reason: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"collectors\.diario: .*{reason}"):
        asyncio.run(journald(tmp_path, **options).run("diario", Kept()))
