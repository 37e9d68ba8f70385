from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.event import Event
from collectors.base import Context
from collectors.parsers import PARSERS
from collectors.parsers.iptables import FORMAT

CONTEXT = Context(received=1_795_376_040_000_000)
ENDS = "IN=eth0 OUT= SRC=203.0.113.9 DST=10.0.0.5 LEN=60 PROTO=TCP SPT=4444 DPT=22"


def parse(text: str) -> Event:
    return FORMAT.parse(text.encode(), CONTEXT)


@pytest.mark.parametrize(
    ("prefix", "action", "rule"),
    [
        ("[UFW LIMIT BLOCK] ", "block", "UFW LIMIT BLOCK"),
        ("STATE_INVALID_DROP: ", "drop", "STATE_INVALID_DROP"),
        ("Shorewall:fw2net:ACCEPT:", "accept", "fw2net"),
        ("[WAN_IN-3001-A]", "accept", "WAN_IN"),
        ("[LAN_LOCAL-R-2147483647] ", "reject", "LAN_LOCAL"),
        ("[ipv4-NAM-WAN-10-D]", "drop", "ipv4-NAM-WAN"),
        ("REJECT wan in: ", "reject", "REJECT wan in"),
        ("backdrop ", None, "backdrop"),
        ("", None, None),
    ],
)
def test_a_prefix_tells_what_was_done(prefix: str, action: str | None, rule: str | None) -> None:
    event = parse(f"Nov 22 13:34:00 gw kernel: [9.1] {prefix}{ENDS}")
    assert (event.get("event.action"), event.get("rule.name")) == (action, rule)
    assert (event["source.ip"], event["destination.port"]) == ("203.0.113.9", 22)


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=60))
def test_nothing_behind_chooses_the_ends(rest: str) -> None:
    event = parse(f"{ENDS} {rest}")
    assert (event["source.ip"], event["source.port"], event["destination.ip"]) == ("203.0.113.9", 4444, "10.0.0.5")


def test_other_lines_of_the_kernel_are_lines_of_syslog() -> None:
    event = PARSERS["syslog"](b"Nov 22 13:34:00 gw kernel: Out of memory: Killed process 7 (x)", CONTEXT)
    assert event["event.dataset"] == "system.syslog"
    assert event["message"] == "Out of memory: Killed process 7 (x)"
