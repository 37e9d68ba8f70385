"""One event as a person names it: files, standard input, records in quotes, alerts, and what is none of these."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import msgspec
import pytest

from almena.app.oneevent import one_event
from almena.errors import UsageError

EVENT = {"@timestamp": "2026-11-22T10:00:00Z", "event": {"dataset": "network.dns"}, "dns.question.name": "a.example"}
LINE = '203.0.113.7 - - [22/Nov/2026:10:00:00 -0600] "GET /{} HTTP/1.1" 200 5 "-" "curl/8"'


def test_a_record_in_quotes() -> None:
    found = one_event(msgspec.json.encode(EVENT).decode())
    assert found.event["event.dataset"] == "network.dns"
    assert found.notes == ()
    assert one_event(LINE.format("x"), "nginx").event["url.path"] == "/x"
    assert one_event(LINE.format("x")).event["url.path"] == "/x"


def test_a_record_without_a_time_is_of_this_moment() -> None:
    found = one_event('{"process.executable": "/bin/sh"}')
    assert found.event["process.executable"] == "/bin/sh"
    assert "without a time" in found.notes[0]


def test_an_alert_stands_for_its_first_event() -> None:
    alert = {"@timestamp": EVENT["@timestamp"], "almena.alert.evidence": {"first": EVENT | {"user.name": "ana"}}}
    found = one_event(msgspec.json.encode(alert).decode())
    assert found.event["user.name"] == "ana"
    assert found.notes == ("an alert: its first event is taken",)


def test_native_records_stay_as_they_are() -> None:
    assert one_event('{"Image": "x"}', "native").event["Image"] == "x"


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(msgspec.json.encode(EVENT))))
    assert one_event("-").event["dns.question.name"] == "a.example"
    several = "\n".join([LINE.format("a"), "", LINE.format("b")]).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(several)))
    assert one_event("-", line=3).event["url.path"] == "/b"


def test_files(tmp_path: Path) -> None:
    pretty = tmp_path / "event.json"
    pretty.write_bytes(msgspec.json.format(msgspec.json.encode(EVENT), indent=2))
    assert one_event(str(pretty)).event["dns.question.name"] == "a.example"
    log = tmp_path / "access.log"
    log.write_text("\n".join(LINE.format(name) for name in "abc") + "\n")
    first = one_event(str(log))
    assert (first.event["url.path"], len(first.notes)) == ("/a", 1)
    assert one_event(str(log), line=3).event["url.path"] == "/c"


@pytest.mark.parametrize(
    ("named", "options", "reason"),
    [
        ("nowhere.json", {}, "nowhere.json: no such file; an event is a file, '-' for standard input, or a record"),
        ("x" * 5_000, {}, "no such file"),
        ("\0", {}, "no such file"),
        (".", {}, "a folder; name one file in it"),
        ("{}", {"format_": "pcap"}, "no format 'pcap' for one record"),
        ("{}", {"line": 2}, "the record: there is no record 2"),
        ("not any log", {}, "no parser understands"),
        ("not any log", {"format_": "nginx"}, "the record: "),
        (" ", {}, "the record: there is no record in it"),
        ("{" + " " * (1 << 20), {}, "longer than"),
        ("empty.log", {}, "empty.log: there is no record in it"),
        ("one.log", {"line": 2}, "one.log: there is no record 2"),
        ("bad.log", {"format_": "nginx"}, "bad.log:1: "),
    ],
)
def test_what_is_no_event_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, options: dict[str, object], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.log").touch()
    Path("one.log").write_text(LINE.format("a") + "\n")
    Path("bad.log").write_text("what is this\n")
    with pytest.raises(UsageError) as error:
        one_event(named, **options)  # type: ignore[arg-type]
    assert reason in str(error.value)
