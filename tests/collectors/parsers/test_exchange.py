"""Exchange's columns by the header that stands in front, in any order and of any version."""

from __future__ import annotations

from collectors.base import Context
from collectors.parsers import PARSERS

CONTEXT = Context(received=1_795_376_041_000_000)


def test_the_header_names_the_columns() -> None:
    header = (
        "#Software: Microsoft Exchange Server\n#Fields: date-time,event-id,client-ip,server-ip,sender-address,"
        "recipient-address,message-subject,source,a,b,c"
    )
    line = '2026-11-22T19:34:00.123Z,FAIL,198.51.100.9,10.0.0.30,a@b.example,c@d.example,"x,y",SMTP,1,2,3'
    event = PARSERS["exchange"](f"{header}\n{line}".encode(), CONTEXT)
    assert (event["source.ip"], event["destination.ip"]) == ("198.51.100.9", "10.0.0.30")
    assert (event["email.subject"], event["event.outcome"]) == ("x,y", "failure")
