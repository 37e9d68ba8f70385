from __future__ import annotations

import time

import pytest

from almena.errors import ParseError
from collectors.base import Context
from collectors.parsers import PARSERS
from collectors.parsers.windows_xml import document

CONTEXT = Context(received=1_795_376_040_000_000)
SYSTEM = (
    "<System><Provider Name='P'/><EventID Qualifiers='0'>4625</EventID><TimeCreated SystemTime='2026-11-22T19:34:00Z'/>"
    "<Channel>Security</Channel><Computer>PC</Computer></System>"
)


@pytest.mark.parametrize(
    "prologue",
    [
        "<!DOCTYPE Event>",
        "<!DOCTYPE Event SYSTEM 'file:///etc/passwd'>",
        "<!DOCTYPE Event [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;&a;'>]>",
        "<?xml-stylesheet href='http://192.0.2.1/'?>",
    ],
)
def test_types_entities_and_instructions_are_refused(prologue: str) -> None:
    text = f"<?xml version='1.0'?>{prologue}<Event>{SYSTEM}<EventData/></Event>"
    assert document(text) is None
    with pytest.raises(ParseError):
        PARSERS["windows_xml"](text.encode(), CONTEXT)


def test_many_and_deep_elements_are_refused() -> None:
    assert document(f"<Event>{SYSTEM}" + "<a/>" * 5_000 + "</Event>") is None
    assert document(f"<Event>{SYSTEM}" + "<a>" * 50) is None


def test_what_was_whole_before_a_cut_is_read() -> None:
    text = f"<Event>{SYSTEM}<EventData><Data Name='TargetUserName'>ana</Data><Data Name='IpAddress'>192.0.2.19</Data>"
    event = PARSERS["windows_xml"](text.encode(), CONTEXT)
    assert (event["user.name"], event["source.ip"]) == ("ana", "192.0.2.19")
    half = PARSERS["windows_xml"](text[: text.index("9</Data>")].encode(), CONTEXT)
    assert half["user.name"] == "ana"
    assert "source.ip" not in half, "half an address is another address"


def test_xml_and_json_of_one_event_are_one_event() -> None:
    data = "<Data Name='TargetUserName'>ana</Data><Data Name='LogonType'>3</Data>"
    text = f"<Event>{SYSTEM}<EventData>{data}</EventData></Event>"
    of_xml = PARSERS["windows_xml"](text.encode(), CONTEXT)
    of_json = PARSERS["windows"](
        b'{"Event":{"System":{"Provider":{"#attributes":{"Name":"P"}},"EventID":{"#attributes":{"Qualifiers":"0"},'
        b'"#text":4625},"TimeCreated":{"#attributes":{"SystemTime":"2026-11-22T19:34:00Z"}},"Channel":"Security",'
        b'"Computer":"PC"},"EventData":{"TargetUserName":"ana","LogonType":"3"}}}',
        CONTEXT,
    )
    del of_xml["event.original"]
    assert of_xml == of_json


def test_behind_syslog_the_relay_is_not_the_process() -> None:
    line = f"<13>1 2026-11-22T13:34:00-06:00 wec1 collector 9 - - <Event>{SYSTEM}<EventData/></Event>"
    event = PARSERS["syslog"](line.encode(), CONTEXT)
    assert event["event.code"] == "4625"
    assert event["host.name"] == "PC"
    assert event["log.syslog.hostname"] == "wec1"
    assert "process.name" not in event
    assert "process.pid" not in event


def test_a_mebibyte_of_references_is_no_work() -> None:
    began = time.process_time()
    document(f"<Event>{SYSTEM}<a>" + "&lt;" * 200_000 + "</a></Event>")
    assert time.process_time() - began < 2
