"""Exchange's other logs, whose columns differ: its proxy for HTTP, IMAP and POP, and the protocol of SMTP."""

from __future__ import annotations

import re

from almena.event import Event
from collectors.parsers.common import address, given
from collectors.parsers.jsonpath import put
from collectors.parsers.network import put_count, put_end, put_user

_HTTP = (
    "datetime requestid majorversion minorversion buildversion revisionversion clientrequestid protocol urlhost urlstem"
    " protocolaction authenticationtype isauthenticated authenticateduser organization anchormailbox useragent"
    " clientipaddress serverhostname httpstatus backendstatus errorcode method proxyaction targetserver"
    " targetserverversion routingtype routinghint backendcookie serverlocatorhost serverlocatorlatency requestbytes"
    " responsebytes"
)
_MAILBOX = "datetime sessionid seqnumber sip cip user duration rqsize rpsize command parameters context"
_SMTP = "date-time connector-id session-id sequence-number local-endpoint remote-endpoint event data context"
HTTP, MAILBOX, SMTP = tuple(_HTTP.split()), tuple(_MAILBOX.split()), tuple(_SMTP.split())
"""The columns of each log as far as they are read; that of the proxy's query stands behind them."""

_QUERY = 65
_GUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$", re.ASCII)
_SESSION = re.compile(r"[0-9A-F]{16}$", re.ASCII)
_PORTS = frozenset(("25", "465", "475", "587", "717", "2525"))
_EVENTS = {"+": "connect", "-": "disconnect", ">": "send", "<": "receive", "*": "information"}
_SIGN_INS = frozenset(("login", "pass", "auth", "authenticate", "apop"))
_FROM = re.compile(r"(MAIL FROM|RCPT TO):\s?<([^>]{1,320})>", re.ASCII | re.IGNORECASE)


def columns(cells: list[str]) -> tuple[str, ...] | None:
    """Whose columns these are, by what stands in those that differ; None for no record of these logs."""
    count = len(cells)
    if count == len(SMTP) and cells[3].isdigit() and cells[6] in _EVENTS and _SESSION.match(cells[2]):
        return SMTP
    if len(MAILBOX) <= count <= len(MAILBOX) + 2 and cells[2].isdigit() and cells[6].isdigit() and cells[9]:
        return MAILBOX if _end(cells[4])[0] is not None else None
    if count >= len(HTTP) + 20 and cells[2].isdigit() and _GUID.match(cells[1]):
        return (*HTTP, *(f"_{at}" for at in range(len(HTTP), _QUERY)), "urlquery")
    return None


def read(facts: dict[str, str], event: Event) -> bool:
    """Read a record's columns into the event; False for those of none of these logs."""
    facts = {name.lower(): value for name, value in facts.items()}
    if "clientipaddress" in facts and "urlstem" in facts:
        _http(facts, event)
    elif "cip" in facts and "command" in facts:
        _mailbox(facts, event)
    elif "remote-endpoint" in facts and "session-id" in facts:
        _smtp(facts, event)
    else:
        return False
    return True


def _end(written: str | None) -> tuple[str | None, str | None]:
    """The address and the port of `203.0.113.9:50112`."""
    host, _, port = (written or "").rpartition(":")
    return address(host.strip("[]")), port


def _http(facts: dict[str, str], event: Event) -> None:
    get = facts.get
    event |= {"event.dataset": "microsoft_exchange_server.httpproxy", "event.category": ["web"]}
    event["event.type"] = ["access"]
    first, _, rest = (get("clientipaddress") or "").strip().partition(" ")
    put_end(event, "source", address(first.strip(",")) or address(rest.strip()))
    put_user(event, given(get("authenticateduser")))
    for key, name in (
        ("urlhost", "url.domain"),
        ("urlstem", "url.path"),
        ("method", "http.request.method"),
        ("useragent", "user_agent.original"),
        ("serverhostname", "observer.hostname"),
        ("serverhostname", "host.name"),
        ("protocol", "event.provider"),
        ("errorcode", "event.reason"),
        ("requestid", "http.request.id"),
    ):
        put(event, name, get(key))
    query = (given(get("urlquery")) or "").removeprefix("?")
    put(event, "url.query", query)
    if "url.path" in event:
        event["url.original"] = event["url.path"] + (f"?{query}" if query else "")
    put_count(event, "http.request.bytes", get("requestbytes"))
    put_count(event, "http.response.bytes", get("responsebytes"))
    put_end(event, "destination", get("targetserver"))
    action = given(get("protocolaction")) or given(get("proxyaction"))
    put(event, "event.action", action.lower() if action else None)
    status = put_count(event, "http.response.status_code", get("httpstatus"))
    if status is not None:
        event["event.outcome"] = "success" if status < 400 else "failure"


def _mailbox(facts: dict[str, str], event: Event) -> None:
    get = facts.get
    event |= {"event.dataset": "microsoft_exchange_server.imap4_pop3", "event.category": ["email"]}
    event["event.type"] = ["info"]
    put_end(event, "source", *_end(get("cip")))
    put_end(event, "destination", *_end(get("sip")))
    put_user(event, given(get("user")))
    command, said = (get("command") or "").lower(), get("context") or ""
    put(event, "event.action", command)
    put_count(event, "source.bytes", get("rqsize"))
    put_count(event, "destination.bytes", get("rpsize"))
    if command in _SIGN_INS:
        event["event.category"], event["event.type"] = ["authentication"], ["start"]
    if said.startswith("R="):
        well = said.startswith(("R=OK", 'R="OK', 'R="+OK', "R=+OK"))
        event["event.outcome"] = "success" if well else "failure"
        if not well:
            put(event, "event.reason", said[2:1_024])


def _smtp(facts: dict[str, str], event: Event) -> None:
    get = facts.get
    event |= {"event.dataset": "microsoft_exchange_server.smtp", "event.category": ["email"], "event.type": ["info"]}
    local, remote = _end(get("local-endpoint")), _end(get("remote-endpoint"))
    received = local[1] in _PORTS and not (remote[1] in _PORTS and "send" in (get("connector-id") or "").lower())
    put_end(event, "source", *(remote if received else local))
    put_end(event, "destination", *(local if received else remote))
    put(event, "almena.exchange.connector", get("connector-id"))
    event["event.action"] = _EVENTS.get(get("event") or "", "information")
    if event["event.action"] in ("connect", "disconnect"):
        event["event.category"] = ["email", "network"]
        event["event.type"] = ["connection", "start" if event["event.action"] == "connect" else "end"]
    data, said = get("data") or "", get("context") or ""
    put(event, "message", " ".join(each for each in (data, said) if each))
    mail = _FROM.match(data)
    if mail is not None:
        sent = mail[1][0] in "Mm"
        event["email.from.address" if sent else "email.to.address"] = [mail[2]]
    below = said.lower()
    if "authenticat" in below:
        event["event.category"], event["event.type"], event["event.action"] = ["authentication"], ["start"], "login"
        event["event.outcome"] = "failure" if "fail" in below or "unsuccess" in below else "success"
        if event["event.outcome"] == "success" and get("event") == "*":
            put_user(event, given(data))
        else:
            put(event, "event.reason", said)
    elif below.startswith("failed"):
        event["event.outcome"] = "failure"
        put(event, "event.reason", said)
