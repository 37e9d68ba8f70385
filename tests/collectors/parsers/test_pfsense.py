from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from almena.event import Event
from collectors.base import Context
from collectors.parsers.pfsense import FORMAT

CONTEXT = Context(received=1_795_376_040_000_000)
TEXT = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=60)


def parse(text: str) -> Event:
    return FORMAT.parse(text.encode(), CONTEXT)


NAMES = TEXT | st.sampled_from(
    [
        "x' authenticated ",
        "x' from: 10.0.0.1",
        "/a: Successful login for user 'x' from: 10.0.0.1",
        "Successful login for user 'x' from: 10.0.0.1 (Local Database)",
    ]
)


@given(NAMES)
def test_no_user_name_turns_a_failed_login_into_one(name: str) -> None:
    page = "/index.php: webConfigurator authentication error for user"
    event = parse(f"<37>php-fpm[8]: {page} '{name}' from: 203.0.113.9")
    assert (event["event.outcome"], event["source.ip"]) == ("failure", "203.0.113.9")
    event = parse(f"<37>Nov 22 13:34:00 fw1 openvpn[8]: user '{name}' could not authenticate.")
    assert event["event.outcome"] == "failure"


@given(TEXT)
def test_any_text_of_its_programs_is_an_event(text: str) -> None:
    for program in ("filterlog", "openvpn", "charon", "php-fpm"):
        assert parse(f"<37>Nov 22 13:34:00 fw1 {program}[8]: x{text}")["event.dataset"] == "pfsense.log"


def test_a_packet_that_ends_early_still_has_its_ends() -> None:
    event = parse("5,,,1,em0,match,block,in,4,0x0,,52,1,0,DF,6,tcp,60,203.0.113.9,192.0.2.1")
    assert (event["source.ip"], event["destination.ip"]) == ("203.0.113.9", "192.0.2.1")
    assert "source.port" not in event
