from __future__ import annotations

import gc
import logging
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from almena import metrics
from almena.bus import DEAD, EVENTS, LEDGER, Bus, Outputs, Position, Record, Stored, open_bus
from almena.bus.settings import KafkaSettings
from almena.bus.spool import DELAYED, MARKER_EVERY, RESERVE, Appendable, Later, Spool
from almena.bus.spoolfile import SpoolFile
from almena.bus.sqlite import SqliteBus
from almena.clock import DAY, SECOND, now
from almena.errors import BusError, ConfigError, Fenced
from deploy.dev.broker import Broker

LIMIT = 64 << 20


class Door:
    """A real bus behind a door: shut it refuses, and `unknown` refusals come after the records are on it."""

    def __init__(self, bus: SqliteBus) -> None:
        self.bus = bus
        self.shut = False
        self.unknown = 0
        self.error: BusError = BusError("no broker")
        self.appends: list[int] = []
        self.pause = 0.0

    def append_all(self, outputs: Outputs) -> None:
        if self.shut:
            raise self.error
        time.sleep(self.pause)
        self.bus.append_all(outputs)
        self.appends.append(sum(map(len, outputs.values())))
        if self.unknown:
            self.unknown -= 1
            raise BusError("no answer in time")

    def partitions(self, topic: str) -> int:
        if self.shut:
            raise self.error
        return self.bus.partitions(topic)

    def close(self) -> None:
        pass


@pytest.fixture
def door() -> Iterator[Door]:
    bus = SqliteBus(":memory:", partitions=4)
    yield Door(bus)
    bus.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.sqlite"


@pytest.fixture
def spool(door: Door, path: Path) -> Iterator[Spool]:
    made = Spool(door, path, LIMIT)
    yield made
    made.close()


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.01)


def numbered(lane: str, start: int, count: int) -> list[Record]:
    return [Record(f"s/{lane}", b"%d" % number, {"lane": lane}) for number in range(start, start + count)]


def stored(bus: SqliteBus, topic: str = EVENTS) -> list[Stored]:
    found: list[Stored] = []
    for partition in range(bus.partitions(topic)):
        offset = 0
        while batch := bus.read(Position(topic, partition, offset), 10_000):
            found += batch
            offset = batch[-1].offset + 1
    return found if topic != EVENTS else [record for record in found if not is_knock(record)]


def is_knock(record: Stored) -> bool:
    """Whether it only asked whether the bus is back."""
    return int(record.headers.get(DELAYED, "0")) >= DAY and record.headers.get("marker") == "idle"


def lanes(bus: SqliteBus) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for record in stored(bus):
        found.setdefault(record.headers["lane"], []).append(int(record.value))
    return found


def test_what_the_bus_takes_never_touches_the_file(door: Door, spool: Spool) -> None:
    spool.append(EVENTS, numbered("a", 0, 3))
    spool.append_all({DEAD: numbered("a", 3, 1), LEDGER: numbered("a", 4, 1)})
    assert lanes(door.bus) == {"a": [0, 1, 2]}
    assert (len(stored(door.bus, DEAD)), len(stored(door.bus, LEDGER)), spool.records) == (1, 1, 0)
    assert all(DELAYED not in record.headers for record in stored(door.bus))


def test_nothing_overtakes_what_waits_and_each_says_how_long_it_waited(
    door: Door, spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    spool.append(EVENTS, numbered("a", 0, 2))
    door.shut = True
    began = now()
    for number in range(2, 50):
        spool.append(EVENTS, numbered("a", number, 1) + numbered("b", number, 1))
        spool.append(DEAD, [Record("k", b"x")])
    assert spool.records == 3 * 48
    time.sleep(0.3)
    door.shut = False
    until(lambda: not spool.records)
    spool.append(EVENTS, numbered("a", 50, 1))
    waited = now() - began
    assert lanes(door.bus) == {"a": list(range(51)), "b": list(range(2, 50))}
    delays = {int(r.value): int(r.headers.get(DELAYED, "-1")) for r in stored(door.bus) if r.headers["lane"] == "a"}
    assert {number for number, delay in delays.items() if delay < 0} == {0, 1, 50}
    assert all(200_000 <= delays[number] <= waited for number in range(2, 50))
    assert sorted(delays.values(), reverse=True)[0] == delays[2] >= delays[49]
    assert len(stored(door.bus, DEAD)) == 48
    said = [entry.getMessage() for entry in caplog.records]
    assert len(said) == 2
    assert "the bus refuses; records wait in" in said[0]
    assert "144 records that waited in" in said[1]


def test_a_record_comes_out_as_it_went_in(door: Door, spool: Spool) -> None:
    door.shut = True
    record = Record("clé/ñ", bytes(range(256)), {"lane": "é", "": "\x00"}, partition=3)
    spool.append(EVENTS, [record])
    door.shut = False
    until(lambda: not spool.records)
    (found,) = stored(door.bus)
    headers = dict(found.headers)
    assert int(headers.pop(DELAYED)) >= 0
    assert (found.partition, found.key, found.value, headers) == (3, record.key, record.value, record.headers)


def test_appends_go_on_while_it_drains_and_the_file_empties_under_load(
    door: Door, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("almena.bus.spool.DRAINED_RECORDS", 4_000)
    door.shut = True
    spool = Spool(door, path, LIMIT)
    for number in range(20):
        spool.append(EVENTS, numbered("a", number * 1_000, 1_000))
    stop, reached = threading.Event(), [20_000]

    def load() -> None:
        while not stop.is_set():
            spool.append(EVENTS, numbered("a", reached[0], 1_000))
            reached[0] += 1_000
            if door.shut:
                stop.wait(0.01)

    thread = threading.Thread(target=load)
    thread.start()
    try:
        door.pause = 0.03  # slower than the disk: only taking turns lets it end
        time.sleep(0.1)
        door.shut = False
        until(lambda: not spool.records)
    finally:
        stop.set()
        thread.join()
    until(lambda: not spool.records)
    spool.close()
    assert lanes(door.bus) == {"a": list(range(reached[0]))}
    assert max(door.appends) >= 4_000


def test_an_append_whose_outcome_was_unknown_is_repeated_whole(door: Door, spool: Spool) -> None:
    door.unknown = 2
    spool.append(EVENTS, numbered("a", 0, 10))
    spool.append(EVENTS, numbered("a", 10, 10))
    until(lambda: not spool.records)
    found = lanes(door.bus)["a"]
    assert sorted(set(found)) == list(range(20))
    high = -1
    fresh = []  # as detect reads it: what is at or below the highest is a repeat
    for number in found:
        if number > high:
            fresh.append(number)
            high = number
    assert fresh == list(range(20))
    assert len(found) > 20


def test_beyond_the_bound_it_refuses_and_keeps_what_it_has(door: Door, path: Path) -> None:
    door.shut = True
    spool = Spool(door, path, 200_000)
    kept = 0
    said = ""
    while not said:
        try:
            spool.append(EVENTS, [Record("s/a", os.urandom(5_000), {"lane": "a"}) for _ in range(3)])
            kept += 3
        except BusError as error:
            said = str(error)
    assert re.search(rf"spool\.sqlite: full: {kept} records wait, .*the bus refuses: no broker", said)
    assert kept >= 9
    assert spool.records == kept
    assert metrics.SPOOL_RECORDS._value.get() == kept
    assert 150_000 < metrics.SPOOL_BYTES._value.get() <= 200_000
    door.shut = False
    until(lambda: not spool.records)
    spool.append(EVENTS, numbered("a", 1, 1))
    spool.close()
    assert len(stored(door.bus)) == kept + 1
    assert metrics.SPOOL_RECORDS._value.get() == metrics.SPOOL_BYTES._value.get() == 0


def test_the_ledger_still_finds_room_where_events_do_not(door: Door, path: Path) -> None:
    door.shut = True
    spool = Spool(door, path, 10_000)
    spool.append(EVENTS, [Record("s/a", os.urandom(9_000), {"lane": "a"})])
    with pytest.raises(BusError, match="full"):
        spool.append(EVENTS, [Record("s/a", os.urandom(9_000), {"lane": "a"})])
    spool.append(LEDGER, [Record("drop/a", os.urandom(9_000))])
    with pytest.raises(BusError, match="full"):
        spool.append(LEDGER, [Record("drop/a", os.urandom(RESERVE))])
    spool.close()


def test_with_a_limit_of_0_nothing_is_kept_but_what_was_kept_is_brought(door: Door, path: Path) -> None:
    door.shut = True
    before = Spool(door, path, LIMIT)
    before.append(EVENTS, numbered("a", 0, 5))
    before.close()
    spool = Spool(door, path, 0)
    with pytest.raises(BusError):
        spool.append(EVENTS, numbered("a", 5, 1))
    door.shut = False
    until(lambda: not spool.records)
    door.shut = True
    with pytest.raises(BusError, match=r"^no broker$"):
        spool.append(LEDGER, numbered("a", 5, 1))
    spool.close()
    assert lanes(door.bus) == {"a": [0, 1, 2, 3, 4]}


def test_a_full_disk_is_a_refusal_and_nothing_is_lost(door: Door, spool: Spool) -> None:
    door.shut = True
    spool.append(EVENTS, numbered("a", 0, 10))
    pages = spool._file._db.execute("PRAGMA page_count").fetchone()[0]
    spool._file._db.execute(f"PRAGMA max_page_count={pages + 2}")
    with pytest.raises(BusError, match=r"spool .*nothing was written: .*full; make room on its disk"):
        spool.append(EVENTS, [Record("s/a", os.urandom(50_000), {"lane": "a"})])
    assert spool.records == 10
    spool._file._db.execute("PRAGMA max_page_count=1000000")
    spool.append(EVENTS, numbered("a", 10, 10))
    door.shut = False
    until(lambda: not spool.records)
    assert lanes(door.bus) == {"a": list(range(20))}


def test_the_disk_gets_back_what_an_outage_took(door: Door, spool: Spool, path: Path) -> None:
    door.shut = True
    for _ in range(4):
        spool.append(EVENTS, [Record("s/a", os.urandom(2_000_000), {"lane": "a"})])
    assert path.stat().st_size + Path(f"{path}-wal").stat().st_size > 8_000_000
    door.shut = False
    until(lambda: not spool.records)
    spool.append(EVENTS, [Record("s/a", b"", {"lane": "a"})])
    until(lambda: path.stat().st_size < 100_000)


def test_markers_do_not_fill_the_file(door: Door, spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = [now()]
    monkeypatch.setattr("almena.bus.spool.now", lambda: moment[0])
    door.shut = True
    markers = [Record("", b"", {"marker": "idle"}, partition=number) for number in range(4)]
    for _ in range(100):
        spool.append(EVENTS, markers)
        moment[0] += SECOND
    assert spool.records == 4 * 100 * SECOND // MARKER_EVERY
    spool.append(EVENTS, [*numbered("a", 0, 1), *markers[:1]])
    spool.append(EVENTS, [Record("", b"", {"marker": "end"}, partition=0)])
    monkeypatch.undo()
    door.shut = False
    until(lambda: not spool.records)
    kinds = [record.headers.get("marker") for record in stored(door.bus)]
    assert kinds.count(None) == kinds.count("end") == 1


def test_partitions_are_not_asked_for_while_the_bus_is_away(door: Door, spool: Spool) -> None:
    assert spool.partitions(EVENTS) == 4
    door.shut = True
    spool.append(EVENTS, numbered("a", 0, 1))
    assert spool.partitions(EVENTS) == 4
    door.shut = False
    door.pause = 0.2
    with pytest.raises(BusError, match="no broker"):
        spool.partitions(DEAD)
    until(lambda: not spool.records)
    assert spool.partitions(DEAD) == 4


def test_whoever_is_fenced_keeps_nothing_and_is_told_so(door: Door, path: Path) -> None:
    spool = Spool(door, path, LIMIT)
    door.shut, door.error = True, Fenced("another process has this name")
    with pytest.raises(Fenced):
        spool.append(EVENTS, numbered("a", 0, 1))
    assert spool.records == 0
    door.error = BusError("no broker")
    spool.append(EVENTS, numbered("a", 0, 1))
    door.error = Fenced("another process has this name")
    until(lambda: spool._fenced)
    with pytest.raises(Fenced, match="another process"):
        spool.append(EVENTS, numbered("a", 1, 1))
    spool.close()
    after = Spool(door, path, LIMIT)
    assert after.records == 1
    after.close()


def test_only_one_process_has_the_file(door: Door, spool: Spool, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("almena.bus.spoolfile._PATIENCE", 0.1)
    with pytest.raises(BusError, match=r"spool .*cannot be opened: database is locked"):
        Spool(door, path, LIMIT)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_in_a_folder_that_is_a_file_is_refused(door: Door, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(BusError, match="cannot be opened"):
        Spool(door, tmp_path / "data" / "spool.sqlite", LIMIT)


def losses(bus: SqliteBus) -> list[tuple[str, str, int]]:
    entries = [msgspec.json.decode(record.value) for record in stored(bus, LEDGER)]
    return [(entry["source"], entry["reason"], entry["count"]) for entry in entries]


def test_what_is_no_sqlite_file_is_put_aside_and_told(door: Door, path: Path) -> None:
    path.write_bytes(b"garbage" * 1_000)
    spool = Spool(door, path, LIMIT)
    until(lambda: not spool.records)
    spool.append(EVENTS, numbered("a", 0, 1))
    spool.close()
    assert losses(door.bus) == [("bus.spool", "damaged", 1)]
    (aside,) = path.parent.glob("spool.sqlite.damaged-*")
    assert aside.read_bytes() == b"garbage" * 1_000


def test_a_damaged_row_costs_its_records_only(door: Door, path: Path) -> None:
    door.shut = True
    spool = Spool(door, path, LIMIT)
    for number in range(3):
        spool.append(EVENTS, numbered("a", number * 10, 10))
    spool.close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE waiting SET payload = x'00' WHERE number = 2")
    db.close()
    door.shut = False
    spool = Spool(door, path, LIMIT)
    until(lambda: not spool.records)
    spool.close()
    assert lanes(door.bus) == {"a": [*range(10), *range(20, 30)]}
    assert losses(door.bus) == [("bus.spool", "damaged", 10)]


def test_damaged_pages_are_put_aside_with_all_that_waited(door: Door, path: Path) -> None:
    door.shut = True
    spool = Spool(door, path, LIMIT)
    for number in range(30):
        spool.append(EVENTS, [Record("s/a", os.urandom(3_000), {"lane": "a", "n": str(number)})])
    spool.close()
    data = bytearray(path.read_bytes())
    data[8192:] = os.urandom(len(data) - 8192)
    path.write_bytes(bytes(data))
    door.shut = False
    spool = Spool(door, path, LIMIT)
    until(lambda: not spool.records)
    spool.append(EVENTS, numbered("b", 0, 1))
    spool.close()
    assert len(stored(door.bus)) + sum(count for _, _, count in losses(door.bus)) >= 2
    assert losses(door.bus)
    assert list(path.parent.glob("spool.sqlite.damaged-*"))


def test_a_bus_that_is_away_at_the_start_is_opened_later(door: Door, path: Path) -> None:
    tries = []

    def opened() -> Appendable:
        tries.append(1)
        if door.shut:
            raise BusError("no broker")
        return door

    door.shut = True
    later = Later(opened)
    spool = Spool(later, path, LIMIT)
    with pytest.raises(BusError):
        spool.partitions(EVENTS)
    spool.append(EVENTS, numbered("a", 0, 3))
    door.shut = False
    until(lambda: not spool.records)
    before = len(tries)
    spool.append(EVENTS, numbered("a", 3, 3))
    assert len(tries) == before
    assert lanes(door.bus) == {"a": list(range(6))}
    assert spool.partitions(EVENTS) == 4
    spool.close()


def test_nobody_waits_for_a_bus_that_is_known_to_be_away(door: Door, path: Path) -> None:
    spool = Spool(door, path, 10_000, away="no broker")
    door.pause = 1.0  # so long a client looks for brokers
    began = time.monotonic()
    with pytest.raises(BusError, match="no broker"):
        spool.partitions(EVENTS)
    with pytest.raises(BusError, match="full"):
        spool.append(EVENTS, [Record("s/a", os.urandom(20_000), {"lane": "a"})])
    assert time.monotonic() - began < 0.9
    door.pause = 0.0
    spool.append(EVENTS, [Record("s/a", os.urandom(20_000), {"lane": "a"})])
    spool.close()
    assert len(stored(door.bus)) == 1, "what never fits is tried on the bus itself"
    spool = Spool(door, path, 10_000, away="no broker")
    spool.append(EVENTS, numbered("a", 0, 3))
    until(lambda: not spool.records)
    assert len(stored(door.bus)) == 4
    assert spool.partitions(EVENTS) == 4
    spool.close()


def test_a_wrong_configuration_is_told_at_once() -> None:
    def opened() -> Appendable:
        raise ConfigError("kafka: password_file: no such file")

    with pytest.raises(ConfigError):
        Later(opened).reach()


_CHILD = """
    import sys
    from pathlib import Path
    from almena.bus import EVENTS, Record
    from almena.bus.spool import Spool
    from almena.errors import BusError

    class Away:
        def append_all(self, outputs):
            raise BusError("no broker")
        def partitions(self, topic):
            return 4
        def close(self):
            pass

    spool = Spool(Away(), Path(sys.argv[1]), 1 << 30)
    number = 0
    while True:
        spool.append(EVENTS, [Record("s/a", b"%d" % (number + each), {"lane": "a"}) for each in range(7)])
        number += 7
        print(number, flush=True)
"""


def test_what_waited_at_kill_9_goes_first_in_the_next_process(door: Door, path: Path) -> None:
    for _ in range(3):
        child = subprocess.Popen([sys.executable, "-c", dedent(_CHILD), str(path)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(20)]
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        assert int(lines[-1]) == 20 * 7
    spool = Spool(door, path, LIMIT)
    assert spool.records >= 3 * 20 * 7
    spool.append(EVENTS, numbered("last", 0, 1))
    until(lambda: not spool.records)
    spool.close()
    values = [int(record.value) for record in stored(door.bus) if record.headers["lane"] == "a"]
    runs = [index for index, value in enumerate(values) if value == 0]
    assert len(runs) == 3
    for start, end in zip(runs, [*runs[1:], len(values)], strict=True):
        assert values[start:end] == list(range(end - start))
        assert (end - start) % 7 == 0
        assert end - start >= 20 * 7


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.integers(1, 40)),
            st.tuples(st.sampled_from(["shut", "open", "unknown", "kill", "wait"]), st.just(0)),
        ),
        max_size=25,
    )
)
def test_whatever_happens_each_lane_is_whole_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[str, int]]
) -> None:
    path = tmp_path_factory.mktemp("spool") / "spool.sqlite"
    door = Door(SqliteBus(":memory:", partitions=2))
    spool = Spool(door, path, LIMIT)
    reached = 0
    for name, count in actions:
        match name:
            case "append":
                spool.append(EVENTS, numbered("a", reached, count))
                reached += count
            case "shut" | "open":
                door.shut = name == "shut"
            case "unknown":
                door.unknown = 1
            case "wait":
                time.sleep(0.01)
            case _:
                spool.close()
                spool = Spool(door, path, LIMIT)
    door.shut = False
    until(lambda: not spool.records)
    spool.close()
    high, fresh = -1, []
    for number in lanes(door.bus).get("a", []):
        if number > high:
            fresh.append(number)
            high = number
    assert fresh == list(range(reached))
    left = SpoolFile(path)
    assert (left.records, left.bytes, left.oldest) == (0, 0, 0)
    left.close()
    door.bus.close()


@pytest.fixture
def tidy() -> Iterator[None]:
    """The client leaves a socket to the garbage collector when a broker dies."""
    yield
    gc.collect()


@pytest.mark.faults
@pytest.mark.usefixtures("tidy")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_real_broker_that_dies_gets_everything_when_it_is_back(
    own_broker: Broker, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "kafka")  # a record that is kept would keep its socket open
    url, here = f"kafka://{own_broker.address}", [0]

    def bus() -> Bus:
        opened = open_bus(url, partitions=2, name="collect@test", kafka=KafkaSettings(prefix="spool"))
        opened.partitions(EVENTS)
        return opened

    def send(count: int) -> None:
        place.append(EVENTS, numbered("a", here[0], count))
        here[0] += count

    place = Spool(Later(bus), path, LIMIT)
    send(100)
    assert place.records == 0
    own_broker.kill()
    moments = {}
    for _ in range(5):
        moments[here[0]] = now()
        send(100)
    assert place.records == 500
    own_broker.start()
    until(lambda: not place.records, 60)
    send(100)
    place.close()
    reader = bus()
    found = [record for partition in range(2) for record in reader.read(Position(EVENTS, partition, 0), 10_000)]
    reader.close()
    high, fresh = -1, []
    for record in found:
        if not is_knock(record) and int(record.value) > high:
            fresh.append(record)
            high = int(record.value)
    assert [int(record.value) for record in fresh] == list(range(here[0]))
    for number, moment in moments.items():
        assert abs(fresh[number].time - moment) < SECOND, "judged as of when it came"
        assert int(fresh[number].headers[DELAYED]) > SECOND
