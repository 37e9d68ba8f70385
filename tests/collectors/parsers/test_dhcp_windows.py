from __future__ import annotations

import pytest

from collectors.base import Context
from collectors.parsers.dhcp_windows import FORMAT

CONTEXT = Context(received=1_795_376_040_000_000)


@pytest.mark.parametrize(
    ("code", "action", "outcome"),
    [
        ("10", "dhcp-new", "success"),
        ("12", "dhcp-release", "success"),
        ("14", "dhcp-exhausted", "failure"),
        ("18", "dhcp-expire", "success"),
        ("54", "rogue-server-detection", "failure"),
        ("63", "rogue-server-detection", "success"),
        ("99", "dhcp", "success"),
        ("11006", "dhcpv6-decline", "failure"),
    ],
)
def test_numbers_tell_what_happened(code: str, action: str, outcome: str) -> None:
    event = FORMAT.parse(f"{code},11/22/26,13:34:00,x,10.0.0.55,pc1,00005E005302,".encode(), CONTEXT)
    assert (event["event.action"], event["event.outcome"]) == (action, outcome)
    assert event["@timestamp"] == "2026-11-22T19:34:00.000000Z"


def test_a_line_that_ends_early_is_an_event() -> None:
    event = FORMAT.parse(b"00,11/22/2026,13:34:00,Started,", CONTEXT)
    assert event["event.action"] == "log-start"
