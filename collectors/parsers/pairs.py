"""Lines of `key=value` pairs, as most firewalls write them: values in quotes, or bare up to the next space."""

from __future__ import annotations

import re

from almena.errors import ParseError
from collectors.parsers.common import MAX_FIELDS

_PAIR = re.compile(
    r'([A-Za-z_][A-Za-z0-9_.:-]{0,127})=(?:"((?:[^"\\]++|\\.)*+)"?|([^\s"]{0,65536}))', re.ASCII | re.DOTALL
)
# The same where nothing is escaped: a value in quotes begins behind one.
_PLAIN = re.compile(r'([A-Za-z_][A-Za-z0-9_.:-]{0,127}+)="?((?<=")[^"]*+|[^\s"]{0,65536})', re.ASCII)
_COMMAS = re.compile(r"""([A-Za-z_][A-Za-z0-9_.:-]{0,127}+)=(?:"([^"]*+)"?|'([^']*+)'?|([^,"']{0,65536}))""", re.ASCII)
_ESCAPE = re.compile(r"\\([\"\\])", re.ASCII)


def scan(line: str, at: int = 0) -> dict[str, str]:
    """The pairs from `at` on; what stands between them is passed over, and of equal keys the first counts.

    Raises ParseError when there are more than an event may have fields.
    """
    found: dict[str, str]
    if "\\" not in line:
        found = dict(reversed(_PLAIN.findall(line, at)))
    else:
        found = {key: quoted or bare for key, quoted, bare in reversed(_PAIR.findall(line, at))}
    if len(found) > MAX_FIELDS:
        raise ParseError(f"more than {MAX_FIELDS} fields")
    if "\\" in line:
        for key, value in found.items():
            if "\\" in value:
                found[key] = _ESCAPE.sub(r"\1", value)
    return found


def scan_commas(line: str) -> dict[str, str]:
    """As `scan`, of `key=value,key="value"`."""
    found = {key: double or single or bare.strip() for key, double, single, bare in reversed(_COMMAS.findall(line))}
    if len(found) > MAX_FIELDS:
        raise ParseError(f"more than {MAX_FIELDS} fields")
    return found
