"""IIS without its header: the columns are told apart by what stands in them; with one, by their names."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collectors.base import Context
from collectors.parsers import PARSERS

CONTEXT = Context(received=1_795_376_040_000_000, zone="America/Mexico_City")
READ = PARSERS["iis"]
REQUEST = "GET /pagos x=1 443 FINANZAS\\ana 203.0.113.9"


def line(places: str, between: str, behind: str = "") -> bytes:
    return f"2026-11-22 19:34:00 {places} {REQUEST} {between} 200 0 0{behind}".encode()


def test_columns_before_and_behind_the_request_may_be_chosen_freely() -> None:
    for places, site, computer in (
        ("192.0.2.5", None, None),
        ("W3SVC1", "W3SVC1", None),
        ("~1PORTAL", "~1PORTAL", None),
        ("WEB1 192.0.2.5", None, "WEB1"),
        ("W3SVC1 192.0.2.5", "W3SVC1", None),
        ("W3SVC1 WEB1 192.0.2.5", "W3SVC1", "WEB1"),
    ):
        for between in ("a -", "HTTP/1.1 a -", "a - - portal.example", "a c=1 portal.example", "a"):
            for behind, took in (("", None), (" 15", 15), (" 9 8 15", 15), (" 15 198.51.100.7", 15), (" 15 -", 15)):
                event = READ(line(places, between, behind), CONTEXT)
                assert event["source.ip"] == "203.0.113.9"
                assert event["destination.port"] == 443
                assert (event["user.domain"], event["user.name"]) == ("FINANZAS", "ana")
                assert event.get("almena.iis.site") == site
                assert event.get("host.name") == computer
                assert event["user_agent.original"] == "a"
                assert event["http.response.status_code"] == 200
                assert event.get("event.duration") == (took * 1_000_000 if took else None)
                assert event.get("url.domain") == ("portal.example" if "portal" in between else None)


def test_the_header_names_any_order() -> None:
    head = "#Software: Microsoft Internet Information Services 10.0\n#Fields: time c-ip date sc-status cs-uri-stem\n"
    event = READ(f"{head}19:34:00 203.0.113.9 2026-11-22 404 /x".encode(), CONTEXT)
    assert (event["@timestamp"], event["url.path"]) == ("2026-11-22T19:34:00.000000Z", "/x")


def test_the_old_format_tells_the_servers_own_time_and_a_target_with_commas() -> None:
    event = READ(
        b"203.0.113.9, -, 6/1/26, 7:05:00, W3SVC1, WEB1, 192.0.2.5, 1, 2, 3, 404, 2, GET, /a, b, c=1,", CONTEXT
    )
    assert event["@timestamp"] == "2026-06-01T13:05:00.000000Z"
    assert (event["url.path"], event["url.query"]) == ("/a, b", "c=1")


@given(st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=1, max_size=60))
def test_what_a_client_writes_into_its_agent_moves_no_other_column(agent: str) -> None:
    event = READ(line("192.0.2.5", f"{agent} -", " 15"), CONTEXT)
    assert event["source.ip"] == "203.0.113.9"
    assert event["destination.ip"] == "192.0.2.5"
    assert event["url.path"] == "/pagos"
    assert event["http.response.status_code"] == 200
