"""Lines inside the documents of shippers."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers import PARSERS
from collectors.parsers.ecs import OWN

CONTEXT = Context(received=1_795_376_040_000_000)
LINE = '192.0.2.7 - ana [22/Nov/2026:13:34:00 -0600] "GET / HTTP/1.1" 200 512 "-" "curl/8.5.0"'
SSH = "Failed password for root from 192.0.2.7 port 22 ssh2"


def parse(name: str, document: object) -> Event:
    return PARSERS[name](msgspec.json.encode(document), CONTEXT)


@pytest.mark.parametrize("place", ["message", "log", "msg", "MESSAGE", "event.original"])
@pytest.mark.parametrize("name", ["nginx", "syslog"])
def test_a_line_is_read_as_if_it_had_come_alone(name: str, place: str) -> None:
    line = LINE if name == "nginx" else f"<38>Nov 22 13:34:00 web1 sshd[1]: {SSH}"
    alone = PARSERS[name](line.encode(), CONTEXT)
    assert parse(name, {place: line}) == alone
    assert parse(name, {place: line + "\n", "@timestamp": "2026-11-22T20:00:00Z"}) == alone


def test_the_whole_line_goes_before_what_a_filter_left_of_it() -> None:
    assert parse("nginx", {"event": {"original": LINE}, "message": "GET /"})["user.name"] == "ana"


def test_the_line_is_believed_and_the_shipper_adds() -> None:
    event = parse(
        "syslog",
        {
            "message": f"<38>Nov 22 13:34:00 web1 sshd[1]: {SSH}",
            "@timestamp": "2026-11-22T20:00:00Z",
            "host": {"name": "collector", "id": "7"},
            "user": {"name": "filebeat"},
            "event": {"dataset": "x.y", "outcome": "unknown", "ingested": "2020-01-01T00:00:00Z"},
            "zone": "dmz",
        },
    )
    assert (event["host.name"], event["host.id"], event["user.name"]) == ("web1", "7", "root")
    assert (event["event.dataset"], event["event.outcome"]) == ("system.auth", "failure")
    assert event["almena.app.zone"] == "dmz"
    assert "event.ingested" not in event


def test_a_line_without_a_time_has_the_shippers() -> None:
    document = {"message": SSH, "process": {"name": "sshd"}, "@timestamp": "2026-01-01T00:00:00Z"}
    assert parse("sshd", document)["@timestamp"] == "2026-01-01T00:00:00.000000Z"
    assert parse("sshd", {**document, "@timestamp": "never"})["@timestamp"] == format_time(CONTEXT.received)


def test_the_year_of_a_line_is_that_in_which_the_shipper_read_it() -> None:
    document = {"message": f"Dec 31 17:59:59 web1 sshd[1]: {SSH}", "@timestamp": "2020-01-01T00:00:09Z"}
    assert parse("syslog", document)["@timestamp"] == "2019-12-31T23:59:59.000000Z"


def test_what_a_format_understands_as_it_is_stays_as_it_is() -> None:
    """Winlogbeat has a message too, for people."""
    document = {
        "@timestamp": "2026-11-22T19:34:00Z",
        "message": "An account failed to log on.",
        "agent": {"type": "winlogbeat"},
        "winlog": {"channel": "Security", "event_id": "4625", "event_data": {"TargetUserName": "ana"}},
    }
    assert parse("windows", document)["winlog.event_data.TargetUserName"] == "ana"
    assert parse("ecs", {**document, "message": LINE})["message"] == LINE


def test_only_what_shippers_mark_is_opened_where_the_format_is_to_be_found() -> None:
    marked = {"message": LINE, "@timestamp": "2026-11-22T19:34:00Z", "agent": {"type": "filebeat"}}
    assert parse("auto", marked)["event.module"] == "nginx"
    del marked["agent"]
    assert parse("auto", marked)["event.module"] == "json"


@pytest.mark.parametrize("document", [{}, {"message": ""}, {"message": 5}, {"message": "x"}, [LINE], LINE, {"a": LINE}])
def test_what_holds_no_line_of_the_format_is_refused(document: object) -> None:
    with pytest.raises(ParseError):
        parse("nginx", document)


def test_too_many_fields_are_refused() -> None:
    with pytest.raises(ParseError, match="fields"):
        parse("nginx", {"message": LINE, **{f"f{number}": 1 for number in range(4_090)}})


TRAIL = (
    '{"eventTime":"2026-11-22T19:34:00Z","eventSource":"iam.amazonaws.com","eventName":"CreateUser",'
    '"awsRegion":"us-east-1","sourceIPAddress":"203.0.113.9","userIdentity":{"userName":"ana"}}'
)


@pytest.mark.parametrize(
    ("document", "module"),
    [
        ({"message": f"Nov 22 13:34:00 web1 sshd[3]: {SSH}"}, "sshd"),
        ({"message": TRAIL}, "cloudtrail"),
        ({"@timestamp": "2026-11-22T19:34:01Z", "event": {"original": TRAIL}}, "cloudtrail"),
        ({"@timestamp": "2026-11-22T19:34:01Z", "message": TRAIL, "agent": {"type": "filebeat"}}, "cloudtrail"),
        ({"@timestamp": "2026-11-22T19:34:01Z", "event": {"original": TRAIL, "action": "ours"}}, "json"),
        ({"@timestamp": "2026-11-22T19:34:01Z", "message": SSH}, "json"),
    ],
    ids=["a line alone", "an object alone", "an original", "a shipper's object", "read already", "an application's"],
)
def test_what_a_document_only_carries_is_recognised(document: dict[str, object], module: str) -> None:
    event = parse("auto", document)
    assert event["event.module"] == module
    if module == "cloudtrail":
        assert (event["user.name"], event["source.ip"]) == ("ana", "203.0.113.9")
        assert event["@timestamp"] == "2026-11-22T19:34:00.000000Z"


VALUES = st.recursive(
    st.none() | st.text(max_size=9) | st.integers(-5, 5) | st.sampled_from((LINE, SSH, "2026-11-22T19:34:00Z")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("name", "original", "id")), inner),
    max_leaves=5,
)
PLACES = ("message", "event", "host", "agent", "log", "@timestamp", "process", "almena.alert.id", "event.id", "zone")


@given(st.sampled_from(("nginx", "syslog", "sshd", "auto", "app")), st.dictionaries(st.sampled_from(PLACES), VALUES))
def test_any_document_gives_an_event_or_a_parse_error(name: str, document: dict[str, object]) -> None:
    try:
        event = parse(name, document)
    except ParseError:
        return
    assert event["event.dataset"]
    assert not [each for each in event if each.startswith(OWN)]
    assert "event.id" not in event or name == "app"
