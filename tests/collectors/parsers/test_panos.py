"""What goldens of PAN-OS cannot say: old and new versions, quotes that a stranger chose, damaged columns."""

from __future__ import annotations

from almena.event import Event
from collectors.base import Context
from collectors.parsers import PARSERS

CONTEXT = Context(received=1_795_376_041_000_000, zone="America/Mexico_City")
HEAD = "1,2026/11/22 13:34:01,0011,{kind},2561,2026/11/22 13:34:00"
ENDS = "10.0.0.5,203.0.113.7,0.0.0.0,0.0.0.0,Salida,sfa\\ana,,ssl,vsys1,trust,untrust,e1/2,e1/1,Log,2026/11/22 13:34:00"


def read(kind: str, rest: str) -> Event:
    return PARSERS["panos"](f"{HEAD.format(kind=kind)},{rest}".encode(), CONTEXT)


def test_versions_end_anywhere() -> None:
    short = read("TRAFFIC,start", f"{ENDS},1,1,50311,443,0,0,0x0,tcp,allow")
    assert (short["source.port"], short["event.action"]) == (50311, "flow_started")
    assert short["@timestamp"] == "2026-11-22T19:34:00.000000Z"
    longer = read("TRAFFIC,start", f"{ENDS},1,1,50311,443,0,0,0x0,tcp,allow" + ",x" * 200)
    assert longer["destination.port"] == 443


def test_a_site_forges_no_column() -> None:
    hostile = 'evil.example/"",,,root,(1),""a'
    event = read("THREAT,url", f'{ENDS},1,1,50311,443,0,0,0x0,tcp,alert,"{hostile}",(9999),games,informational,0')
    assert event["url.original"] == 'evil.example/",,,root,(1),"a'
    assert (event["rule.category"], event["user.name"]) == ("games", "ana")


def test_a_quote_that_never_closes_costs_only_what_stands_behind_it() -> None:
    event = read("THREAT,url", f'{ENDS},1,1,50311,443,0,0,0x0,tcp,alert,"evil.example/a')
    assert (event["source.ip"], event["destination.port"]) == ("10.0.0.5", 443)


def test_hosts_stand_alone_or_with_ports() -> None:
    for site, domain, port in (("a.example:8443/", "a.example", 8443), ("a.example", "a.example", None)):
        event = read("THREAT,url", f'{ENDS},1,1,50311,443,0,0,0x0,tcp,alert,"{site}",(9999),games,informational,0')
        assert (event["url.domain"], event.get("url.port"), event["url.original"]) == (domain, port, site)
