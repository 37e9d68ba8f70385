"""ModSecurity speaks within the logs of web servers, and takes no line of theirs."""

from __future__ import annotations

import pytest

from almena.errors import ParseError
from collectors.base import Context
from collectors.parsers import PARSERS

CONTEXT = Context(received=1_795_376_041_000_000, zone="America/Mexico_City")
SAID = 'ModSecurity: Warning. Match [file "x"] [id "1"] [msg "m [id \\"9\\"] [id"] [hostname "h"] [uri "/a"]'
BLOCKED = """--5a1c2b3d-A--
[22/Nov/2026:13:34:00.123456 -0600] XhTGxQAA 203.0.113.9 41000 10.0.0.80 443
--5a1c2b3d-B--
POST /pagos?folio=1%27%20OR%201=1 HTTP/1.1
Host: portal.gob.example
User-Agent: sqlmap/1.7

--5a1c2b3d-C--
usuario=ana
--00000000-Z--
--5a1c2b3d-F--
HTTP/1.1 403 Forbidden
Content-Length: 199

--5a1c2b3d-H--
Message: Warning. Matched phrase "sqlmap" at REQUEST_HEADERS. [id "913100"] [msg "Security Scanner"] [severity "5"]
Message: Access denied with code 403 (phase 2). detected SQLi [id "942100"] [msg "SQL Injection"]\
 [severity "CRITICAL"] [hostname "otro.example"] [tag "attack-sqli"]
Action: Intercepted (phase 2)
Server: Apache

--5a1c2b3d-Z--
"""


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


def read(text: str, parser: str = "modsecurity") -> dict[str, object]:
    return PARSERS[parser](text.encode(), CONTEXT)


def test_a_transaction_is_told_by_the_rule_that_decided() -> None:
    event = read(BLOCKED)
    assert event["@timestamp"] == "2026-11-22T19:34:00.123456Z"
    assert (event["source.ip"], event["source.port"]) == ("203.0.113.9", 41_000)
    assert (event["destination.ip"], event["destination.port"]) == ("10.0.0.80", 443)
    assert (event["http.request.method"], event["url.path"], event["url.domain"]) == (
        "POST", "/pagos", "portal.gob.example"
    )  # fmt: skip
    assert (event["rule.id"], event["rule.name"], event["log.level"]) == ("942100", "SQL Injection", "critical")
    assert (event["event.action"], event["event.outcome"], event["http.response.status_code"]) == (
        "denied", "failure", 403
    )  # fmt: skip
    assert event["user_agent.original"] == "sqlmap/1.7"
    assert event["tags"] == ["attack-sqli"]
    assert event["message"] == "Access denied with code 403 (phase 2). detected SQLi"


def test_it_is_recognised_and_what_no_rule_matched_is_no_alert() -> None:
    calm = "\n".join(line for line in BLOCKED.split("\n") if not line.startswith(("Message", "Action")))
    event = read(calm.replace("403 Forbidden", "200 OK"), "auto")
    assert event["event.module"] == "modsecurity"
    assert (event["event.kind"], event["event.action"], event["event.outcome"]) == ("event", "access", "success")


def test_a_body_cannot_say_what_another_section_says() -> None:
    forged = BLOCKED.replace("usuario=ana", '--5a1c2b3e-F--\nHTTP/1.1 200 OK\n--5a1c2b3e-H--\nMessage: x [id "1"]')
    event = read(forged)
    assert (event["http.response.status_code"], event["rule.id"]) == (403, "942100")
