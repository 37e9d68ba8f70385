"""ModSecurity 2 and 3: what its rules matched, in the error logs of Apache and nginx, and audit logs, serial or JSON.

[Sun Nov 22 13:34:00.123456 2026] [security2:error] [pid 81] [client 203.0.113.9:41000] ModSecurity: Access denied with
    code 403 (phase 2). ... [id "942100"] [msg "SQL Injection"] [severity "CRITICAL"] [hostname "portal"] [uri "/x"] ...
2026/11/22 13:34:00 [error] 811#811: *5 [client 203.0.113.9] ModSecurity: Access denied ... [id "942100"] ..., client:
{"transaction": {"client_ip": "203.0.113.9", "time_stamp": "Sun Nov 22 13:34:00 2026", "request": {...}, ...}}
"""

from __future__ import annotations

import re
from typing import Any

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers import accesslog, modsecurity_sections
from collectors.parsers.common import MONTHS, as_text, fraction, instant, local, number, put_source, unescape, zone_of
from collectors.parsers.format import Format
from collectors.parsers.jsonpath import put, text_at, value_at
from collectors.parsers.network import put_end

_MARK = "ModSecurity"
_SAID = re.compile(r"ModSecurity: (Access denied|Access allowed|Warning|Audit log|Rule processing failed)?", re.ASCII)
_APACHE = re.compile(r"\[[A-Z][a-z]{2} ([A-Z][a-z]{2}) ([ \d]\d) (\d\d:\d\d:\d\d)(?:\.(\d{1,6}))? (\d{4})\] ", re.ASCII)
_NGINX = re.compile(r"(\d{4})/(\d\d)/(\d\d) (\d\d:\d\d:\d\d) \[([a-z]{3,8})\] (\d{1,10})#", re.ASCII)
_CLIENT = re.compile(r"\[client (\[?[0-9A-Fa-f.:]{2,45}?\]?)(?::(\d{1,5}))?\] ", re.ASCII)
_TAG = re.compile(r' \[([a-z_]{2,16}) "((?:[^"\\]++|\\.)*+)"\]', re.ASCII | re.DOTALL)
_CODE = re.compile(r" with code (\d{3}) ", re.ASCII)
_DETAIL = re.compile(r', (server|request|host|referrer): "?([^",]{0,4096})"?', re.ASCII)
_TEXTS = {
    "id": "rule.id",
    "msg": "rule.name",
    "rev": "rule.version",
    "ver": "rule.ruleset",
    "data": "almena.modsecurity.data",
    "unique_id": "almena.modsecurity.transaction",
    "hostname": "url.domain",
}
_SEVERITIES = ("emergency", "alert", "critical", "error", "warning", "notice", "info", "debug")
_WRITTEN = re.compile(r"[A-Z][a-z]{2} ([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d\d:\d\d:\d\d) (\d{4})$", re.ASCII)
_OLD = re.compile(r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d:\d\d:\d\d)(?:\.\d+)? -?([+-]\d\d)(\d\d)$", re.ASCII)
_MOST = 100


def read(message: str, event: Event, context: Context) -> bool:
    """Read a line of an error log into the event; False where ModSecurity does not speak in it."""
    if message.startswith("--"):
        return _serial(message, event)
    if _MARK not in message:
        return False
    said = _SAID.search(message)
    if said is None or said.start() > 1_024:
        return False
    head, body = message[: said.start()], message[said.start() :]
    tags = list(_TAG.finditer(body))[:_MOST]
    if not tags:
        return False
    _time(head, event, context)
    client = _CLIENT.search(head)
    if client is not None:
        put_source(event, client[1].strip("[]"), client[2])
    facts: dict[str, str] = {}
    names = []
    for tag in tags:
        if tag[1] == "tag":
            names.append(unescape(tag[2]))
        facts.setdefault(tag[1], unescape(tag[2]))
    _matched(facts, names, event)
    uri = facts.get("uri", "")
    if uri:
        accesslog.put_request(f"GET {uri}", event)
        event.pop("http.request.method", None)
    for name, value in _DETAIL.findall(body, tags[-1].end()):
        if name == "request":
            accesslog.put_request(unescape(value), event)
        elif name == "host":
            event["url.domain"] = value
    code = _CODE.search(body[:256])
    denied = said[1] == "Access denied"
    _judged(event, denied, int(code[1]) if code is not None else None)
    event["message"] = body[: tags[0].start()]
    return True


def _serial(message: str, event: Event) -> bool:
    found = modsecurity_sections.sections(message)
    if found is None:
        return False
    status = modsecurity_sections.transaction(found, event)
    said = [line for line in found.get("H", []) if line.startswith(("Message: ", "ModSecurity: ", "Apache-Error: "))]
    action = [line for line in found.get("H", []) if line.startswith("Action: Intercepted")]
    denied = bool(action) or any("Access denied" in line[:64] for line in said)
    for line in said:
        tags = list(_TAG.finditer(line))[:_MOST]
        if not tags:
            continue
        facts: dict[str, str] = {}
        for tag in tags:
            facts.setdefault(tag[1], unescape(tag[2]))
        facts.pop("hostname", None)
        _matched(facts, [unescape(tag[2]) for tag in tags if tag[1] == "tag"], event)
        event["message"] = line[: tags[0].start()].partition(": ")[2]
        if denied is ("Access denied" in line[:64]):
            break  # the one that decided
    _judged(event, denied, status)
    if "rule.id" not in event and not denied:
        event["event.kind"], event["event.category"], event["event.action"] = "event", ["web"], "access"
    return True


def _time(head: str, event: Event, context: Context) -> None:
    apache, nginx = _APACHE.match(head), _NGINX.match(head)
    if apache is not None:
        month, day, clock, part, year = apache.groups()
        if month not in MONTHS:
            raise ParseError("a month that does not exist")
        moment = local(int(year), MONTHS[month], int(day), clock, zone_of(context.zone))
        event["@timestamp"] = format_time(moment + fraction(part))
    elif nginx is not None:
        year, month, day, clock, level, pid = nginx.groups()
        event["@timestamp"] = format_time(instant(f"{year}-{month}-{day}T{clock}", context.zone))
        event["log.level"], event["process.pid"] = level, int(pid)


def _matched(facts: dict[str, str], tags: list[str], event: Event) -> None:
    for key, name in _TEXTS.items():
        put(event, name, facts.get(key))
    severity = facts.get("severity", "").lower()
    level = int(severity) if severity.isdigit() and int(severity) < 8 else None
    if level is None and severity in _SEVERITIES:
        level = _SEVERITIES.index(severity)
    if level is not None:
        event["event.severity"], event["log.level"] = level, _SEVERITIES[level]
    if tags:
        event["tags"] = tags


def _judged(event: Event, denied: bool, code: int | None) -> None:
    event["event.kind"] = "alert"
    event["event.category"] = ["web", "intrusion_detection"]
    event["event.type"] = ["access", "denied"] if denied else ["access", "info"]
    event["event.action"] = "denied" if denied else "detected"
    event["event.outcome"] = "failure" if denied or (code is not None and code >= 400) else "success"
    if code is not None:
        event["http.response.status_code"] = code


def fits(document: dict[str, Any]) -> bool:
    """Whether the object is a transaction of an audit log."""
    transaction = document.get("transaction")
    if not isinstance(transaction, dict):
        return False
    return "client_ip" in transaction or ("remote_address" in transaction and "request" in document)


def convert(document: dict[str, Any], context: Context) -> Event:
    """The event of a transaction, by the first of the rules that it matched; raises ParseError."""
    if not fits(document):
        raise ParseError("no transaction of ModSecurity's audit log")
    transaction = document["transaction"]
    event: Event = {"event.original": as_text(document)}
    if "client_ip" in transaction:
        status = _third(transaction, event, context)
        found = value_at(transaction, "messages")
        for message in found[:1] if isinstance(found, list) else []:
            details = value_at(message, "details")
            facts = {key: text_at(details, path) or "" for key, path in _THIRD.items()}
            tags = value_at(details, "tags")
            _matched(facts, [as_text(tag) for tag in tags[:_MOST]] if isinstance(tags, list) else [], event)
            put(event, "rule.name", text_at(message, "message"))
            put(event, "message", text_at(message, "message"))
    else:
        status = _second(document, event, context)
    denied = value_at(document, "audit_data.action.intercepted") is True or status == 403
    matched = "rule.id" in event or denied
    _judged(event, denied, status)
    if not matched:
        event["event.kind"], event["event.category"] = "event", ["web"]
        event["event.action"] = "access"
    return event


_THIRD = {"id": "ruleId", "severity": "severity", "data": "data", "rev": "rev", "ver": "ver"}


def _third(transaction: dict[str, Any], event: Event, context: Context) -> int | None:
    written = _WRITTEN.match(text_at(transaction, "time_stamp") or "")
    if written is not None and written[1] in MONTHS:
        moment = local(int(written[4]), MONTHS[written[1]], int(written[2]), written[3], zone_of(context.zone))
        event["@timestamp"] = format_time(moment)
    put_end(event, "source", text_at(transaction, "client_ip"), text_at(transaction, "client_port"))
    put_end(event, "destination", text_at(transaction, "host_ip"), text_at(transaction, "host_port"))
    put(event, "almena.modsecurity.transaction", text_at(transaction, "unique_id"))
    method, uri = text_at(transaction, "request.method"), text_at(transaction, "request.uri")
    if method and uri:
        accesslog.put_request(f"{method} {uri} HTTP/{text_at(transaction, 'request.http_version') or '1.1'}", event)
    _headers(value_at(transaction, "request.headers"), event)
    return number(text_at(transaction, "response.http_code"))


def _second(document: dict[str, Any], event: Event, context: Context) -> int | None:
    transaction = document["transaction"]
    written = _OLD.match(text_at(transaction, "time") or "")
    if written is not None and written[2] in MONTHS:
        day, month, year, clock, hours, minutes = written.groups()
        event["@timestamp"] = format_time(instant(f"{year}-{MONTHS[month]:02}-{day}T{clock}{hours}:{minutes}", "UTC"))
    put_end(event, "source", text_at(transaction, "remote_address"), text_at(transaction, "remote_port"))
    put_end(event, "destination", text_at(transaction, "local_address"), text_at(transaction, "local_port"))
    put(event, "almena.modsecurity.transaction", text_at(transaction, "transaction_id"))
    line = text_at(document, "request.request_line")
    if line:
        accesslog.put_request(line, event)
    _headers(value_at(document, "request.headers"), event)
    messages = value_at(document, "audit_data.messages")
    for message in messages[:1] if isinstance(messages, list) else []:
        facts: dict[str, str] = {}
        for tag in list(_TAG.finditer(as_text(message)))[:_MOST]:
            facts.setdefault(tag[1], unescape(tag[2]))
        _matched(facts, [], event)
        put(event, "message", as_text(message).partition(" [")[0])
    return number(text_at(document, "response.status"))


def _headers(headers: Any, event: Event) -> None:
    if not isinstance(headers, dict):
        return
    lower = {str(name).lower(): value for name, value in list(headers.items())[:_MOST]}
    for key, name in (("user-agent", "user_agent.original"), ("referer", "http.request.referrer")):
        put(event, name, text_at(lower, key))
    host = text_at(lower, "host")
    if host:
        event["url.domain"] = host.partition(":")[0] if host.count(":") == 1 else host


FORMAT = Format(
    name="modsecurity",
    dataset="modsecurity.audit",
    read=read,
    words=False,
    programs=("nginx", "httpd", "apache2", "apache"),
    within=True,
    convert=convert,
    fits=fits,
)
