from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collectors.base import Context
from collectors.parsers.cisco_ftd import FORMAT
from collectors.parsers.cisco_ftd_events import pairs

CONTEXT = Context(received=1_795_376_040_000_000)


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=80))
def test_no_url_chooses_the_ends(url: str) -> None:
    ends = "SrcIP: 10.0.0.5, DstIP: 203.0.113.9"
    line = f"%FTD-6-430003: AccessControlRuleAction: Block, {ends}, SrcPort: 1, DstPort: 2, URL: http://a/{url}"
    event = FORMAT.parse(line.encode(), CONTEXT)
    assert (event["source.ip"], event["destination.ip"], event["destination.port"]) == ("10.0.0.5", "203.0.113.9", 2)
    assert "denied" in event["event.type"]


def test_a_second_key_is_part_of_no_value() -> None:
    assert pairs("URL: http://a/x, SrcIP: 10.0.0.1, SrcIP: 10.0.0.2, y, DstIP: ::, Rule: a, b") == {
        "URL": "http://a/x",
        "SrcIP": "10.0.0.1",
        "Rule": "a, b",
    }
