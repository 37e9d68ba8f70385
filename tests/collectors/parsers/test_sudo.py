from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.event import Event
from collectors.base import Context
from collectors.parsers.sudo import read, read_su

CONTEXT = Context(received=1_795_376_040_000_000)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=60))
def test_a_command_may_hold_anything(command: str) -> None:
    event: Event = {}
    assert read(f"ana : TTY=pts/0 ; PWD=/home/ana ; USER=root ; COMMAND={command}", event, CONTEXT)
    assert event["process.command_line"] == command
    assert event["user.effective.name"] == "root"
    assert event["event.outcome"] == "success"


@pytest.mark.parametrize(
    "reason",
    [
        "1 incorrect password attempt",
        "3 incorrect password attempts",
        "command not allowed",
        "user NOT in sudoers",
        "user NOT authorized on host",
        "a password is required",
    ],
)
def test_refusals_are_failures_with_their_reason(reason: str) -> None:
    event: Event = {}
    assert read(f"ana : {reason} ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls", event, CONTEXT)
    assert (event["event.action"], event["event.outcome"]) == ("sudo_refused", "failure")
    assert event["event.reason"] == reason
    assert event["user.name"] == "ana"


def test_a_command_that_says_it_was_refused_was_not() -> None:
    event: Event = {}
    assert read("ana : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/echo user NOT in sudoers", event, CONTEXT)
    assert event["event.outcome"] == "success"


def test_what_is_unknown_leaves_the_event_as_it_was() -> None:
    event: Event = {"a": 1}
    assert not read("something else", event, CONTEXT)
    assert not read_su("something else", event, CONTEXT)
    assert event == {"a": 1}
