"""What is particular to the bus in a SQLite file: leases, locks, damage, a file that cannot be written, its size."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from almena.bus import Gap, Position, Record, Step, open_bus
from almena.bus.sqlite import SqliteBus
from almena.clock import HOUR
from almena.errors import BusError, Moved


def records(count: int, start: int = 0) -> list[Record]:
    return [Record("s/l", b"%d" % number, {"source": "s"}) for number in range(start, start + count)]


def values(bus: SqliteBus, limit: int = 10_000) -> list[int]:
    return [int(item.value) for item in bus.read(Position("t", 0, 0), limit)]


def take_all(bus: SqliteBus, member: str) -> tuple[list[int], list[int]]:
    """What a member of that name gains now and reads, committed."""
    session = bus.session("t", group="g", member=member)
    batch = session.poll(10_000, 0.0)
    session.commit({partition: Step(found[-1].offset + 1) for partition, found in batch.records.items()})
    return batch.gained, [int(item.value) for found in batch.records.values() for item in found]


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.running, self.wall = 1_000.0, 1_790_000_000_000_000
        monkeypatch.setattr("almena.bus.sqlite_session.monotonic", lambda: self.running)
        monkeypatch.setattr("almena.bus.sqlite.now", lambda: self.wall)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_a_member_that_vanished_is_replaced_when_its_lease_ends_and_not_before(clock: Clock) -> None:
    bus = SqliteBus(":memory:", partitions=1, lease=30.0)
    bus.append("t", records(5))
    gone = bus.session("t", group="g", member="a")
    batch = gone.poll(10, 0.0)
    clock.running += 29.0
    assert take_all(bus, "b") == ([], [])
    clock.running += 2.0
    assert take_all(bus, "b") == ([0], [0, 1, 2, 3, 4])
    with pytest.raises(Moved):
        gone.commit({0: Step(batch.records[0][-1].offset + 1, {"alerts": records(1)})})
    assert sum(bus.ends("alerts").values()) == 0


def test_a_long_step_is_a_sign_of_life_once_it_commits(clock: Clock) -> None:
    bus = SqliteBus(":memory:", partitions=1, lease=30.0)
    slow = bus.session("t", group="g", member="a")
    slow.poll(10, 0.0)
    for _ in range(3):
        clock.running += 20.0
        slow.commit({0: Step(0, {}, {"k": b"v"})})
    clock.running += 20.0
    slow.restore(0)
    clock.running += 20.0
    assert take_all(bus, "b") == ([], [])


def test_a_clock_that_is_set_moves_no_partition(clock: Clock) -> None:
    bus = SqliteBus(":memory:", partitions=2, lease=30.0)
    one, two = (bus.session("t", group="g", member=name) for name in ("a", "b"))
    for _ in range(3):
        one.poll(1, 0.0)
        two.poll(1, 0.0)
        clock.running += 1.1
    owned = {"a": set(one._epochs), "b": set(two._epochs)}
    assert sorted(map(len, owned.values())) == [1, 1]
    for step in (HOUR, -2 * HOUR, 48 * HOUR):
        clock.wall += step
        clock.running += 1.1
        for session in (one, two):
            batch = session.poll(1, 0.0)
            assert batch.gained == batch.lost == []
    clock.running += 31.0  # and a dead one is still noticed
    one.poll(1, 0.0)
    clock.running += 1.1
    assert one.poll(1, 0.0).gained or len(one._epochs) == 2


def test_leases_from_before_a_reboot_hold_nothing(clock: Clock) -> None:
    bus = SqliteBus(":memory:", partitions=1)
    clock.running = 1_000_000.0  # the machine had run for days
    bus.session("t", group="g", member="old-host").poll(1, 0.0)
    clock.running = 5.0
    assert take_all(bus, "new-host")[0] == [0]


def test_the_time_of_an_append_never_falls(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    bus = SqliteBus(":memory:", partitions=1)
    for step in (0, HOUR, -HOUR, HOUR, -3 * HOUR):
        clock.wall += step
        for _ in range(3):
            bus.append("t", records(1))
    times = [item.time for item in bus.read(Position("t", 0, 0), 100)]
    assert times == sorted(times)
    assert times[-1] - times[0] == HOUR
    assert [record.getMessage().split("; ")[0] for record in caplog.records] == [
        "bus :memory:: the clock is 3600 s behind the last append",
        "bus :memory:: the clock is 10800 s behind the last append",
    ]


def test_a_damaged_batch_is_a_gap_and_the_next_is_read(tmp_path: Path) -> None:
    path = tmp_path / "bus.sqlite"
    bus = SqliteBus(str(path), partitions=1)
    for start in (0, 10, 20):
        bus.append("t", records(10, start))
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE batches SET payload = substr(payload, 1, 20) WHERE base = 10")
    with pytest.raises(BusError, match=r"t/0: records 10 to 19 are damaged"):
        bus.read(Position("t", 0, 10), 5)
    assert len(bus.read(Position("t", 0, 5), 100)) == 5, "what comes before is read"
    session = bus.session("t", group="g", member="a")
    first, second = session.poll(100, 0.0), session.poll(100, 0.0)
    assert [int(item.value) for item in first.records[0]] == list(range(10))
    assert second.gaps == [Gap("t", 0, 10, 20, "damaged")]
    session.commit({0: Step(20)})
    assert [int(item.value) for item in session.poll(100, 0.0).records[0]] == list(range(20, 30))


def test_trimming_goes_in_small_transactions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("almena.bus.sqlite._TRIMMED_AT_ONCE", 3)
    bus = SqliteBus(str(tmp_path / "bus.sqlite"), partitions=1)
    for start in range(0, 70, 10):
        bus.append("t", records(10, start))
    time.sleep(0.002)
    before = time.time_ns() // 1000
    bus.append("t", records(5, 70))
    assert bus.trim("t", before) == 70
    assert bus.trim("t", before) == 0
    assert [int(item.value) for item in bus.read(Position("t", 0, 70), 100)] == list(range(70, 75))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process writes, and takes its time."""
    code = (
        "import sqlite3, sys\n"
        f"db = sqlite3.connect({str(path)!r}, isolation_level=None)\n"
        "db.execute('BEGIN IMMEDIATE')\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        try:
            yield
        finally:
            process.communicate()


def test_a_lock_held_too_long_refuses_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "bus.sqlite"
    bus = SqliteBus(str(path), partitions=1, patience=0.1)
    bus.append("t", records(3))
    session = bus.session("t", group="g", member="a")
    with locked(path):
        with pytest.raises(BusError, match=r"bus .*bus\.sqlite: nothing was written: database is locked; another proc"):
            bus.append("t", records(1, 3))
        with pytest.raises(BusError, match="locked"):
            session.poll(10, 0.0)
        assert values(bus) == [0, 1, 2], "reading goes on"
        other = SqliteBus(str(path), patience=0.1)
        assert values(other) == [0, 1, 2], "and so does opening"
        other.close()
    batch = session.poll(10, 0.0)
    assert batch.gained == [0]
    assert [int(item.value) for item in batch.records[0]] == [0, 1, 2]
    bus.append("t", records(1, 3))
    assert values(bus) == [0, 1, 2, 3]


def test_several_processes_may_create_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bus.sqlite"
    code = (
        f"from almena.bus import *; bus = open_bus('sqlite:{path}'); bus.append('t', [Record('', b'1')]); bus.close()"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(6)]
    said = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 6, said
    assert sum(open_bus(f"sqlite:{path}").ends("t").values()) == 6


def crash(path: Path, count: int) -> None:
    """Append from a process that dies with its file open, so that all lies in the -wal file."""
    code = (
        "import os\n"
        "from almena.bus import Record, open_bus\n"
        f"bus = open_bus('sqlite:{path}', partitions=1)\n"
        f"for number in range({count}):\n"
        "    bus.append('t', [Record('s/l', b'%d' % number)])\n"
        "os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9


@pytest.mark.parametrize("cut", [1, 24, 4096, 5000, 20_000])
def test_a_torn_end_of_the_wal_costs_the_last_appends_and_no_more(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "bus.sqlite"
    crash(path, 20)
    wal = path.with_name("bus.sqlite-wal")
    os.truncate(wal, wal.stat().st_size - cut)
    bus = SqliteBus(str(path))
    found = values(bus)
    assert found == list(range(len(found))), "a prefix"
    assert 20 - len(found) <= 1 + cut // 4096
    bus.append("t", records(1, len(found)))
    assert values(bus) == list(range(len(found) + 1))


@pytest.mark.parametrize("place", [0.3, 0.6, 0.95])
def test_garbage_in_the_wal_cuts_it_there(tmp_path: Path, place: float) -> None:
    path = tmp_path / "bus.sqlite"
    crash(path, 20)
    wal = path.with_name("bus.sqlite-wal")
    with wal.open("r+b") as file:
        file.seek(int(wal.stat().st_size * place))
        file.write(os.urandom(64))
    found = values(SqliteBus(str(path)))
    assert found == list(range(len(found)))
    assert len(found) < 20


def test_a_torn_last_page_of_the_file_is_said_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "bus.sqlite"
    bus = SqliteBus(str(path), partitions=1)
    for _ in range(30):
        bus.append("t", [Record("s/l", os.urandom(200)) for _ in range(100)])
    bus.close()
    os.truncate(path, path.stat().st_size - 4096 * 20)
    with pytest.raises(BusError, match=r"bus\.sqlite: .*malformed; stop Almena and bring a backup back"):
        values(SqliteBus(str(path)))


def test_the_wal_removed_under_open_files_is_saved_when_they_close_in_order(tmp_path: Path) -> None:
    path = tmp_path / "bus.sqlite"
    bus = SqliteBus(str(path), partitions=1)
    bus.append("t", records(5))
    path.with_name("bus.sqlite-wal").unlink()
    bus.append("t", records(5, 5))
    with pytest.raises(BusError, match=r"cannot be opened: disk I/O error; .* stop all roles in good order"):
        SqliteBus(str(path))
    bus.append("t", records(5, 10))
    bus.close()
    assert values(SqliteBus(str(path))) == list(range(15))


def test_the_wal_removed_after_a_crash_gives_an_older_whole_bus(tmp_path: Path) -> None:
    path = tmp_path / "bus.sqlite"
    bus = SqliteBus(str(path), partitions=1)
    bus.append("t", records(1))
    bus.close()
    crash(path, 20)
    path.with_name("bus.sqlite-wal").unlink()
    path.with_name("bus.sqlite-shm").unlink(missing_ok=True)
    bus = SqliteBus(str(path))
    assert values(bus) == [0], "what was only in the removed file is gone: never remove it"
    bus.append("t", records(1, 1))
    assert values(bus) == [0, 1]


@contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """Nobody can write into `folder`, not even root."""
    if os.getuid() != 0:
        folder.chmod(0o500)
        for file in folder.iterdir():
            file.chmod(0o400)
        try:
            yield
        finally:
            folder.chmod(0o700)
            for file in folder.iterdir():
                file.chmod(0o600)
        return
    bind = subprocess.run(["mount", "--bind", folder, folder], check=False, capture_output=True)
    if bind.returncode != 0:
        pytest.skip("root may not mount here, so nothing is unwritable for it")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    path = folder / "bus.sqlite"
    bus = SqliteBus(str(path), partitions=1)
    bus.append("t", records(3))
    bus.close()
    with (
        unwritable(folder),
        pytest.raises(BusError, match=r"data/bus\.sqlite: cannot be opened: .*(denied|[Rr]ead-only)"),
    ):
        SqliteBus(str(path))
    bus = SqliteBus(str(path))
    bus.append("t", records(1, 3))
    assert values(bus) == [0, 1, 2, 3]


def test_the_wal_stays_small_while_others_read_all_the_time(tmp_path: Path) -> None:
    path = tmp_path / "bus.sqlite"
    writer = SqliteBus(str(path), partitions=1)
    writer.partitions("t")
    stop = threading.Event()

    def read() -> None:
        bus = SqliteBus(str(path))
        session = bus.session("t", group="g", member=threading.current_thread().name)
        while not stop.is_set():
            batch = session.poll(500, 0.01)
            if batch.records:
                session.commit({number: Step(found[-1].offset + 1) for number, found in batch.records.items()})
        bus.close()

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    largest = 0
    for _ in range(300):
        writer.append("t", [Record("s/l", os.urandom(20_000)) for _ in range(5)])
        largest = max(largest, path.with_name("bus.sqlite-wal").stat().st_size)
    stop.set()
    for reader in readers:
        reader.join()
    assert largest < 16 << 20, "30 MB were written"
