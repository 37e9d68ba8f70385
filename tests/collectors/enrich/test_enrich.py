"""The steps together: any event passes, nothing a parser said changes, and changed tables are taken live."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.ecs import check
from almena.enrichment import EnrichSettings
from almena.errors import ConfigError
from almena.event import Event
from collectors.enrich import Enricher
from collectors.enrich.agents import put_agent
from collectors.enrich.domains import put_domains, split
from collectors.enrich.related import put_related
from collectors.enrich.traffic import Traffic

TIME = "2026-11-22T19:34:00.000000Z"
INSIDE = ("10.0.0.0/8", "fc00::/7")
NAMES = (
    "source.ip",
    "source.port",
    "source.domain",
    "destination.ip",
    "destination.port",
    "network.transport",
    "network.direction",
    "url.domain",
    "url.full",
    "dns.question.name",
    "dns.resolved_ip",
    "user.name",
    "user_agent.original",
    "host.name",
    "related.ip",
    "file.hash.sha256",
    "event.dataset",
    "event.action",
    "event.category",
    "event.outcome",
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.text(max_size=12)
    | st.integers()
    | st.booleans()
    | st.floats(allow_nan=False)
    | st.sampled_from(
        ["10.0.0.1", "203.0.113.9", "2001:db8::1", "tcp", "a.example.com.mx", "dhcp", "dhcpack", "success"]
    )
    | st.sampled_from(["9" * 5_000, "a." * 3_000, "http://x/" + "y" * 5_000, "::" * 400]),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@pytest.fixture(scope="module")
def enricher(tmp_path_factory: pytest.TempPathFactory) -> Enricher:
    folder = tmp_path_factory.mktemp("tables")
    (folder / "assets.csv").write_text("network,host,name,agency\n10.0.0.0/8,web1,Portal,finanzas\n")
    (folder / "bad.csv").write_text("203.0.113.0/24\nexample.com.mx\nhttp://x/\n")
    return Enricher(EnrichSettings(assets=str(folder / "assets.csv"), indicators=[str(folder / "bad.csv")]))


@given(fields=st.dictionaries(st.sampled_from(NAMES), VALUES))
def test_any_event_passes_and_keeps_what_its_parser_said(enricher: Enricher, fields: Event) -> None:
    event = {"@timestamp": TIME} | fields
    before = dict(event)
    after = enricher(event)
    grows = ("related.ip", "event.category")
    assert {name: after[name] for name in before if name not in grows} == {
        name: value for name, value in before.items() if name not in grows
    }
    new = {name: value for name, value in after.items() if name not in before}
    assert "almena.misfit" not in check(new | {"@timestamp": TIME}), "what is added fits the schema"


def test_what_is_listed_is_each_value_once() -> None:
    event: Event = {"source.ip": "10.0.0.1", "destination.ip": "10.0.0.1", "dns.resolved_ip": ["203.0.113.9", 5]}
    event |= {
        "user.name": "ana",
        "user.target.name": "eva",
        "host.name": "web1",
        "file.hash.md5": "00",
        "related.ip": "192.0.2.1",
    }
    put_related(event)
    assert event["related.ip"] == ["192.0.2.1", "10.0.0.1", "203.0.113.9"]
    assert event["related.user"] == ["ana", "eva"]
    assert (event["related.hosts"], event["related.hash"]) == (["web1"], ["00"])


@pytest.mark.parametrize(
    ("source", "destination", "direction"),
    [
        ("10.1.1.1", "10.2.2.2", "internal"),
        ("10.1.1.1", "203.0.113.9", "outbound"),
        ("203.0.113.9", "fd00::1", "inbound"),
        ("203.0.113.9", "198.51.100.1", "external"),
        ("127.0.0.1", "fe80::1", "internal"),
    ],
)
def test_directions_are_seen_from_the_institution(source: str, destination: str, direction: str) -> None:
    event: Event = {"source.ip": source, "destination.ip": destination}
    Traffic(INSIDE)(event)
    assert event["network.direction"] == direction


@pytest.mark.parametrize(
    ("source", "destination", "name"),
    [
        (("128.232.110.120", 34855), ("66.35.250.204", 80), "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
        (("66.35.250.204", 80), ("128.232.110.120", 34855), "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
    ],
)
def test_a_flow_has_the_name_that_the_specification_gives(
    source: tuple[str, int], destination: tuple[str, int], name: str
) -> None:
    event: Event = {"source.ip": source[0], "source.port": source[1], "network.transport": "tcp"}
    event |= {"destination.ip": destination[0], "destination.port": destination[1]}
    Traffic(INSIDE)(event)
    assert event["network.community_id"] == name


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("www.finanzas.michoacan.gob.mx", ("www.finanzas", "michoacan.gob.mx", "gob.mx")),
        ("example.com", ("", "example.com", "com")),
        ("A.B.Example.co.UK.", ("a.b", "example.co.uk", "co.uk")),
        ("gob.mx", None),
        ("localhost", None),
        ("10.0.0.1", None),
        ("", None),
        ("a" * 300 + ".mx", None),
    ],
)
def test_names_are_split_by_the_public_suffixes(name: str, parts: tuple[str, str, str] | None) -> None:
    assert split(name) == parts


def test_names_of_both_ends_are_split() -> None:
    event: Event = {"dns.question.name": "x.y.example.com", "destination.domain": "example.com"}
    put_domains(event)
    assert event["dns.question.subdomain"] == "x.y"
    assert event["destination.registered_domain"] == "example.com"
    assert "destination.subdomain" not in event


def test_agents_are_taken_apart() -> None:
    event: Event = {
        "user_agent.original": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/120.0.0.0 Safari/537.36"
    }
    put_agent(event)
    assert (event["user_agent.name"], event["user_agent.os.name"]) == ("Chrome", "Windows")
    assert event["user_agent.version"].startswith("120.0")
    odd: Event = {"user_agent.original": "x" * 100_000}
    put_agent(odd)
    assert set(odd) == {"user_agent.original"}


def test_a_changed_table_is_taken_and_a_broken_one_is_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = tmp_path / "assets.csv"

    def write(name: str) -> None:
        with table.open("w", newline="") as file:
            csv.writer(file).writerows([["host", "name"], ["web1", name]])

    def seen() -> Any:
        return enricher({"@timestamp": TIME, "host.name": "WEB1.example.com"}).get("almena.asset.host.name")

    write("Portal")
    enricher = Enricher(EnrichSettings(assets=str(table)))
    assert seen() == "Portal"
    write("Portal nuevo")
    enricher.refresh()
    assert seen() == "Portal nuevo"
    table.write_bytes(b"what,is,this\n\xff")
    enricher.refresh()
    assert seen() == "Portal nuevo"
    assert "what was read before stays" in caplog.text


@pytest.mark.parametrize(
    "settings",
    [
        {"assets": "nowhere.csv"},
        {"geo": ["nowhere.mmdb"]},
        {"indicators": ["nowhere/*.csv"]},
        {"internal": ["10.0.0.1/8"]},
    ],
)
def test_what_cannot_be_read_at_the_start_is_an_error(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="enrich: "):
        Enricher(EnrichSettings(**settings))
