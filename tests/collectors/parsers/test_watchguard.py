"""What goldens of WatchGuard cannot say: every way a line may come, and names that look like something else."""

from __future__ import annotations

import pytest

from collectors.base import Context
from collectors.parsers import PARSERS

CONTEXT = Context(received=1_795_376_041_000_000, zone="America/Mexico_City")
DENY = 'msg_id="3000-0148" Deny 0-External 1-Trusted 52 tcp 20 57 198.51.100.7 10.0.1.2 41000 22 (In-00)'
HEADERS = {
    "bare": ("", "2026-11-22T19:34:01.000000Z"),
    "plain": ("<142>Nov 22 13:33:59 fb1 firewall: ", "2026-11-22T19:33:59.000000Z"),
    "serial": ("<142>Nov 22 13:33:59 fb1 D00AB (2026-11-22T19:33:58) firewall[3]: ", "2026-11-22T19:33:58.000000Z"),
    "member": (
        "<142>Nov 22 13:33:59 fb1 D00AB Member1 (2026-11-22T19:33:58) firewall: ",
        "2026-11-22T19:33:58.000000Z",
    ),
    "time": ("<142>Nov 22 13:33:59 fb1 (2026-11-22T19:33:58) firewall: ", "2026-11-22T19:33:58.000000Z"),
}


WAYS = [(header, parser) for header in HEADERS for parser in ("watchguard", "syslog", "auto")]


@pytest.mark.parametrize(("header", "parser"), [way for way in WAYS if way != ("bare", "syslog")])
def test_every_header(header: str, parser: str) -> None:
    before, moment = HEADERS[header]
    event = PARSERS[parser]((before + DENY).encode(), CONTEXT)
    assert (event["event.dataset"], event["@timestamp"]) == ("watchguard_firebox.log", moment)
    assert (event["source.ip"], event["destination.port"], event["rule.name"]) == ("198.51.100.7", 22, "In-00")


def test_a_url_forges_no_field() -> None:
    line = (
        'msg_id="1AFF-0024" Allow 1-Trusted 0-External tcp 10.0.1.2 203.0.113.7 37932 80 msg="HTTP request" op="GET" '
        'dstname="a.example" arg="/?src_user=root&dstname=b.example" src_user="eva" (HTTP-00)'
    )
    event = PARSERS["watchguard"](line.encode(), CONTEXT)
    assert (event["user.name"], event["destination.domain"]) == ("eva", "a.example")
    assert event["url.original"] == "/?src_user=root&dstname=b.example"
