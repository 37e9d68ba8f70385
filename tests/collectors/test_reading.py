"""Files of every format become records with their places, and what cannot be read says so in its place."""

from __future__ import annotations

import gzip
import lzma
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from captures import START, SYN, ethernet, pcap, tcp, visit, write

from almena.errors import UsageError
from almena.replay import LONGEST_LINE, Totals, batches
from collectors.reading import FORMATS, read

RECORD: dict[str, Any] = {"@timestamp": "2026-11-22T10:00:00Z", "event.dataset": "app.x", "message": "ñ, [x] {y}"}
ACCESS = b'203.0.113.7 - - [22/Nov/2026:10:00:00 -0600] "GET /%d HTTP/1.1" 200 5 "-" "curl/8"\n'


def events(path: Path, format_: str = "auto") -> tuple[str, list[dict[str, Any]], Totals]:
    totals = Totals()
    kind, items, reader = read(path, format_)
    return kind, [event for batch in batches(items, reader, totals) for _, event in batch], totals


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz"])
@pytest.mark.parametrize("indent", [-1, 2])
def test_a_file_that_is_one_array_is_its_elements(tmp_path: Path, suffix: str, indent: int) -> None:
    records = [RECORD | {"message": f"{RECORD['message']} {number}"} for number in range(1_200)]
    data = msgspec.json.format(msgspec.json.encode(records), indent=indent)
    packed = {"": data, ".gz": gzip.compress(data), ".xz": lzma.compress(data)}[suffix]
    path = write(tmp_path / f"export.json{suffix}", packed)
    kind, found, totals = events(path)
    assert kind == "ecs"
    assert [event["message"] for event in found] == [record["message"] for record in records]
    assert totals.records == 1_200
    assert not totals.dead
    for number, event in enumerate(found, 1):
        assert event["event.id"] == f"{path}:{number}"
        assert data[event["log.offset"] :].startswith(b"{")
    assert len({event["log.offset"] for event in found}) == 1_200


def test_native_records_may_stand_in_an_array_too(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", msgspec.json.encode([{"EventID": 1}, "text", {"EventID": 2}]))
    _, found, totals = events(path, "native")
    assert [event["EventID"] for event in found] == [1, 2]
    assert totals.dead == {"JSON, but no object": 1}


def test_lines_that_begin_with_a_bracket_stay_lines(tmp_path: Path) -> None:
    line = b"[Sun Nov 22 13:34:00.123456 2026] [core:error] [pid 1:tid 1] AH00128: File does not exist: [{]\n"
    kind, found, _ = events(write(tmp_path / "error.log", line * 3))
    assert (kind, len(found)) == ("apache", 3)


@pytest.mark.parametrize("data", [b"", b"\n\n  \n"])
def test_an_empty_file_has_nothing_and_is_no_error(tmp_path: Path, data: bytes) -> None:
    _, found, totals = events(write(tmp_path / "x.log", data))
    assert (found, totals.records, totals.dead) == ([], 0, {})


def test_a_file_nobody_understands_is_told_and_costs_no_other(tmp_path: Path) -> None:
    kind, found, totals = events(write(tmp_path / "wtmp", os.urandom(64) * 10))
    assert (kind, found) == ("unknown", [])
    assert totals.dead == {"no parser understands this file; name its format with --format": 1}


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_a_file_damaged_in_the_middle_is_read_up_to_there(tmp_path: Path, suffix: str) -> None:
    data = b"".join(ACCESS % number for number in range(30_000))
    packed = gzip.compress(data) if suffix == ".gz" else lzma.compress(data)
    path = write(tmp_path / f"access.log{suffix}", packed[: len(packed) // 2])
    kind, found, totals = events(path)
    assert kind == "nginx"
    assert 1_000 < len(found) < 30_000
    assert totals.dead == {"damaged from here on": 1}
    _, _, totals = events(write(tmp_path / f"noise{suffix}", b"no archive at all"))
    assert totals.dead == {"damaged at its beginning": 1}


def test_records_too_long_are_refused_in_lines_and_arrays(tmp_path: Path) -> None:
    long = b'{"a":"' + b"x" * LONGEST_LINE + b'"}'
    for data in (long + b'\n{"a":1}\n', b"[" + long + b',{"a":1}]'):
        _, found, totals = events(write(tmp_path / "long.json", data), "native")
        assert [event["a"] for event in found] == [1]
        assert totals.dead == {f"longer than {LONGEST_LINE} bytes": 1}


def test_two_records_that_claim_one_identity_are_two(tmp_path: Path) -> None:
    line = msgspec.json.encode(RECORD | {"event.id": "7", "event.ingested": 5}) + b"\n"
    _, found, _ = events(write(tmp_path / "x.json", line * 2), "native")
    assert len({event["event.id"] for event in found}) == 2
    assert all(event["event.ingested"] == event["@timestamp"] for event in found)


def test_a_capture_becomes_events(tmp_path: Path) -> None:
    path = write(tmp_path / "visit.pcap", pcap(visit()))
    kind, found, totals = events(path)
    assert kind == "pcap"
    assert {event["event.dataset"] for event in found} == {
        "network.flow", "network.dns", "network.tls", "network.http"
    }  # fmt: skip
    assert not totals.dead
    assert [event["event.id"] for event in found] == [f"{path}:{number}" for number in range(1, len(found) + 1)]
    assert {event["log.file.path"] for event in found} == {str(path)}


def test_a_damaged_or_packed_capture_says_so(tmp_path: Path) -> None:
    whole = pcap([(START, ethernet(tcp("10.0.0.1", 1, "10.0.0.2", 2, SYN)))])
    _, found, totals = events(write(tmp_path / "a.pcap", whole + b"\xff" * 16))
    assert len(found) == totals.dead.total() == 1
    _, found, totals = events(write(tmp_path / "a.pcap.gz", gzip.compress(whole)))
    assert found == []
    assert totals.dead == {"a compressed capture; unpack it first": 1}


def test_a_name_that_is_no_utf_8_can_be_told(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"l\xf3g.json")
    try:
        path.write_bytes(msgspec.json.encode(RECORD) + b"\n")
    except OSError:
        pytest.skip("the file system has UTF-8 names only")
    _, (event,), _ = events(path)
    assert msgspec.json.decode(msgspec.json.encode(event))["log.file.path"].endswith("l\\xf3g.json")


def test_formats_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no format 'nginxx'; there are auto, native"):
        read(tmp_path, "nginxx")
    assert set(FORMATS) >= {"auto", "native", "evtx", "pcap", "nginx"}
