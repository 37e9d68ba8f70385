from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.event import Event
from collectors.base import Context
from collectors.parsers.sshd import FORMAT, read

parse = FORMAT.parse

CONTEXT = Context(received=1_795_376_040_000_000)
NAMES = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=60)


@given(NAMES)
def test_no_user_name_passes_for_an_address(name: str) -> None:
    event: Event = {}
    assert read(f"Failed password for invalid user {name} from 192.0.2.7 port 51022 ssh2", event, CONTEXT)
    assert event["source.ip"] == "192.0.2.7"
    assert event["source.port"] == 51022
    assert event["event.outcome"] == "failure"
    assert event.get("user.name", "") == name.removeprefix("invalid user ") or event["user.name"] == name


@given(NAMES)
def test_no_user_name_turns_a_failure_into_a_success(name: str) -> None:
    for line in (
        f"Invalid user {name} from 192.0.2.7 port 1",
        f"Failed none for invalid user {name} from 192.0.2.7 port 1",
    ):
        event = parse(line.encode(), CONTEXT)
        assert event["event.outcome"] == "failure"
        assert event["source.ip"] == "192.0.2.7"


@pytest.mark.parametrize("name", ["root from 10.0.0.1 port 1", "x 10.0.0.1 port 1", "a [preauth]"])
def test_disconnects_read_the_last_address(name: str) -> None:
    event: Event = {}
    assert read(f"Connection closed by invalid user {name} 192.0.2.7 port 51022 [preauth]", event, CONTEXT)
    assert (event["user.name"], event["source.ip"], event["source.port"]) == (name, "192.0.2.7", 51022)


def test_each_attempt_counts_once() -> None:
    lines = (
        "Invalid user x from 192.0.2.7 port 1",
        "Failed password for invalid user x from 192.0.2.7 port 1 ssh2",
        "error: maximum authentication attempts exceeded for invalid user x from 192.0.2.7 port 1 ssh2 [preauth]",
        "Disconnecting invalid user x 192.0.2.7 port 1: Too many authentication failures [preauth]",
    )
    events = [parse(line.encode(), CONTEXT) for line in lines]
    attempts = [event for event in events if event["event.action"] == "ssh_login"]
    assert [event["event.reason"] for event in attempts] == ["no such user", "invalid user"], "the first is left out"
