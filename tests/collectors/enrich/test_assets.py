from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.errors import ConfigError
from almena.event import Event
from collectors.enrich.assets import Assets


def assets(folder: Path, text: str) -> Assets:
    path = folder / "assets.csv"
    path.write_text(text, encoding="utf-8")
    found = Assets(str(path))
    assert found.refresh()
    assert not found.refresh()
    return found


def test_the_smallest_network_counts_and_hosts_are_found_by_name(tmp_path: Path) -> None:
    table = assets(
        tmp_path,
        "network,host,name,agency,owner,criticality,kind\n"
        "10.20.0.0/16,,Red de Finanzas,finanzas,redes,medium,network\n"
        "10.20.1.7,cajas1,Servidor de cajas,finanzas,ana,high,server\n"
        "2001:db8::/32,,IPv6,salud,,,\n",
    )
    event: Event = {"source.ip": "10.20.1.7", "destination.ip": "10.20.9.9", "host.name": "CAJAS1.finanzas.example"}
    table(event)
    assert event["almena.asset.source.name"] == event["almena.asset.host.name"] == "Servidor de cajas"
    assert event["almena.asset.destination.name"] == "Red de Finanzas"
    assert event["almena.asset.destination.criticality"] == "medium"
    six: Event = {"source.ip": "2001:db8::9", "destination.ip": "192.0.2.1"}
    table(six)
    assert six["almena.asset.source.agency"] == "salud"
    assert not [name for name in six if name.startswith("almena.asset.destination")]


NETWORKS = st.builds(
    lambda number, length: ipaddress.ip_network((0x0A000000 | number & (2**20 - 1), length), strict=False),
    st.integers(0, 2**20 - 1),
    st.integers(8, 32),
)


@given(networks=st.lists(NETWORKS, max_size=12, unique=True), number=st.integers(0, 2**20 - 1))
def test_an_address_belongs_to_the_smallest_network_that_holds_it(
    tmp_path_factory: pytest.TempPathFactory, networks: list[ipaddress.IPv4Network], number: int
) -> None:
    rows = "".join(f"{network},{network}\n" for network in networks)
    table = assets(tmp_path_factory.mktemp("assets"), "network,name\n" + rows)
    address = ipaddress.ip_address(0x0A000000 | number)
    event: Event = {"source.ip": str(address)}
    table(event)
    holding = [network for network in networks if address in network]
    expected = str(max(holding, key=lambda network: network.prefixlen)) if holding else None
    assert event.get("almena.asset.source.name") == expected


def test_rows_that_cannot_be_used_are_told_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = assets(tmp_path, "network,name\n10.0.0.0/99,x\n,y\n10.0.0.1,Bien\n10.0.0.2\n")
    event: Event = {"source.ip": "10.0.0.1"}
    table(event)
    assert event["almena.asset.source.name"] == "Bien"
    assert "assets.csv:2: no network or address" in caplog.text
    assert "assets.csv:3: neither a network nor a host" in caplog.text
    assert "assets.csv:5: not as many cells" in caplog.text


@pytest.mark.parametrize("text", ["", "a,b\n", "name\nx\n", "network,colour\n"])
def test_a_table_without_its_columns_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="must name columns out of network, host"):
        assets(tmp_path, text)
