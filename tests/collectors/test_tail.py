from __future__ import annotations

import errno
import os
import shutil
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from examples import examples
from following import LINES, LONG, Follower, put
from hypothesis import given
from hypothesis import strategies as st

from almena.errors import AlmenaError


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


def test_lines_come_once_with_their_place(tmp_path: Path, log: Path) -> None:
    reader = Follower(tmp_path)
    assert reader.read() == []
    put(log, b"one\ntwo\r\n\nthr")
    assert reader.read() == [b"one", b"two"]
    assert reader.read() == []
    put(log, b"ee\n")
    assert reader.read() == [b"three"]
    assert [(record.seq, record.place) for record in reader.handed] == [(0, 0), (4, 4), (10, 10)]
    assert {record.origin for record in reader.handed} == {str(log)}
    assert len({record.lane for record in reader.handed}) == 1


def test_a_partial_line_survives_a_restart(tmp_path: Path, log: Path) -> None:
    put(log, b"one\ntwo beg")
    reader = Follower(tmp_path)
    assert reader.read() == [b"one"]
    reader.restart()
    assert reader.read() == []
    put(log, b"an\n")
    reader.restart()
    assert reader.read() == [b"two began"]


def test_what_was_not_committed_comes_again_under_the_same_numbers(tmp_path: Path, log: Path) -> None:
    put(log, b"one\ntwo\n")
    reader = Follower(tmp_path)
    first = reader.tail.poll()
    reader.restart()  # killed between the append and the checkpoint
    put(log, b"three\n")
    again = reader.tail.poll()
    assert [(r.lane, r.seq, r.data) for r in again[:2]] == [(r.lane, r.seq, r.data) for r in first]
    assert again[2].seq > again[1].seq


def test_the_lane_is_remembered_before_anything_is_handed_on(tmp_path: Path, log: Path) -> None:
    put(log, b"one\n")
    reader = Follower(tmp_path)
    (record,) = reader.tail.poll()
    assert record.lane.encode() in reader.memory.read_bytes()


def test_rename_finishes_the_old_file_first(tmp_path: Path, log: Path) -> None:
    reader = Follower(tmp_path, linger=60.0)
    put(log, b"one\n")
    reader.read()
    writer = log.open("ab", buffering=0)
    writer.write(b"two\n")
    log.rename(tmp_path / "app.log.1")
    put(log, b"four\n")
    assert sorted(reader.read()) == [b"four", b"two"]
    writer.write(b"three\n")  # a writer that has not noticed yet
    writer.close()
    assert reader.read() == [b"three"]
    assert len({record.lane for record in reader.handed}) == 2


def test_a_last_line_without_an_end_is_handed_on_when_its_file_is_rotated(tmp_path: Path, log: Path) -> None:
    reader = Follower(tmp_path)
    put(log, b"one\nlast")
    assert reader.read() == [b"one"]
    log.rename(tmp_path / "app.log.1")
    put(log, b"new\n")
    reader.read()
    reader.read()
    assert sorted(record.data for record in reader.handed) == [b"last", b"new", b"one"]


def test_a_file_renamed_while_nobody_watched_is_read_on(tmp_path: Path, log: Path) -> None:
    put(log, b"one\n")
    reader = Follower(tmp_path)
    reader.read()
    reader.tail.close()
    put(log, b"two\n")
    log.rename(tmp_path / "app.log-20261122")
    put(log, b"three\n")
    reader.tail = reader.opened()
    assert sorted(reader.read()) == [b"three", b"two"]


def test_a_rename_within_the_pattern_is_no_new_file(tmp_path: Path, log: Path) -> None:
    reader = Follower(tmp_path, "app.log*")
    put(log, LONG)
    assert reader.read() == LINES
    log.rename(tmp_path / "app.log.1")
    put(log, b"new\n")
    assert reader.read() == [b"new"]
    (tmp_path / "app.log.1").rename(tmp_path / "app.log.2")
    log.rename(tmp_path / "app.log.1")
    reader.restart()
    assert reader.read() == []


@pytest.mark.parametrize("restart", [False, True])
def test_truncation_begins_a_new_lane(tmp_path: Path, log: Path, restart: bool) -> None:
    reader = Follower(tmp_path)
    put(log, b"one\ntwo\n")
    reader.read()
    os.truncate(log, 0)
    put(log, b"new\n")
    if restart:
        reader.restart()
    assert reader.read() == [b"new"]
    assert [record.data for record in reader.kept()] == [b"one", b"two", b"new"]


@pytest.mark.parametrize("restart", [False, True])
def test_truncated_and_refilled_beyond_the_place_reached(tmp_path: Path, log: Path, restart: bool) -> None:
    reader = Follower(tmp_path)
    put(log, LONG + b"the end\n")
    reader.read()
    os.truncate(log, 0)
    put(log, LONG + b"another end, and longer\nmore\n")
    if restart:
        reader.restart()
    assert reader.read() == [*LINES, b"another end, and longer", b"more"]
    assert len(reader.kept()) == len(reader.handed)


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("seen_between", [False, True])
def test_copy_and_truncate_reads_what_only_the_copy_holds(
    tmp_path: Path, log: Path, restart: bool, seen_between: bool
) -> None:
    reader = Follower(tmp_path, "app.log*")
    put(log, LONG)
    reader.read()
    put(log, b"only in the copy\n")
    shutil.copyfile(log, tmp_path / "app.log.1")
    if seen_between:
        assert reader.read() == [b"only in the copy"]
    os.truncate(log, 0)
    put(log, b"new\n")
    if restart:
        reader.restart()
    reader.read()
    texts = [record.data for record in reader.handed]
    assert sorted(texts) == sorted([*LINES, b"only in the copy", b"new"])
    (tmp_path / "app.log.1").rename(tmp_path / "app.log.2")
    reader.restart()
    assert reader.read() == []


def test_a_copy_half_written_is_no_new_file(tmp_path: Path, log: Path) -> None:
    reader = Follower(tmp_path, "app.log*")
    put(log, LONG)
    reader.read()
    put(tmp_path / "app.log.1", LONG[:1500])
    assert reader.read() == []


def test_files_that_begin_alike_are_different_files(tmp_path: Path) -> None:
    reader = Follower(tmp_path, "*.log")
    for name in ("a.log", "b.log"):
        put(tmp_path / name, LONG)
    assert reader.read() == LINES * 2
    assert len({record.lane for record in reader.handed}) == 2


def test_a_deleted_file_whose_inode_comes_back(tmp_path: Path, log: Path) -> None:
    reader = Follower(tmp_path)
    for number in range(5):
        put(log, b"start\n%d\n" % number)
        assert reader.read() == [b"start", b"%d" % number]
        log.unlink()
        reader.read()
        reader.read()
    assert len(reader.kept()) == 10


def test_a_symbolic_link_that_is_turned(tmp_path: Path, log: Path) -> None:
    for name in ("a", "b"):
        put(tmp_path / name, name.encode() + b"\n")
    log.symlink_to(tmp_path / "a")
    reader = Follower(tmp_path)
    assert reader.read() == [b"a"]
    put(tmp_path / "a", b"more\n")
    draft = tmp_path / "draft"
    draft.symlink_to(tmp_path / "b")
    draft.rename(log)
    assert sorted(reader.read()) == [b"b", b"more"]


def test_two_names_of_one_file_are_one_file(tmp_path: Path, log: Path) -> None:
    put(log, b"one\n")
    (tmp_path / "app.log.hard").hardlink_to(log)
    (tmp_path / "app.log.soft").symlink_to(log)
    assert Follower(tmp_path, "app.log*").read() == [b"one"]


def test_folders_pipes_and_compressed_files_are_left_alone(tmp_path: Path, log: Path) -> None:
    put(log, b"one\n")
    (tmp_path / "app.log.d").mkdir()
    os.mkfifo(tmp_path / "app.log.pipe")
    put(tmp_path / "app.log.2.gz", b"\x1f\x8b\x08\x00rest\n")
    assert Follower(tmp_path, "app.log*").read() == [b"one"]


def test_starting_at_the_end_is_for_the_first_start_only(tmp_path: Path, log: Path) -> None:
    put(log, b"old\nhalf")
    reader = Follower(tmp_path, "*.log", start="end")
    assert reader.read() == []
    put(log, b" a line\nnew\n")
    put(tmp_path / "later.log", b"later\n")
    assert sorted(reader.read()) == [b"later", b"new"]
    reader.tail.close()
    put(tmp_path / "while-down.log", b"down\n")
    reader.tail = reader.opened()
    assert reader.read() == [b"down"]


@pytest.mark.parametrize("restart", [False, True])
def test_a_line_too_long_is_cut_flagged_and_skipped(tmp_path: Path, log: Path, restart: bool) -> None:
    reader = Follower(tmp_path, limit=100)
    put(log, b"short\n" + b"x" * 700_000)
    assert reader.read() == [b"short", b"x" * 100]
    if restart:
        reader.restart()
    put(log, b"y" * 700_000)
    assert reader.read() == []
    put(log, b"\nnext\n" + b"z" * 101 + b"\n" + b"w" * 100 + b"\n")
    assert reader.read() == [b"next", b"z" * 100, b"w" * 100]
    assert [record.truncated for record in reader.handed] == [False, True, False, True, False]
    assert [record.seq for record in reader.handed] == sorted({record.seq for record in reader.handed})


def test_many_files_are_all_read_with_few_of_them_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.tail._OPEN", 10)
    for number in range(100):
        put(tmp_path / f"{number}.log", b"%d\nhalf" % number)
    reader = Follower(tmp_path, "*.log")
    for _ in range(12):
        reader.read()
    assert sorted(record.data for record in reader.handed) == sorted(b"%d" % number for number in range(100))
    assert sum(file.content is not None for file in reader.tail._files.values()) <= 20
    put(tmp_path / "7.log", b" more\n")
    assert reader.read() == [b"half more"]


def test_a_large_file_does_not_hold_up_a_small_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.tail._BUDGET", 10_000)
    put(tmp_path / "a.log", LONG * 2_000)
    put(tmp_path / "z.log", b"small\n")
    reader = Follower(tmp_path, "*.log", limit=1_000)
    polls = 0
    while b"small" not in [record.data for record in reader.tail.poll()]:
        reader.tail.commit()
        polls += 1
        assert polls < 4


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("good", range(7))
def test_a_file_that_cannot_be_read_holds_up_no_other_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, good: int
) -> None:
    put(tmp_path / "a.log", b"a1\n")
    put(tmp_path / "b.log", b"b1\n")
    reader = Follower(tmp_path, "*.log")
    assert sorted(reader.read()) == [b"a1", b"b1"]
    sick = (tmp_path / "a.log").stat().st_ino
    before = descriptors()
    real, seen = os.pread, []

    def pread(handle: int, size: int, offset: int) -> bytes:
        if os.fstat(handle).st_ino == sick:
            seen.append(handle)
            if len(seen) > good:
                raise OSError(errno.EIO, "Input/output error")
        return real(handle, size, offset)

    monkeypatch.setattr(os, "pread", pread)
    put(tmp_path / "a.log", b"a2\n")
    put(tmp_path / "b.log", b"b2\n")
    new = [record.data for _ in range(40) for record in reader.tail.poll()]
    reader.tail.commit()
    assert new in ([b"b2"], [b"a2", b"b2"], [b"b2", b"a2"])
    assert len(caplog.records) <= 1
    assert descriptors() <= before + 1, "nothing stays open"
    monkeypatch.undo()
    assert sorted(new + reader.read()) == [b"a2", b"b2"]
    reader.restart()
    assert reader.read() == []


def test_a_damaged_checkpoint_is_told(tmp_path: Path, log: Path) -> None:
    reader = Follower(tmp_path)
    put(log, b"one\n")
    reader.read()
    reader.memory.write_bytes(b'[{"lane":')
    with pytest.raises(AlmenaError, match=r"files\.json: damaged .*move it away"):
        reader.opened()


def test_an_unreadable_file_is_told_and_the_others_are_read(
    tmp_path: Path, log: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(log, b"one\n")
    (tmp_path / "app.log.loop").symlink_to(tmp_path / "app.log.loop")
    reader = Follower(tmp_path, "app.log*")
    assert reader.read() == [b"one"]
    reader.read()
    assert caplog.text.count("app.log.loop: cannot be read") == 1


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 40)),
        st.tuples(st.just("half"), st.integers(1, 5)),
        st.sampled_from([("poll", 0), ("lose", 0), ("rename", 0), ("copy", 0), ("restart", 0)]),
    ),
    max_size=25,
)


@examples(60)
@given(STEPS)
def test_any_history_gives_every_line_once(steps: list[tuple[str, int]]) -> None:
    """Writes, rotations of both kinds, polls, kills before the checkpoint, and restarts, in any order."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        log, number, rotations = folder / "app.log", 0, 0
        reader = Follower(folder, "app.log*", linger=1e9)
        put(log, LONG)  # long enough that a copy is known as one
        reader.read()
        for step, count in [*steps, ("write", 1), ("poll", 0)]:
            if step == "write":
                put(log, b"".join(b"%d of the lines\n" % (number + more) for more in range(count)))
                number += count
            elif step == "half":
                put(log, b"%d of" % number)
                reader.handed += reader.tail.poll()
                reader.tail.commit()
                put(log, b" the lines\n")
                number += 1
            elif step == "poll":
                reader.read()
            elif step == "lose":
                reader.handed += reader.tail.poll()
                reader.restart()
            elif step == "restart":
                reader.restart()
            else:
                rotations += 1
                for old in range(rotations, 1, -1):
                    (folder / f"app.log.{old - 1}").rename(folder / f"app.log.{old}")
                reader.read()  # otherwise a file may come and go between two looks
                if step == "rename":
                    log.rename(folder / "app.log.1")
                else:
                    shutil.copyfile(log, folder / "app.log.1")
                    os.truncate(log, 0)
                put(log, b"header %d\n" % rotations + LONG)
                reader.read()
        reader.tail.close()
        kept = Counter(record.data for record in reader.kept())
        expected = [b"%d of the lines" % index for index in range(number)]
        assert {line: kept[line] for line in expected} == dict.fromkeys(expected, 1)
        assert kept[LINES[0]] == rotations + 1
