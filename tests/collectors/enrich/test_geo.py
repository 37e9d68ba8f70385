from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from almena.errors import ConfigError
from almena.event import Event
from collectors.enrich.geo import Geo


def database(path: Path, entries: dict[str, Any]) -> str:
    writer = MMDBWriter(6, "Test", languages=["en"], ipv4_compatible=True)
    for network, record in entries.items():
        assert ipaddress.ip_network(network)
        writer.insert_network(IPSet([network]), record)
    writer.to_db_file(str(path))
    return str(path)


def test_places_and_networks_of_both_ends(tmp_path: Path) -> None:
    city = database(
        tmp_path / "city.mmdb",
        {
            "203.0.113.0/24": {
                "continent": {"code": "NA", "names": {"en": "North America"}},
                "country": {"iso_code": "MX", "names": {"en": "Mexico"}},
                "city": {"names": {"en": "Morelia"}},
                "subdivisions": [{"iso_code": "MIC", "names": {"en": "Michoacán"}}],
                "location": {"latitude": 19.7, "longitude": -101.2, "time_zone": "America/Mexico_City"},
            }
        },
    )
    system = database(
        tmp_path / "asn.mmdb",
        {"203.0.113.0/24": {"autonomous_system_number": 64500, "autonomous_system_organization": "Ejemplo"}},
    )
    geo = Geo([city, system])
    assert geo.refresh()
    assert not geo.refresh()
    event: Event = {"source.ip": "203.0.113.9", "destination.ip": "10.0.0.1"}
    geo(event)
    assert event["source.geo.country_iso_code"] == "MX"
    assert event["source.geo.region_iso_code"] == "MX-MIC"
    assert event["source.geo.location"] == "19.7,-101.2"
    assert (event["source.as.number"], event["source.as.organization.name"]) == (64500, "Ejemplo")
    assert not [name for name in event if name.startswith("destination.geo")]


def test_records_of_another_shape_harm_nobody(tmp_path: Path) -> None:
    path = database(tmp_path / "odd.mmdb", {"203.0.113.0/24": {"country": "MX", "location": [1], "subdivisions": "x"}})
    geo = Geo([path])
    geo.refresh()
    event: Event = {"source.ip": "203.0.113.9"}
    geo(event)
    assert event == {"source.ip": "203.0.113.9"}


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.mmdb"
    path.write_bytes(b"not a database")
    with pytest.raises(ConfigError, match="is no database in MaxMind's format"):
        Geo([str(path)]).refresh()
