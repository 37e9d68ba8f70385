from __future__ import annotations

import pytest

from collectors.base import Context
from collectors.parsers.apache import FORMAT

parse = FORMAT.parse

REST = '[22/Nov/2026:13:34:00 -0600] "GET / HTTP/1.1" 200 1 "-" "-"'


@pytest.mark.parametrize(
    ("before", "client", "host", "user"),
    [
        ("203.0.113.9 - -", "203.0.113.9", None, None),
        ("2001:db8::1 - ana", "2001:db8::1", None, "ana"),
        ("portal.example:443 203.0.113.9 - ana", "203.0.113.9", "portal.example", "ana"),
        ("203.0.113.9 - ana maria", "203.0.113.9", None, "ana maria"),
        ("[2001:db8::5]:443 203.0.113.9 - -", "203.0.113.9", "[2001:db8::5]", None),
    ],
)
def test_the_virtual_host_is_told_from_the_client(before: str, client: str, host: str | None, user: str | None) -> None:
    event = parse(f"{before} {REST}".encode(), Context(received=0))
    assert (event["source.ip"], event.get("url.domain"), event.get("user.name")) == (client, host, user)
