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


def test_the_header_tells_the_logs_apart() -> None:
    header = "#Software: Microsoft Exchange Server\n#Fields: dateTime,sessionId,seqNumber,sIp,cIp,user,command,context"
    line = "2026-11-22T19:34:00.123Z,00A1,1,10.0.0.30:143,198.51.100.9:50112,SFA\\ana,login,R=OK"
    event = PARSERS["exchange"](f"{header}\n{line}".encode(), CONTEXT)
    assert (event["source.ip"], event["source.port"], event["user.name"]) == ("198.51.100.9", 50112, "ana")
    assert (event["event.action"], event["event.outcome"]) == ("login", "success")


def test_a_syslog_header_of_any_kind_may_stand_in_front() -> None:
    line = "2026-11-22T19:34:00.123Z,00A1,1,10.0.0.30:143,198.51.100.9:50112,ana,1,2,3,login,ana,R=OK,"
    for header in ("<13>Nov 22 13:34:00 ex1 ", "<13>2026-11-22T13:34:00-06:00 ex1 ", "<13>", "Nov 22 13:34:00 ex1 "):
        event = PARSERS["auto"](f"{header}{line}".encode(), CONTEXT)
        assert (event["event.module"], event["source.ip"]) == ("exchange", "198.51.100.9"), header
        assert event["@timestamp"] == "2026-11-22T19:34:00.123000Z"
