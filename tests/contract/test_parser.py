"""What every parser promises: any bytes give an event or a ParseError, always the same, and nobody shares its lists."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from almena.clock import format_time
from almena.ecs import check
from almena.errors import ParseError
from almena.event import Event, encode, event_time
from collectors.base import Context
from collectors.parsers import PARSERS, formats
from collectors.parsers.common import MAX_BYTES, MAX_FIELDS
from collectors.parsers.ecs import OWN
from collectors.parsers.format import Format

CONTEXT = Context(received=1_795_376_040_000_000)
GOLDEN = Path(__file__).resolve().parents[1] / "golden"
NAMES = sorted(PARSERS)
WIDE = ("auto", "syslog", "json")
"""What tries the others."""


def samples(name: str) -> list[bytes]:
    paths = [path for path in sorted((GOLDEN / name).iterdir()) if ".expected" not in path.name]
    return [line.partition(b" >>> ")[2] or line for path in paths for line in path.read_bytes().split(b"\n") if line]


SAMPLES = {name: samples(name) for name in NAMES}
EVERY = sorted({line for lines in SAMPLES.values() for line in lines})


MARK = "QzXj"
"""What tests put into records; no reason may say it."""


def parse(name: str, raw: bytes, context: Context = CONTEXT) -> Event | None:
    """The event, checked for what every event must be, or None for a ParseError; anything else fails the test."""
    try:
        event = PARSERS[name](raw, context)
    except ParseError as caught:
        refused = caught
    else:
        assert PARSERS[name](raw, context) == event
        return checked(event)
    assert 0 < len(refused.reason) < 400
    assert refused.reason.isprintable()
    assert MARK not in str(refused), "records are not masked yet, so a reason never quotes them"
    assert refused.at is None or 0 <= refused.at <= 4 * len(raw)  # a byte that is no UTF-8 is read as four characters
    return None


def checked(event: Event) -> Event:
    assert isinstance(event["event.dataset"], str)
    assert event["event.dataset"]
    assert event["@timestamp"] == format_time(event_time(event))
    assert "event.ingested" not in event
    assert len(event) <= MAX_FIELDS + 64
    assert msgspec.json.decode(encode(event)) == event
    for key, value in event.items():
        assert isinstance(key, str)
        assert not key.startswith(OWN), "only Almena says so of an event"
        assert isinstance(value, (str, int, float, list)), (key, value)
        assert not isinstance(value, list) or all(isinstance(item, (str, int, float)) for item in value), (key, value)
    check(event)
    return event


@pytest.mark.parametrize("name", NAMES)
@given(raw=st.binary(max_size=400))
@settings(max_examples=40)
def test_any_bytes_give_an_event_or_a_parse_error(name: str, raw: bytes) -> None:
    parse(name, raw)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(max_examples=60)
def test_damaged_samples_give_an_event_or_a_parse_error(name: str, data: st.DataObject) -> None:
    raw = bytearray(data.draw(st.sampled_from(SAMPLES[name] if data.draw(st.booleans()) else EVERY)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw)))
        end = min(len(raw), at + data.draw(st.integers(0, 6)))
        raw[at:end] = data.draw(
            st.binary(max_size=6)
            | st.sampled_from(
                (b"", b"\x00", b"\xff", b'"', b"\\", b"[", b"]", b"{", b"}", b" ", b"-", b"99999999999999999999")
            )
            | st.just(MARK.encode())
            | st.sampled_from(
                (b"null", b"true", b"[]", b"{}", b'""', b"1e400", b"-1", "٣".encode(), b"\\ud800", b" from ")
            )
        )
    parse(name, bytes(raw))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from([MARK, MARK * 300, f"2026-11-22T19:34:00{MARK}", f"2026-11-22T19:34:00Z{MARK}"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.just(MARK), inner, max_size=4),
    max_leaves=12,
)
SPOTS = (
    "@timestamp",
    "time",
    "ts",
    "EventTime",
    "TimeCreated",
    "UtcTime",
    "EventID",
    "Channel",
    "Keywords",
    "EventType",
    "EventTypeOrignal",
    "Level",
    "Version",
    "Hostname",
    "User",
    "Hashes",
    "QueryResults",
    "Message",
    "event",
    "event.id",
    "event.ingested",
    "almena.alert.id",
    "almena.misfit",
    "almena.source.name",
    f"almena.{MARK}",
    "event.dataset",
    "event.action",
    "event.outcome",
    "winlog",
    "winlog.event_id",
    "winlog.event_data",
    "winlog.keywords",
    "Event",
    "System",
    "EventData",
    "UserData",
    "Data",
    "Provider",
    "Security",
    "Execution",
    "Correlation",
    "almena.payment.amount",
    "almena.post.rank",
    "message",
    "host",
    "LogonType",
    "IpAddress",
    "IpPort",
    "ProcessId",
    "MemberName",
    "ContextInfo",
)


@pytest.mark.parametrize("name", ["windows", "app", "ecs", "json"])
@given(data=st.data())
@settings(max_examples=200)
def test_json_of_any_shape_in_any_spot(name: str, data: st.DataObject) -> None:
    document: dict[str, object] = {}
    document |= data.draw(st.dictionaries(st.sampled_from(SPOTS), JSON, max_size=8))
    if data.draw(st.booleans()):
        document["Event"] = {
            "System": data.draw(st.dictionaries(st.sampled_from(SPOTS), JSON, max_size=5)),
            "EventData": data.draw(JSON),
        }
    if data.draw(st.booleans()):
        document |= {
            "EventID": data.draw(st.sampled_from((1, 3, 13, 22, 4624, 4625, 4732, 5145, 4103))),
            "@timestamp": 1e9,
        }
    parse(name, msgspec.json.encode(document))


@pytest.mark.parametrize("each", formats.FORMATS, ids=lambda each: each.name)
def test_a_signed_message_without_a_word_harms_no_reader(each: Format) -> None:
    for program in (*each.programs[:2], "other"):
        for head in (f"<13>Nov 22 13:34:00 h {program}[1]: ", f"<13>1 2026-11-22T19:34:00Z h {program} 1 - - "):
            parse("syslog", head.encode())
            parse(each.name, head.encode())


HOSTILE: dict[str, Callable[[int], bytes]] = {
    "one byte": lambda size: b"a" * size,
    "spaces": lambda size: b" " * (size - 1) + b"x",
    "brackets": lambda size: b"<13>1 2026-11-22T19:34:00Z h a - - " + b"[" * (size - 40),
    "parameters": lambda size: b"<13>1 2026-11-22T19:34:00Z h a - - [x" + b' a="b"' * ((size - 50) // 6),
    "escapes": lambda size: b'<13>1 2026-11-22T19:34:00Z h a - - [x a="' + b"\\" * (size - 50),
    "from": lambda size: b"Failed password for x" + b" from 1.2.3.4 port 1" * ((size - 30) // 20),
    "from 2": lambda size: b"Invalid user " + b" from" * ((size - 30) // 5),
    "user": lambda size: b"Connection closed by invalid user" + b" port 1" * ((size - 40) // 7),
    "pam": lambda size: b"pam_unix(sshd:auth): authentication failure; " + b"user=" * ((size - 60) // 5),
    "sudo": lambda size: b"ana : TTY=a" + b" ; PWD=/" * ((size - 30) // 8) + b" ; USER=root",
    "sudo colons": lambda size: b" : " * (size // 3),
    "quotes": lambda size: b'1.1.1.1 - - [22/Nov/2026:13:34:00 -0600] "' + b'\\"' * ((size - 50) // 2),
    "quotes 2": lambda size: b'1.1.1.1 - - [22/Nov/2026:13:34:00 -0600] "' + b'" "' * ((size - 50) // 3),
    "dates": lambda size: b"a - -" + b' [22/Nov/2026:13:34:00 -0600] "' * ((size - 10) // 31),
    "dates 2": lambda size: b"a - -" + b" [22/Nov/2026:13:34:00 -0600]" * ((size - 10) // 29),
    "tail": lambda size: (
        b'1.1.1.1 - - [22/Nov/2026:13:34:00 -0600] "GET / HTTP/1.1" 200 1 "-" "-"' + b" 1" * ((size - 99) // 2)
    ),
    "unescape": lambda size: (
        b'1.1.1.1 - - [22/Nov/2026:13:34:00 -0600] "' + b"\\xFF" * ((size - 99) // 4) + b'" 400 0 "-" "-"'
    ),
    "error": lambda size: b"2026/11/22 13:34:00 [error] 1#1: *1 " + b", client: a" * ((size - 50) // 11),
    "error 2": lambda size: b"[Sun Nov 22 13:34:00.1 2026] [a:b] " + b"[client" * ((size - 50) // 7),
    "error 3": lambda size: b"[Sun Nov 22 13:34:00.1 2026] [a:b] (1)" + b":[" * ((size - 50) // 2),
    "deep list": lambda size: b"[" * (size // 2) + b"]" * (size // 2),
    "deep object": lambda size: b'{"a":' * (size // 6) + b"1" + b"}" * (size // 6),
    "deep value": lambda size: b'{"EventID":1,"@timestamp":1,"a":' + b"[" * (size // 3) + b"]" * (size // 3) + b"}",
    "digits": lambda size: b'{"@timestamp":"2026-11-22T19:34:00Z","EventID":' + b"9" * (size - 60) + b"}",
    "digits as text": lambda size: b'{"@timestamp":"2026-11-22T19:34:00Z","EventID":"' + b"9" * (size - 60) + b'"}',
    "many fields": lambda size: (
        b'{"@timestamp":1,"EventID":1' + b"".join(b',"%d":1' % at for at in range(size // 12)) + b"}"
    ),
    "many lists": lambda size: b'{"@timestamp":1,"a":[' + b"[1]," * ((size - 40) // 4) + b"1]}",
    "data": lambda size: (
        b'{"Event":{"System":{"EventID":1,"TimeCreated":"2026-11-22T19:34:00Z"},"EventData":{"Data":['
        + b'"a",' * ((size - 120) // 4)
        + b'"b"]}}}'
    ),
    "lines": lambda size: (
        b'{"EventID":4103,"Channel":"Windows PowerShell","@timestamp":1,"ContextInfo":"'
        + b"User=\\n" * ((size - 99) // 7)
        + b'"}'
    ),
    "hashes": lambda size: (
        b'{"EventID":1,"UtcTime":"2026-11-22 19:34:00","Hashes":"' + b"MD5=a," * ((size - 70) // 6) + b'"}'
    ),
    "results": lambda size: (
        b'{"EventID":22,"UtcTime":"2026-11-22 19:34:00","QueryResults":"' + b"1.1.1.1;" * ((size - 80) // 8) + b'"}'
    ),
    "zeros": lambda size: b"\x00" * size,
    "UTF-16": lambda size: "a".encode("utf-16-le") * (size // 2),
}


@pytest.mark.parametrize("shape", sorted(HOSTILE))
@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_record_takes_linear_time(name: str, shape: str) -> None:
    size = MAX_BYTES if name in WIDE else MAX_BYTES // 8  # each shape is tried by each parser, which adds up
    raw = HOSTILE[shape](size)[:size]
    began = time.process_time()
    with suppress(ParseError):
        PARSERS[name](raw, CONTEXT)
    assert time.process_time() - began < 5.0 * size / MAX_BYTES + 0.5  # what is quadratic takes far longer


RUNS = (
    b" ",
    b"\t",
    b'"',
    b"'",
    b"\\",
    b",",
    b"=",
    b";",
    b"(",
    b"[",
    b"<",
    b"|",
    b":",
    b"0",
    b"a",
    b"::",
    b"a=",
    b", ",
    b"null=;",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_run_of_anything_inside_of_a_sample_takes_linear_time(name: str) -> None:
    chance = random.Random(name)
    for raw in SAMPLES[name][:16]:
        for run in RUNS * 4:
            at = chance.randrange(len(raw) + 1)
            record = raw[:at] + run * (6_000 // len(run)) + raw[at:]
            began = time.process_time()
            with suppress(ParseError):
                PARSERS[name](record, CONTEXT)
            assert time.process_time() - began < 0.3, (run, at, raw[:200])


@pytest.mark.parametrize("name", NAMES)
def test_a_longer_record_is_refused_before_it_is_read(name: str) -> None:
    with pytest.raises(ParseError, match="longer than"):
        PARSERS[name](b"a" * (MAX_BYTES + 1), CONTEXT)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("raw", [b"", b"\n", b"\r\n", b"\x00\x00", b"\xef\xbb\xbf", b"   "])
def test_nothing_is_no_event(name: str, raw: bytes) -> None:
    with pytest.raises(ParseError):
        PARSERS[name](raw, CONTEXT)


@pytest.mark.parametrize("name", NAMES)
def test_an_event_that_is_changed_changes_no_other(name: str) -> None:
    """Lists and caches inside a parser are never handed out."""
    for raw in SAMPLES[name]:
        event = parse(name, raw)
        if event is None:
            continue
        before = encode(event)
        for value in event.values():
            if isinstance(value, list):
                value.append("changed")
        event["changed"] = True
        again = parse(name, raw)
        assert again is not None
        assert encode(again) == before


@pytest.mark.parametrize("zone", ["nowhere/at all", "", "../../etc/passwd", "\x00"])
def test_an_unknown_time_zone_is_a_parse_error(zone: str) -> None:
    context = Context(received=CONTEXT.received, zone=zone)
    assert parse("syslog", b"Nov 22 13:34:00 web1 app: x", context) is None
    assert parse("nginx", b"2026/11/22 13:34:00 [notice] 1#1: x", context) is None
    assert parse("ecs", b'{"@timestamp":"2026-11-22T13:34:00"}', context) is None
