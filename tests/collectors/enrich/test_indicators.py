from __future__ import annotations

import ipaddress
import resource
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.event import Event
from collectors.enrich.indicators import Indicators

TIME = "2026-11-22T19:34:00.000000Z"


def indicators(folder: Path, text: str, most: int = 10_000) -> Indicators:
    path = folder / "bad.csv"
    path.write_text(text)
    found = Indicators([str(path)], most)
    assert found.refresh()
    assert not found.refresh()
    return found


def looked_up(table: Indicators, **fields: object) -> Event:
    event: Event = {"@timestamp": TIME} | {name.replace("__", "."): value for name, value in fields.items()}
    table(event)
    return event


def test_values_networks_and_names_below_are_found(tmp_path: Path) -> None:
    table = indicators(
        tmp_path,
        "value,description,provider\n203.0.113.9,C2,CERT\n198.51.100.0/24,Red,CERT\nevil.example,Panel,CERT\n"
        "http://bad.example/a,Descarga,CERT\n"
        + "ab" * 32
        + ",Troyano,CERT\n2001:db8:1::/48,Seis,CERT\nm@evil.example,Correo,x\n",
    )
    assert looked_up(table, source__ip="203.0.113.9")["threat.indicator.description"] == "C2"
    assert looked_up(table, destination__ip="198.51.100.77")["threat.indicator.type"] == "ipv4-addr"
    assert looked_up(table, destination__ip="2001:db8:1::5")["threat.indicator.type"] == "ipv6-addr"
    found = looked_up(table, dns__question__name="a.b.Evil.example.", dns__resolved_ip=["10.0.0.1", "203.0.113.9"])
    assert found["almena.indicator.matched"] == ["203.0.113.9", "a.b.Evil.example."]
    assert found["almena.indicator.field"] == "dns.resolved_ip"
    assert looked_up(table, url__full="HTTP://bad.example/a#x")["threat.indicator.type"] == "url"
    assert looked_up(table, file__hash__sha256="AB" * 32)["threat.indicator.provider"] == "CERT"
    for clean in (
        {"source__ip": "203.0.113.8"},
        {"dns__question__name": "notevil.example"},
        {"url__domain": "example"},
    ):
        assert "threat.indicator.type" not in looked_up(table, **clean)


def test_an_indicator_counts_until_its_end_in_event_time(tmp_path: Path) -> None:
    table = indicators(
        tmp_path, "value,valid_until\n203.0.113.9,2026-11-22T19:34:00Z\n203.0.113.8,2026-11-22T19:34:01Z\n"
    )
    assert "threat.indicator.type" not in looked_up(table, source__ip="203.0.113.9")
    assert "threat.indicator.type" in looked_up(table, source__ip="203.0.113.8")


def test_what_is_beyond_the_bound_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = indicators(tmp_path, "".join(f"203.0.113.{at}\n" for at in range(10)), most=4)
    assert table.count == 4
    assert "6 left out; max_indicators is 4" in caplog.text


NUMBERS = st.integers(0, 2**10 - 1)


@given(networks=st.lists(st.tuples(NUMBERS, st.integers(20, 32)), min_size=1, max_size=8), number=NUMBERS)
def test_an_address_is_found_exactly_when_a_network_holds_it(
    tmp_path_factory: pytest.TempPathFactory, networks: list[tuple[int, int]], number: int
) -> None:
    written = [ipaddress.ip_network((0xCB007100 + at, length), strict=False) for at, length in networks]
    table = indicators(tmp_path_factory.mktemp("bad"), "".join(f"{network}\n" for network in written))
    address = ipaddress.ip_address(0xCB007100 + number)
    found = "threat.indicator.type" in looked_up(table, source__ip=str(address))
    assert found == any(address in network for network in written)


@pytest.mark.faults
def test_a_million_indicators_fit_into_bounded_memory(tmp_path: Path) -> None:
    lines = (f"{at >> 16 & 255}.evil{at}.example\n" for at in range(1_000_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    table = indicators(tmp_path, "".join(lines), most=2_000_000)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert table.count == 1_000_000
    assert grown < 150, f"{grown:.0f} MiB, the file's own text of 20 MiB among them"
    assert "threat.indicator.type" in looked_up(table, url__domain="x.0.evil5.example")
