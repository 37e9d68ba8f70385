"""Where in the world an address is and whose network it belongs to, from databases in MaxMind's format."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import maxminddb

from almena.errors import ConfigError
from almena.event import Event
from collectors.enrich.files import Marks, marks

_SIDES = ("source", "destination")


class Geo:
    """Sets `source.geo.*`, `source.as.*` and the same of the destination."""

    def __init__(self, paths: Sequence[str]) -> None:
        """Nothing is read before `refresh`."""
        self._paths = list(paths)
        self._marks: Marks = ()
        self._find: Any = lambda address: {}

    def refresh(self) -> bool:
        """Open the databases anew if they changed."""
        now = marks(self._paths, "enrich: geo")
        if now == self._marks:
            return False
        readers = []
        for path, *_ in now:
            try:
                readers.append(maxminddb.open_database(path, maxminddb.MODE_MEMORY))
            except (OSError, ValueError, maxminddb.InvalidDatabaseError):
                raise ConfigError(f"enrich: geo: {path}: is no database in MaxMind's format (.mmdb)") from None

        @lru_cache(maxsize=65_536)
        def find(address: str) -> Event:
            fields: Event = {}
            for reader in readers:
                try:
                    found = reader.get(address)
                except (ValueError, maxminddb.InvalidDatabaseError):
                    continue
                if isinstance(found, dict):
                    fields |= _fields(found)
            return fields

        self._find, self._marks = find, now
        return True

    def __call__(self, event: Event) -> None:
        """Add the places of both ends."""
        for side in _SIDES:
            address = event.get(f"{side}.ip")
            if isinstance(address, str) and len(address) <= 45:
                for name, value in self._find(address).items():
                    event[f"{side}.{name}"] = value


def _fields(found: dict[str, Any]) -> Event:
    """What databases of cities, countries and autonomous systems say, under ECS names; their shape is not trusted."""
    fields: Event = {
        "geo.continent_code": _in(found, "continent", "code"),
        "geo.continent_name": _in(found, "continent", "names", "en"),
        "geo.country_iso_code": _in(found, "country", "iso_code"),
        "geo.country_name": _in(found, "country", "names", "en"),
        "geo.city_name": _in(found, "city", "names", "en"),
        "geo.postal_code": _in(found, "postal", "code"),
        "geo.timezone": _in(found, "location", "time_zone"),
        "as.organization.name": _in(found, "autonomous_system_organization"),
    }
    divisions = found.get("subdivisions")
    if isinstance(divisions, list) and divisions and isinstance(divisions[0], dict):
        fields["geo.region_name"] = _in(divisions[0], "names", "en")
        code, country = _in(divisions[0], "iso_code"), fields["geo.country_iso_code"]
        fields["geo.region_iso_code"] = f"{country}-{code}" if code and country else None
    place = found.get("location")
    if isinstance(place, dict) and _is_number(place.get("latitude")) and _is_number(place.get("longitude")):
        fields["geo.location"] = f"{place['latitude']},{place['longitude']}"
    number = found.get("autonomous_system_number")
    if isinstance(number, int):
        fields["as.number"] = number
    return {name: value for name, value in fields.items() if value is not None}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _in(found: Any, *path: str) -> str | None:
    for part in path:
        found = found.get(part) if isinstance(found, dict) else None
    return found if isinstance(found, str) and found else None
