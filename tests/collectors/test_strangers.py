"""Files that come packed, or are packed while they are followed: what was not read yet is read there, and only that."""

from __future__ import annotations

import bz2
import gzip
import logging
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from following import LINES, LONG, Follower, put

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "zst": zstandard.compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
}
every = pytest.mark.parametrize("suffix", sorted(PACKERS))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


def pack(path: Path, suffix: str, *, keep: bool = False, name: str = "") -> Path:
    """As `gzip` does it: the packed file is there before the other one goes."""
    packed = path.with_name(name or f"{path.name}.{suffix}")
    packed.write_bytes(PACKERS[suffix](path.read_bytes()))
    if not keep:
        path.unlink()
    return packed


@every
@pytest.mark.parametrize("pattern", ["app.log", "app.log*"])
@pytest.mark.parametrize("size", [1, 60])
def test_a_file_packed_while_nobody_watched_is_read_on(
    tmp_path: Path, log: Path, suffix: str, pattern: str, size: int
) -> None:
    reader = Follower(tmp_path, pattern)
    put(log, b"".join(line + b"\n" for line in [b"a first line that is long enough to be known " * 2, *LINES[:size]]))
    reader.read()
    reader.tail.close()
    put(log, b"two\nthree, without an end")
    pack(log.rename(tmp_path / "app.log.1"), suffix)
    put(log, b"new\n")
    reader.tail = reader.opened()
    assert sorted(reader.read()) == [b"new", b"three, without an end", b"two"]
    lanes = {record.data: record.lane for record in reader.handed}
    assert lanes[b"two"] == lanes[LINES[0]] != lanes[b"new"]
    reader.restart()
    assert reader.read() == []
    for old in sorted(tmp_path.glob("app.log.*")):
        old.rename(old.with_name(f"moved.{old.name}" if pattern == "app.log" else f"{old.name}.old"))
    assert reader.read() == []
    assert len(reader.kept()) == len(reader.handed)


@every
@pytest.mark.parametrize("kept", [False, True])
def test_a_file_that_was_read_and_is_packed_gives_nothing_new(
    tmp_path: Path, log: Path, suffix: str, kept: bool
) -> None:
    reader = Follower(tmp_path, "app.log*")
    put(log, LONG)
    assert reader.read() == LINES
    old = log.rename(tmp_path / "app.log.1")
    put(log, b"new\n")
    assert reader.read() == [b"new"]
    pack(old, suffix, keep=kept)
    assert reader.read() == []
    reader.restart()
    assert reader.read() == []
    if kept:
        old.unlink()
        assert reader.read() == []
        assert reader.read() == []


def test_a_file_packed_before_it_was_read_to_its_end_is_read_once(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collectors.tail._BUDGET", 1_000)
    reader = Follower(tmp_path, "app.log*", limit=1_000)
    put(log, LONG * 200)
    for _ in range(3):
        reader.handed += reader.tail.poll()
        reader.tail.commit()
    pack(log.rename(tmp_path / "app.log.1"), "gz")
    reader.lose()
    reader.read()
    assert [record.data for record in reader.kept()] == LINES * 200


@every
def test_packed_files_of_the_patterns_are_read_once(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"old.{suffix}").write_bytes(PACKERS[suffix](LONG) + PACKERS[suffix](LONG + b"rest"))
    reader = Follower(tmp_path, "*")
    reader.lose()
    reader.read()
    assert [record.data for record in reader.kept()] == [*LINES, *LINES, b"rest"]
    assert [record.seq for record in reader.kept()] == [record.place for record in reader.kept()]
    assert reader.kept()[-1].place == 2 * len(LONG)
    count = len(reader.handed)
    for _ in range(3):
        reader.restart()
        assert reader.read() == []
    assert len(reader.handed) == count


def test_packed_files_that_are_there_at_the_first_start_are_not_read_from_the_end(tmp_path: Path) -> None:
    (tmp_path / "old.gz").write_bytes(gzip.compress(LONG))
    reader = Follower(tmp_path, "*.gz", start="end")
    assert reader.read() == []
    (tmp_path / "new.gz").write_bytes(gzip.compress(b"new\n"))
    assert reader.read() == [b"new"]


@every
def test_a_packed_file_that_still_grows_is_followed(tmp_path: Path, suffix: str) -> None:
    data = PACKERS[suffix](os.urandom(100_000).hex().encode() + b"\nlast\n")
    path = tmp_path / f"a.{suffix}"
    reader = Follower(tmp_path, "a.*", linger=600.0)
    for at in range(0, len(data), 20_000):
        put(path, data[at : at + 20_000])
        reader.read()
    found = reader.read()
    assert [record.data for record in reader.handed][-1:] == [b"last"]
    assert found == []
    assert reader.tail.lost == {}


@every
def test_what_a_damaged_packed_file_holds_before_the_damage_is_read(
    tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [b"%d %s" % (number, os.urandom(20).hex().encode()) for number in range(100_000)]
    data = PACKERS[suffix](b"".join(line + b"\n" for line in lines))
    (tmp_path / f"cut.{suffix}").write_bytes(data[: len(data) // 2])
    reader = Follower(tmp_path, "cut.*")
    reader.read()
    found = [record.data for record in reader.handed]
    assert len(found) > 1_000
    assert found[:-1] == lines[: len(found) - 1]
    assert reader.tail.lost == {"damaged file": 1}
    assert "ends too early; the rest of it is not read" in caplog.text
    reader.restart()
    assert reader.read() == []


def test_a_packed_file_is_read_up_to_a_bound(tmp_path: Path) -> None:
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(b"line\n" + b"\0" * (64 << 20)))
    reader = Follower(tmp_path, "*.gz", unpacked=1 << 20, limit=100)
    assert reader.read() == [b"line", b"\0" * 100]
    assert reader.tail.lost == {"damaged file": 1}


def test_noise_that_claims_to_be_packed_is_counted(tmp_path: Path) -> None:
    for number, magic in enumerate((b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"BZh91AY&SY")):
        put(tmp_path / f"{number}.log", magic + b"\0noise\n" * 20)
    reader = Follower(tmp_path, "*.log")
    assert b"".join(reader.read()).count(b"noise") == 0
    assert reader.tail.lost == {"damaged file": 4}


def test_archives_and_event_logs_are_named_and_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path / "a.log", b"PK\x03\x04" + b"x\n" * 100)
    put(tmp_path / "b.log", b"ElfFile\0" + b"x\n" * 100)
    reader = Follower(tmp_path, "*.log")
    assert reader.read() == []
    assert reader.read() == []
    assert "a.log: is a zip archive" in caplog.text
    assert "b.log: is an event log" in caplog.text
    assert len(caplog.records) == 2


def test_files_that_begin_alike_and_go_on_differently_are_no_copies(tmp_path: Path, log: Path) -> None:
    head = b"# a title that is as long as many, " * 40 + b"\n"
    put(log, head + b"one\n")
    reader = Follower(tmp_path, "app.log*")
    assert reader.read() == [head[:-1], b"one"]
    (tmp_path / "app.log.1.gz").write_bytes(gzip.compress(head + b"two\n"))
    put(tmp_path / "app.log.2", head + b"six\nseven\n")
    assert sorted(reader.read()) == [head[:-1], head[:-1], b"seven", b"six", b"two"]


def test_a_copy_that_was_packed_at_once_is_read_for_what_was_not_read(tmp_path: Path, log: Path) -> None:
    """copytruncate and compress, between two looks."""
    reader = Follower(tmp_path, "app.log*")
    put(log, LONG)
    reader.read()
    put(log, b"only in the copy\n")
    pack(log, "gz", keep=True, name="app.log.1.gz")
    os.truncate(log, 0)
    put(log, b"new\n")
    reader.read()
    texts = [record.data for record in reader.handed]
    assert sorted(texts) == sorted([*LINES, b"only in the copy", b"new"])
    reader.restart()
    assert reader.read() == []


def test_a_copy_that_was_made_before_the_last_lines_holds_nothing_new(tmp_path: Path, log: Path) -> None:
    reader = Follower(tmp_path, "app.log*")
    put(log, LONG)
    reader.read()
    pack(log, "gz", keep=True, name="app.log.1.gz")
    put(log, b"after the copy\n")
    assert reader.read() == [b"after the copy"]
    os.truncate(log, 0)
    put(log, b"new\n")
    assert reader.read() == [b"new"]
    assert reader.read() == []
    reader.restart()
    assert reader.read() == []


def test_a_file_packed_into_another_folder_is_known(tmp_path: Path, log: Path) -> None:
    reader = Follower(tmp_path, "**/app*")
    (tmp_path / "old").mkdir()
    put(log, LONG)
    reader.read()
    put(log, b"rest\n")
    reader.tail.close()
    (tmp_path / "old" / "app-20261122.log.gz").write_bytes(gzip.compress(log.read_bytes()))
    log.unlink()
    reader.tail = reader.opened()
    assert reader.read() == [b"rest"]


def test_a_file_whose_packed_form_is_still_being_written_is_waited_for(
    tmp_path: Path, log: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    reader = Follower(tmp_path, "app.log", linger=600.0)
    first = os.urandom(300_000).hex().encode() + b"\n"
    put(log, first)
    reader.read()
    put(log, b"rest\n")
    reader.tail.close()
    packed = gzip.compress(log.read_bytes())
    log.unlink()
    half = tmp_path / "app.log.1.gz"
    put(half, packed[: len(packed) // 2])
    reader.tail = reader.opened()
    assert reader.read() == []
    assert reader.read() == []
    put(half, packed[len(packed) // 2 :])
    assert reader.read() == [b"rest"]
    assert "lives on as" in caplog.text
