"""Records of several lines come once and whole, whatever is killed in between; text comes in UTF-8, whatever it was."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from examples import examples
from following import Follower, put
from hypothesis import given
from hypothesis import strategies as st

from collectors.assemble import Line
from collectors.assemblers import ASSEMBLERS

HEADER = b"#Software: Microsoft Internet Information Services 10.0\n#Version: 1.0\n#Fields: date time c-ip\n"
FRONT = b"#Software: Microsoft Internet Information Services 10.0\n#Fields: date time c-ip\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


def audit(kind: bytes, number: int, second: int = 0) -> bytes:
    return b"type=%s msg=audit(%d.243:%d): a=1" % (kind, 1_795_376_040 + second, number)


@pytest.mark.parametrize("restart", [False, True])
def test_a_header_is_known_in_the_middle_of_its_file(tmp_path: Path, log: Path, restart: bool) -> None:
    put(log, HEADER + b"1\n")
    reader = Follower(tmp_path, parser="iis")
    assert reader.read() == [FRONT + b"1"]
    if restart:
        reader.restart()
    put(log, b"2\n#Fields: other\n3\n")
    assert reader.read() == [FRONT + b"2", FRONT.replace(b"date time c-ip", b"other") + b"3"]
    if restart:
        reader.restart()
    put(log, b"4\n")
    assert reader.read() == [FRONT.replace(b"date time c-ip", b"other") + b"4"]
    assert [log.read_bytes()[record.place :][:1] for record in reader.handed] == [b"1", b"2", b"3", b"4"]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_header_is_looked_for_where_a_file_begins_when_it_is_read_from_its_end(
    tmp_path: Path, log: Path, mark: bytes
) -> None:
    put(log, mark + HEADER + b"1\n")
    reader = Follower(tmp_path, parser="exchange", start="end")
    assert reader.read() == []
    put(log, b"2\n")
    assert reader.read() == [FRONT + b"2"]
    old = log.rename(tmp_path / "app.log.1")
    put(log, b"3\n")
    assert reader.read() == [b"3"], "a file has its own header"
    assert old.exists()


def test_an_unfinished_record_waits_and_survives_a_restart(tmp_path: Path, log: Path) -> None:
    reader = Follower(tmp_path, parser="auditd", hold=600.0)
    put(log, audit(b"SYSCALL", 1) + b"\n" + audit(b"SYSCALL", 2) + b"\n" + audit(b"CWD", 1) + b"\n")
    assert reader.read() == []
    reader.restart()
    assert reader.read() == []
    put(log, audit(b"EOE", 2) + b"\n" + audit(b"EOE", 1) + b"\n")
    assert reader.read() == [
        audit(b"SYSCALL", 2) + b"\n" + audit(b"EOE", 2),
        b"\n".join(audit(kind, 1) for kind in (b"SYSCALL", b"CWD", b"EOE")),
    ]
    assert len(reader.kept()) == 2
    assert [record.place for record in reader.handed] == [len(audit(b"SYSCALL", 1)) + 1, 0]


def test_what_was_cut_by_time_is_cut_alike_after_a_kill(tmp_path: Path, log: Path) -> None:
    """The decision is remembered before the record goes out, so what came later never joins it."""
    reader = Follower(tmp_path, parser="java", hold=0.0)
    put(log, b"begun\n\tmore\n")
    assert reader.tail.poll() == []
    reader.tail.commit()
    first = reader.tail.poll()
    assert [record.data for record in first] == [b"begun\n\tmore"]
    put(log, b"\tlate\nnext\n")
    reader.handed += first
    reader.restart()  # killed between the append and the checkpoint
    reader.read()
    reader.read()
    assert [record.data for record in reader.kept()] == [b"begun\n\tmore", b"\tlate", b"next"]
    assert len(reader.handed) == 4


def test_the_last_record_of_a_rotated_file_is_handed_on(tmp_path: Path, log: Path) -> None:
    reader = Follower(tmp_path, parser="java", hold=600.0)
    put(log, b"begun\n\tmore, without an end")
    assert reader.read() == []
    log.rename(tmp_path / "app.log.1")
    put(log, b"new\n")
    reader.read()
    reader.read()
    assert [record.data for record in reader.handed] == [b"begun\n\tmore, without an end"]


def test_an_unfinished_record_of_a_truncated_file_is_handed_on(tmp_path: Path, log: Path) -> None:
    reader = Follower(tmp_path, parser="java", hold=600.0)
    put(log, b"one\nbegun\n\tmore\n")
    assert reader.read() == [b"one"]
    os.truncate(log, 0)
    put(log, b"a\nb\n")
    assert reader.read() == [b"begun\n\tmore", b"a"]
    reader.restart()
    assert reader.read() == []


@pytest.mark.parametrize("pattern", ["app.log", "app.log*"])
def test_an_unfinished_record_goes_on_in_the_copy(tmp_path: Path, log: Path, pattern: str) -> None:
    reader = Follower(tmp_path, pattern, parser="java", hold=600.0)
    put(log, b"one long enough that a copy can be told from another file by it\nbegun\n\tmore\n")
    reader.read()
    put(log, b"\tand more\ntwo\n")
    shutil.copyfile(log, tmp_path / "app.log.1")
    os.truncate(log, 0)
    put(log, b"a\nb\n")
    reader.read()
    reader.read()
    told = Counter(record.data for record in reader.kept())
    assert told[b"begun\n\tmore\n\tand more"] == 1
    assert not any(text.startswith(b"\t") for text in told)
    assert max(told.values()) == 1


def test_lines_of_unfinished_records_that_are_gone_are_counted(tmp_path: Path, log: Path) -> None:
    """A kill and a truncation that leaves nothing behind, but a copy that ends too early."""
    reader = Follower(tmp_path, "app.log*", parser="java", hold=600.0)
    one = b"one long enough that a copy can be told from another file by it"
    put(log, one + b"\n")
    shutil.copyfile(log, tmp_path / "app.log.1")
    put(log, b"begun\n\tmore\n")
    reader.read()
    reader.tail.close()
    os.truncate(log, 0)
    put(log, b"a\nb\n")
    reader.tail = reader.opened()
    reader.read()
    reader.read()
    assert reader.tail.lost == {"file gone": 2}
    assert Counter(record.data for record in reader.kept()) == {one: 1, b"a": 1}


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
def test_utf_16_comes_as_utf_8(tmp_path: Path, log: Path, encoding: str, step: int) -> None:
    texts = ["2026-11-22 13:34:00.12 Logon       sesión de José", "Ċ ਊ Ċਊ𝄞", "third", ""]
    data = ("\ufeff" + "\r\n".join(texts)).encode(encoding)
    reader = Follower(tmp_path)
    for at in range(0, len(data), step):
        put(log, data[at : at + step])
        if at % 5 == 0:
            reader.restart()
        reader.read()
    assert [record.data.decode() for record in reader.handed] == texts[:3]
    assert [data[record.place : record.place + 2] for record in reader.handed[1:]] == [
        text[0].encode(encoding) for text in texts[1:3]
    ]


def test_utf_16_from_its_end_and_with_lines_too_long(tmp_path: Path, log: Path) -> None:
    put(log, "\ufeffold\nold too\n".encode("utf-16-le"))
    reader = Follower(tmp_path, start="end", limit=101)
    assert reader.read() == []
    put(log, ("new\n" + "x" * 200_000).encode("utf-16-le"))
    assert reader.read() == [b"new", b"x" * 50]
    put(log, ("y" * 200_000 + "\nlast\nਊ" + "ਊ" * 60 + "\n").encode("utf-16-le"))
    found = reader.read()
    assert found[0] == b"last"
    assert found[1].decode("utf-8", "ignore") == "ਊ" * 33
    assert [record.truncated for record in reader.handed] == [False, True, False, True]


def test_what_is_no_utf_16_becomes_a_replacement_character(tmp_path: Path, log: Path) -> None:
    put(log, b"\xff\xfea\x00\x00\xd8b\x00\n\x00")
    assert Follower(tmp_path).read() == ["a\ufffdb".encode()]


def test_a_mark_of_utf_8_is_no_part_of_the_first_line(tmp_path: Path, log: Path) -> None:
    put(log, b"\xef\xbb\xbfone\ntwo\n")
    reader = Follower(tmp_path)
    assert reader.read() == [b"one", b"two"]
    assert [record.place for record in reader.handed] == [0, 7]


HOSTILE = {
    "long line": b"x" * (300 << 10) + b"\nnext\n",
    "no newline": b"y" * (150 << 10),
    "NULs": b"\0" * 50_000 + b"\nnext\n" + b"\0\n" * 100,
    "invalid UTF-8": bytes(range(128, 256)) * 100 + b"\n\xff\xfe\n",
    "CRLF": b"one\r\n\r\n\r\r\ntwo\r\n",
    "UTF-16 without a mark": "one\ntwo\n".encode("utf-16-le"),
    "UTF-16": "\ufeff".encode("utf-16-le") + os.urandom(10_001),
    "newlines": b"\n" * 5_000,
    "short lines": b"a\n" * 2_000,
    "headers": b"#Fields: " + b"x" * 16_000 + b"\n" + b"a\n" * 500,
}


@pytest.mark.parametrize("parser", ["", "auditd", "iis", "modsecurity", "mysql", "postgresql"])
@pytest.mark.parametrize("shape", sorted(HOSTILE))
def test_hostile_bytes_are_bounded_and_the_same_after_a_restart(
    tmp_path: Path, log: Path, parser: str, shape: str
) -> None:
    put(log, HOSTILE[shape])
    reader = Follower(tmp_path, parser=parser, hold=0.0, limit=1 << 16)
    largest = quiet = 0
    while quiet < 3:
        polled = reader.tail.poll()
        largest = max(largest, sum(len(record.data) for record in polled))
        reader.tail.commit()
        reader.handed += polled
        quiet = 0 if polled or reader.tail.more else quiet + 1
    assert largest < 6 << 20
    assert all(len(record.data) <= (1 << 16) + (16 << 10) for record in reader.handed)
    reader.tail.close()
    again = Follower(tmp_path, parser=parser, hold=0.0, limit=1 << 16)
    again.memory = tmp_path / "again" / "files.json"
    for turn in range(5):
        again.lose()
        if turn % 3:
            again.handed += again.tail.poll()
            again.tail.commit()
            again.restart()
    for _ in range(3):
        again.read()
    assert [(r.seq, r.data) for r in again.kept()] == [(r.seq, r.data) for r in reader.handed]


WORDS = {
    "auditd": [audit(kind, n, n % 4) for kind in (b"SYSCALL", b"CWD", b"EOE", b"USER_X") for n in range(4)]
    + [b"other"],
    "zeek": [b"#separator x", b"#fields a", b"#fields b", b"1"],
    "mysql": [b"# Time: x", b"# User@Host: x", b"SELECT", b""],
    "java": [b"x", b"\tat", b"Caused by: x"],
    "": [b"x", b""],
}
STEPS = st.lists(st.sampled_from(["write", "write", "write", "half", "poll", "lose", "restart", "rename"]), max_size=30)


@pytest.mark.parametrize("parser", sorted(WORDS))
@examples(30)
@given(data=st.data(), steps=STEPS)
def test_any_history_gives_the_records_of_an_undisturbed_one(
    parser: str, data: st.DataObject, steps: list[str]
) -> None:
    """Writes, kills before the checkpoint, restarts and renames: the same records, each once."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        log, files = folder / "app.log", 1
        reader = Follower(folder, "app.log*", parser=parser, hold=1e9, linger=1e9)
        rest, number = b"", 0
        put(log, b"begin\n")
        for step in [*steps, "poll"]:
            if step in ("write", "half"):
                number += 1
                line = data.draw(st.sampled_from(WORDS[parser]))
                line = line + b" %d" % number if line and not line.startswith(b"#") else line
                put(log, rest + line + (b"\n" if step == "write" else b""))
                rest = b"" if step == "write" else b" rest\n"
            elif step == "poll":
                reader.read()
            elif step == "lose":
                reader.lose()
            elif step == "restart":
                reader.restart()
            elif not rest:
                reader.read()
                log.rename(folder / f"app.log.{files}")
                files += 1
                put(log, b"begin\n")
        put(log, rest)
        reader.read()
        reader.tail.close()
        kept = Counter(record.data for record in reader.kept())
        assert kept == Counter(expected(parser, sorted(folder.glob("app.log*"))))


def expected(parser: str, paths: list[Path]) -> list[bytes]:
    """The finished records of each file, put together at once."""
    found = []
    for path in paths:
        lines, place = path.read_bytes().split(b"\n")[:-1], 0
        assembler = ASSEMBLERS[parser]() if parser else None
        for line in lines:
            if assembler is not None:
                found += [record.data for record in assembler.add(Line(line, place, place + len(line) + 1))]
            elif line:
                found.append(line)
            place += len(line) + 1
    return found
