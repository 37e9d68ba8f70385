from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collectors.base import Context
from collectors.parsers.cisco_ise import FORMAT

CONTEXT = Context(received=1_795_376_040_000_000)
NAMES = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=60)


@given(NAMES | st.just("x, Device IP Address=10.9.9.9, UserName=admin"))
def test_no_user_name_chooses_the_device_or_the_outcome(name: str) -> None:
    line = (
        "CISE_Failed_Attempts 0000000123 1 0 2026-11-22 13:34:00.123 -06:00 0000012345 5400 NOTICE Failed-Attempt: x, "
        f"Device IP Address=10.0.0.2, Framed-IP-Address=10.0.0.55, UserName={name}, NAS-Port=1,"
    )
    event = FORMAT.parse(line.encode(), CONTEXT)
    assert (event["client.ip"], event["source.ip"]) == ("10.0.0.2", "10.0.0.55")
    assert (event["event.outcome"], event["event.action"]) == ("failure", "failed-attempt")
    assert event["@timestamp"] == "2026-11-22T19:34:00.123000Z"
