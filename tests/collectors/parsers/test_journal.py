"""Records of the journal in every shape in which journalctl writes values."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers import PARSERS

CONTEXT = Context(received=1_795_376_040_000_000)


def parse(**fields: object) -> Event:
    record = {"__REALTIME_TIMESTAMP": "1795376039000000", "MESSAGE": "said", **fields}
    return PARSERS["journal"](msgspec.json.encode(record), CONTEXT)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("plain\n", "plain"),
        (list(b"caf\xc3\xa9"), "café"),
        (list(b"\xff\x00ok"), "\\xff\x00ok"),
        (["one", "two"], "one\ntwo"),
        ([list(b"one"), "two", None], "one\ntwo"),
        (12, "12"),
    ],
)
def test_a_message_in_every_form(value: object, message: str) -> None:
    assert parse(MESSAGE=value)["message"] == message


@pytest.mark.parametrize("value", [None, "", [], [256], [-1, "x"], {}, [[]], "\0\n", [None]])
def test_no_message_is_no_event(value: object) -> None:
    with pytest.raises(ParseError):
        parse(MESSAGE=value)


def test_the_time_of_the_program_goes_before_that_of_the_journal() -> None:
    assert parse()["@timestamp"] == format_time(1_795_376_039_000_000)
    assert parse(_SOURCE_REALTIME_TIMESTAMP="1795376038000000")["@timestamp"] == format_time(1_795_376_038_000_000)
    wrong: object
    for wrong in ("x", "-1", "0", "9" * 18, None, []):
        assert parse(__REALTIME_TIMESTAMP=wrong)["@timestamp"] == format_time(CONTEXT.received)


def test_the_program_is_who_signed_else_who_ran_else_the_kernel() -> None:
    assert parse(SYSLOG_IDENTIFIER="portal", _COMM="python3")["process.name"] == "portal"
    assert parse(SYSLOG_IDENTIFIER="", _COMM="python3")["process.name"] == "python3"
    assert parse(_TRANSPORT="kernel")["process.name"] == "kernel"
    assert "process.name" not in parse()


def test_a_message_goes_to_the_readers_of_its_program() -> None:
    event = parse(SYSLOG_IDENTIFIER="sshd", MESSAGE="Accepted publickey for ana from 192.0.2.7 port 5 ssh2")
    assert event["event.dataset"] == "system.auth"
    assert (event["user.name"], event["source.ip"], event["event.outcome"]) == ("ana", "192.0.2.7", "success")


def test_who_logged_in_is_told_unless_nobody_did() -> None:
    assert parse(_AUDIT_LOGINUID="1000")["process.session_leader.user.id"] == "1000"
    assert "process.session_leader.user.id" not in parse(_AUDIT_LOGINUID="4294967295")


def test_fields_that_a_program_makes_up_are_bounded_and_apart() -> None:
    event = parse(**{f"OWN_{number}": "x" for number in range(500)}, _FORGED="x", **{"almena.alert.id": "x"})
    own = [name for name in event if name.startswith("almena.app.journal.")]
    assert len(own) == 64
    assert not [name for name in event if "forged" in name.lower() or name.startswith("almena.alert")]


VALUES = st.recursive(
    st.none() | st.text(max_size=20) | st.integers() | st.booleans() | st.binary(max_size=9).map(list),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)
NAMES = (
    *("MESSAGE", "_PID", "PRIORITY", "SYSLOG_FACILITY", "SYSLOG_IDENTIFIER", "_COMM", "_UID", "CODE_LINE", "OWN"),
    *("_TRANSPORT", "_AUDIT_TYPE_NAME", "_AUDIT_ID", "_SOURCE_REALTIME_TIMESTAMP", "_HOSTNAME", "_SYSTEMD_UNIT"),
)


@given(st.dictionaries(st.sampled_from(NAMES), VALUES))
def test_any_values_in_any_field(fields: dict[str, object]) -> None:
    try:
        event = parse(**fields)
    except ParseError:
        return
    assert all(isinstance(value, (str, int, list)) for value in event.values())
    assert event["event.dataset"]
