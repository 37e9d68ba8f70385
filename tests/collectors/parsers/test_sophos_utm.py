"""What the samples of Sophos UTM cannot say."""

from __future__ import annotations

import pytest

from collectors.base import Context
from collectors.parsers import PARSERS

CONTEXT = Context(received=1_795_376_040_000_000, zone="America/Mexico_City")
PACKET = 'id="2001" severity="info" sys="SecureNet" sub="packetfilter" action="drop" srcip="203.0.113.9"'


@pytest.mark.parametrize(
    "head",
    [
        "",
        "2026:11:22-13:34:00 utm1 ulogd[1]: ",
        "<30>2026:11:22-13:34:00 utm1 ulogd[1]: ",
        "Nov 22 13:34:00 utm1 ulogd: ",
    ],
    ids=["bare", "own date", "priority", "syslog"],
)
def test_it_is_recognised_however_it_arrives(head: str) -> None:
    for name in ("sophos_utm", "auto"):
        event = PARSERS[name](f"{head}{PACKET}".encode(), CONTEXT)
        assert event["@timestamp"] == "2026-11-22T19:34:00.000000Z"
        assert (event["event.dataset"], event["source.ip"], event["event.action"]) == (
            "sophos.utm",
            "203.0.113.9",
            "drop",
        )


def test_its_dates_tell_whose_the_sentences_are() -> None:
    event = PARSERS["auto"](b"2026:11:22-13:34:00 utm1 afcd[1]: reloading classification rules", CONTEXT)
    assert event["event.dataset"] == "sophos.utm"
    event = PARSERS["auto"](b"2026:11:22-13:34:00 utm1 dhcpd: DHCPDISCOVER from 00:00:5e:00:53:02 via eth7", CONTEXT)
    assert event["observer.product"] == "UTM"


def test_sentences_of_other_senders_are_not_its_own() -> None:
    event = PARSERS["auto"](b"Nov 22 13:34:00 utm1 afcd[1]: reloading classification rules", CONTEXT)
    assert event["event.dataset"] == "system.syslog"
    assert "observer.product" not in event
