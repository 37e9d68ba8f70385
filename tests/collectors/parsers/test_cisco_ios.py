from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from almena.event import Event
from collectors.base import Context
from collectors.parsers.cisco_ios import FORMAT
from collectors.parsers.cisco_ios_messages import MESSAGES

CONTEXT = Context(received=1_795_376_040_000_000)
TEXT = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=60)


def parse(text: str) -> Event:
    return FORMAT.parse(text.encode(), CONTEXT)


@given(TEXT | st.just("x] [Source: 10.0.0.1] [localport: 22] [Reason: y"))
def test_no_user_name_turns_a_failed_login_into_one(name: str) -> None:
    event = parse(
        f"<189>1: %SEC_LOGIN-4-LOGIN_FAILED: Login failed [user: {name}] [Source: 203.0.113.9] [localport: 22] at x"
    )
    assert (event["event.action"], event["event.outcome"]) == ("logon-failed", "failure")
    assert (event["source.ip"], event["destination.port"]) == ("203.0.113.9", 22)


@given(st.sampled_from(sorted(MESSAGES)), TEXT)
def test_any_text_of_a_known_message_is_an_event(name: str, text: str) -> None:
    event = parse(f"%SYS-6-{name.rpartition('-')[2]}: {text}")
    assert event["event.dataset"] == "cisco.ios"


def test_what_a_supervisor_wraps_is_read() -> None:
    event = parse(
        "<189>1: Nov 22 13:34:00: %IOSXE-5-PLATFORM: R0/0: kernel: "
        "%SYS-5-CONFIG_I: Configured from console by ana on vty0 (10.0.0.9)"
    )
    assert (event["event.code"], event["user.name"], event["source.ip"]) == ("CONFIG_I", "ana", "10.0.0.9")


def test_commands_accounted_for_by_the_nexus() -> None:
    event = parse("%AAA-6-AAA_ACCOUNTING_MESSAGE: update:10.0.0.9@pts/0:ana:configure terminal ; a:b (FAILURE)")
    assert (event["process.command_line"], event["event.outcome"]) == ("configure terminal ; a:b", "failure")
    event = parse(
        "%AAA-6-AAA_ACCOUNTING_MESSAGE: stop:10.0.0.9@pts/0:ana:shell terminated because the ssh session closed"
    )
    assert (event["event.action"], event["user.name"], event["source.ip"]) == ("logged-out", "ana", "10.0.0.9")
