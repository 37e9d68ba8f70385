"""ModSecurity speaks within the logs of web servers, and takes no line of theirs."""

from __future__ import annotations

import pytest

from almena.errors import ParseError
from collectors.base import Context
from collectors.parsers import PARSERS

CONTEXT = Context(received=1_795_376_041_000_000, zone="America/Mexico_City")
SAID = 'ModSecurity: Warning. Match [file "x"] [id "1"] [msg "m [id \\"9\\"] [id"] [hostname "h"] [uri "/a"]'


@pytest.mark.parametrize("parser", ["modsecurity", "syslog", "auto"])
@pytest.mark.parametrize("program", ["httpd", "nginx"])
def test_behind_a_header_of_syslog(program: str, parser: str) -> None:
    line = f"<187>Nov 22 13:34:00 web1 {program}[7]: [security2:error] [client 192.0.2.7:9] {SAID}"
    event = PARSERS[parser](line.encode(), CONTEXT)
    assert (event["event.dataset"], event["rule.id"]) == ("modsecurity.audit", "1")
    assert (event["source.ip"], event["url.path"]) == ("192.0.2.7", "/a")


def test_what_servers_say_themselves_stays_theirs() -> None:
    line = b"<187>Nov 22 13:34:00 web1 nginx: 2026/11/22 13:34:00 [error] 8#8: *5 open() failed, client: 192.0.2.7"
    assert PARSERS["syslog"](line, CONTEXT)["event.dataset"] == "nginx.error"
    with pytest.raises(ParseError):
        PARSERS["modsecurity"](line, CONTEXT)
    odd = b"<187>Nov 22 13:34:00 web1 nginx: something that nobody knows"
    assert PARSERS["syslog"](odd, CONTEXT)["event.dataset"].startswith("nginx")
