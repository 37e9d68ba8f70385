"""A record says the same alone, behind every kind of syslog header, and to the parsers that recognise it."""

from __future__ import annotations

from pathlib import Path

import pytest

from almena.event import Event
from collectors.base import Context
from collectors.parsers import PARSERS, formats
from collectors.parsers.format import Format

GOLDEN = Path(__file__).parents[2] / "golden"
CONTEXT = Context(received=1_795_376_041_000_000, zone="America/Mexico_City")
HEADERS = {
    "none": "",
    "bsd": "<134>Nov 22 13:34:00 fw-dif ",
    "no priority": "Nov 22 13:34:00 fw-dif ",
    "iso": "<134>2026-11-22T13:34:00-06:00 fw-dif ",
    "5424": "<134>1 2026-11-22T13:34:00-06:00 fw-dif - - - - ",
    "priority": "<134>",
}
OF_HEADERS = ("log.", "host.name", "@timestamp", "process.", "observer.", "event.original", "event.module")


def bare(each: Format) -> str | None:
    """The first sample of a format that is known by its beginning, without what stands before that."""
    for path in sorted((GOLDEN / each.name).glob("*.log")):
        for line in path.read_text("utf-8").splitlines():
            places = [line.find(begin) for begin in each.begins if begin in line[:120]]
            if places:
                return line[min(places) :].lstrip()
    return None


BARE = {each.name: found for each in formats.FORMATS if each.begins and each.read is not None if (found := bare(each))}


def essence(event: Event) -> Event:
    return {name: value for name, value in event.items() if not name.startswith(OF_HEADERS)}


DOCUMENTS = [
    (each.name, path)
    for each in formats.FORMATS
    if each.convert is not None
    for path in sorted((GOLDEN / each.name).glob("*.json"))
    if ".expected" not in path.name and path.name != "shipped.json"  # which is known by who shipped it
]


@pytest.mark.parametrize(("name", "path"), DOCUMENTS, ids=lambda value: getattr(value, "name", value))
def test_a_json_record_is_recognised_as_its_own_format(name: str, path: Path) -> None:
    for line in path.read_bytes().splitlines():
        if line.strip():
            assert PARSERS["auto"](line, CONTEXT)["event.module"] == name, line[:200]


def test_many_formats_are_known_by_their_beginning() -> None:
    assert len(BARE) >= 12


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("name", BARE)
def test_headers_change_nothing(name: str, header: str) -> None:
    expected = essence(PARSERS[name](BARE[name].encode(), CONTEXT))
    line = f"{HEADERS[header]}{BARE[name]}".encode()
    for parser in (name, "auto") if header == "none" else (name, "syslog", "auto"):
        assert essence(PARSERS[parser](line, CONTEXT)) == expected, parser


def test_a_line_whose_header_a_relay_took_off_is_known_by_its_program() -> None:
    line = b"postfix/smtpd[811]: connect from unknown[203.0.113.9]"
    for parser in ("auto", "postfix"):
        event = PARSERS[parser](line, CONTEXT)
        assert (event["process.name"], event["process.pid"]) == ("postfix/smtpd", 811)
        assert (event["event.action"], event["source.ip"]) == ("connect", "203.0.113.9")


def test_a_line_that_a_stranger_signs_stays_what_it_is() -> None:
    assert PARSERS["auto"](b"nobody[811]: connect from unknown[203.0.113.9]", CONTEXT)["event.dataset"] == "unknown"
