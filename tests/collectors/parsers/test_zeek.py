"""Zeek's logs as they stand in files: with their header, without it, named by the file, wrapped by others."""

from __future__ import annotations

import msgspec
import pytest

from collectors.base import Context
from collectors.parsers import PARSERS, zeek_shapes

CONTEXT = Context(received=1_795_376_040_000_000)
HEAD = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n"
TIME = "1795376040.500000"


def lines(*cells: str) -> str:
    return "\t".join(cells)


def test_the_header_names_the_log_and_its_columns() -> None:
    head = f"{HEAD}#path\tftp\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tuser\tcommand\n"
    types = "#types\ttime\tstring\taddr\tport\taddr\tport\tstring\tstring\n"
    row = lines(TIME, "C1", "10.20.0.5", "51022", "198.51.100.21", "21", "ana", "STOR")
    event = PARSERS["zeek"]((head + types + row).encode(), CONTEXT)
    assert event["event.dataset"] == "zeek.ftp"
    assert (event["user.name"], event["event.action"]) == ("ana", "STOR")


def test_a_header_without_a_path_leaves_the_log_to_its_columns() -> None:
    head = f"{HEAD}#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tquery\tqtype_name\n"
    row = lines(TIME, "C1", "10.20.0.5", "5353", "192.0.2.53", "53", "udp", "a\\x2eportal.example", "A")
    event = PARSERS["zeek"]((head + row).encode(), CONTEXT)
    assert event["event.dataset"] == "zeek.dns"
    assert event["dns.question.name"] == "a.portal.example"


@pytest.mark.parametrize(
    ("origin", "row", "dataset"),
    [
        ("/logs/current/known_hosts.log", lines(TIME, "10.20.0.9"), "zeek.known_hosts"),
        ("dhcp.12:00:00-13:00:00.log", lines(TIME, "C1", "10.20.0.9", "10.20.0.1"), "zeek.dhcp"),
        ("/logs/ntlm.log", lines(TIME, "C1", "10.20.0.5", "1", "10.20.0.1", "445", "ana", "PC", "FIN"), "zeek.ntlm"),
    ],
    ids=["known_hosts", "dhcp", "ntlm"],
)
def test_the_file_tells_the_log_of_a_line_without_a_header(origin: str, row: str, dataset: str) -> None:
    event = PARSERS["zeek"](row.encode(), Context(received=CONTEXT.received, origin=origin))
    assert event["event.dataset"] == dataset


def test_the_file_tells_the_log_of_a_document() -> None:
    record = {"ts": 1795376040.5, "uid": "C1", "id.orig_h": "10.20.0.5", "id.resp_h": "10.20.0.1", "user": "ana"}
    raw = msgspec.json.encode(record)
    event = PARSERS["json"](raw, Context(received=CONTEXT.received, origin="/logs/current/socks.log"))
    assert (event["event.dataset"], event["user.name"]) == ("zeek.socks", "ana")


@pytest.mark.parametrize("name", ["zeek", "auto"])
def test_a_record_that_a_search_exported(name: str) -> None:
    record = {"ts": 1795376040.5, "uid": "C1", "id.orig_h": "10.20.0.5", "id.resp_h": "10.20.0.1", "request_type": "AS"}
    result = {"_raw": msgspec.json.encode(record).decode(), "_indextime": "1795376041", "host": "sensor1"}
    event = PARSERS[name](msgspec.json.encode({"preview": False, "result": result}), CONTEXT)
    assert (event["event.dataset"], event["event.action"]) == ("zeek.kerberos", "AS")


@pytest.mark.parametrize("header", ["<134>", "<134>Nov 22 13:34:00 s1 ", "Nov 22 13:34:00 s1 zeek[9]: "])
@pytest.mark.parametrize("name", ["zeek", "syslog", "auto"])
def test_a_document_behind_a_header(name: str, header: str) -> None:
    record = {"ts": 1795376040.5, "uid": "C1", "id.orig_h": "10.20.0.5", "id.resp_h": "10.20.0.1", "query": "a: b"}
    event = PARSERS[name](header.encode() + msgspec.json.encode(record), CONTEXT)
    assert event["source.ip"] == "10.20.0.5"


@pytest.mark.parametrize(
    "document",
    [
        {"ts": 1.0, "level": "info", "msg": "ready"},
        {"ts": 1.0, "host": "web1", "msg": "ready"},
        {"ts": 1.0, "user": "ana", "action": "login", "src": "10.0.0.1"},
        {"id.orig_h": "10.0.0.1", "conn_state": "SF"},
    ],
    ids=["logger", "host", "application", "no time"],
)
def test_what_others_write_is_left_to_them(document: dict[str, object]) -> None:
    assert not zeek_shapes.is_zeek(document)
