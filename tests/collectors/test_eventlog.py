"""Event logs give what the library gives, chunk by chunk, with places; damage stays in its place and costs no other."""

from __future__ import annotations

import io
import random
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import eventlogs
import msgspec
import pytest
from corpora import corpus
from evtx import PyEvtxParser
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.decoder import Answer, Decoder, Stuck
from collectors.eventlog import Found, records

DAMAGED = {"sample-with-zero-data-size-event.evtx", "sample_with_a_bad_chunk_magic.evtx", "sysmon.evtx"}


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("evtx")
    with tarfile.open(corpus("evtx/evtx-samples.tar.xz")) as archive:
        archive.extractall(folder, filter="data")
    return sorted(folder.rglob("*.evtx"))


def whole(found: list[Found]) -> list[Found]:
    return [each for each in found if not each.damage]


def library(data: bytes) -> tuple[list[tuple[int, bytes]], int]:
    """What the library gives for the whole file: (number, JSON) of each record, and how many errors."""
    given: list[tuple[int, bytes]] = []
    errors = 0
    items = iter(PyEvtxParser(io.BytesIO(data)).records_json())
    while True:
        try:
            item = next(items)
        except StopIteration:
            return given, errors
        except RuntimeError:
            errors += 1
        else:
            given.append((item["event_record_id"], item["data"].encode()))  # type: ignore[index]


def test_the_samples_give_what_the_library_gives(samples: list[Path]) -> None:
    assert len(samples) == 9
    damaged = set()
    for path in samples:
        given, errors = library(path.read_bytes())
        found = list(records(path))
        assert sorted((each.number, each.data) for each in whole(found)) == sorted(given), path.name
        assert len(found) - len(whole(found)) == errors, path.name
        damaged |= {path.name} if errors else set()
    assert damaged == DAMAGED


def test_records_come_in_the_order_they_were_written_with_their_places(samples: list[Path]) -> None:
    for path in samples:
        data, found = path.read_bytes(), whole(list(records(path)))
        assert [each.number for each in found] == sorted(each.number for each in found)
        assert all(data[each.place : each.place + 4] == b"**\0\0" for each in found)
        assert len({each.place for each in found}) == len(found)


def test_what_is_damaged_is_kept_as_it_is_in_the_file(samples: list[Path]) -> None:
    for path in samples:
        data = path.read_bytes()
        for each in records(path):
            if each.damage:
                assert each.data
                assert data[each.place : each.place + len(each.data)] == each.data
                assert each.damage in ("a damaged chunk of an event log", "a damaged record of an event log")


def test_a_made_log_is_read(tmp_path: Path) -> None:
    path = eventlogs.write(tmp_path / "a.evtx", [f"text {number}" for number in range(120)], first=7)
    found = list(records(path))
    assert [msgspec.json.decode(each.data)["Event"]["EventData"]["Text"] for each in found] == [
        f"text {number}" for number in range(120)
    ]
    assert [each.number for each in found] == list(range(7, 127))


def test_a_log_that_is_full_and_began_again_comes_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.evtx"
    path.write_bytes(eventlogs.log([eventlogs.chunk([f"{n}" for n in range(5)], first) for first in (101, 51, 56)]))
    assert [each.number for each in records(path)] == [*range(51, 61), *range(101, 106)]


def test_a_damaged_head_costs_nothing(tmp_path: Path) -> None:
    path = eventlogs.write(tmp_path / "a.evtx", ["one", "two"])
    path.write_bytes(b"\xff" * eventlogs.HEAD + path.read_bytes()[eventlogs.HEAD :])
    assert len(whole(list(records(path)))) == 2


def test_a_damaged_chunk_costs_no_other(tmp_path: Path) -> None:
    path = eventlogs.write(tmp_path / "a.evtx", [str(number) for number in range(9)], each=3)
    data = bytearray(path.read_bytes())
    data[eventlogs.HEAD + eventlogs.CHUNK] ^= 1
    path.write_bytes(data)
    found = list(records(path))
    assert [each.number for each in found] == [1, 2, 3, 0, 7, 8, 9]
    assert len(found[3].data) == eventlogs.CHUNK


def test_a_log_that_is_cut_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = eventlogs.write(tmp_path / "a.evtx", [str(number) for number in range(6)], each=3)
    data = path.read_bytes()[: eventlogs.HEAD + eventlogs.CHUNK + eventlogs.FIRST + 600]
    path.write_bytes(data)
    found = list(records(path))
    assert [each.number for each in found] == [1, 2, 3, 4, 0]
    assert found[4].data == data[found[4].place :]


@pytest.mark.parametrize("data", [b"", b"no log", b"x" * 200_000, b"ElfFile\0".ljust(5_000, b"\0")])
def test_what_is_no_log_says_so(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.evtx"
    path.write_bytes(data)
    (found,) = records(path)
    assert (found.damage, found.data) == ("no Windows event log", data[:4096])


def test_a_chunk_on_which_the_library_hangs_costs_no_other(samples: list[Path], tmp_path: Path) -> None:
    """One byte of a real log is enough."""
    (sample,) = [path for path in samples if path.name == "MSExchange_Management_wec.evtx"]
    data = bytearray(sample.read_bytes())
    data[0x15CF] = 144
    behind = eventlogs.chunk(["behind"], 1_000_000)
    path = tmp_path / "a.evtx"
    path.write_bytes(bytes(data) + behind)
    began = time.monotonic()
    found = list(records(path, patience=1.0))
    assert time.monotonic() - began < 20
    assert [each.number for each in whole(found)][-1:] == [1_000_000]
    assert any(each.damage for each in found)


PROGRAM = """
import struct, sys, time
def say(kind, number=0, data=b""):
    sys.stdout.buffer.write(struct.pack("!BQI", kind, number, len(data)) + data)
    sys.stdout.buffer.flush()
say(2)
while len(header := sys.stdin.buffer.read(4)) == 4:
    log = sys.stdin.buffer.read(struct.unpack("!I", header)[0])
    say(0, 1, b"{}")
    if log == b"hang": time.sleep(600)
    if log == b"die": sys.exit(3)
    if log == b"flood": sys.stdout.buffer.write(struct.pack("!BQI", 0, 2, 1 << 31))
    say(1, 7)
    say(2)
"""


@pytest.fixture
def decoder(tmp_path: Path) -> Iterator[Decoder]:
    (tmp_path / "program.py").write_text(PROGRAM)
    with Decoder(patience=2.0, program=tmp_path / "program.py") as made:
        yield made


@pytest.mark.parametrize("what", [b"hang", b"die", b"flood"])
def test_a_decoder_that_does_not_answer_is_started_again(decoder: Decoder, what: bytes) -> None:
    answers: list[Answer] = []
    with pytest.raises(Stuck):
        answers.extend(decoder.decode(what))
    assert list(decoder.decode(b"good")) == [Answer(1, b"{}"), Answer(7, None)]


def test_answers_that_nobody_waits_for_are_taken_for_no_others(decoder: Decoder) -> None:
    answers = decoder.decode(b"good")
    assert next(answers) == Answer(1, b"{}")
    answers.close()  # type: ignore[attr-defined]
    assert list(decoder.decode(b"good")) == [Answer(1, b"{}"), Answer(7, None)]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_damage_of_any_kind_gives_records_or_says_so(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    chance = random.Random(seed)
    data = bytearray(eventlogs.log([eventlogs.chunk([f"text {n}" for n in range(8)], first) for first in (1, 9)]))
    for _ in range(chance.randint(1, 8)):
        place = chance.randrange(*((0, eventlogs.HEAD + eventlogs.CHUNK) if chance.random() < 0.3 else (4096, 8192)))
        data[place] = chance.choice([0, 255, 127, 128, chance.randrange(256)])
    path = tmp_path_factory.mktemp("damage") / "a.evtx"
    path.write_bytes(data)
    found = list(records(path, patience=0.5))
    second = [each.number for each in whole(found) if each.place >= eventlogs.HEAD + eventlogs.CHUNK]
    assert second == list(range(9, 17))
    assert all(each.number == 0 for each in found if each.damage)
