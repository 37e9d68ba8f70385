"""The fields that BIG-IP's firewall (AFM) and web application firewall (ASM) write, by name or in their usual order."""

from __future__ import annotations

import re
from functools import lru_cache

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import MONTHS, address, instant, number
from collectors.parsers.network import put_end, put_nat, put_transport, put_user

_MOST = 128  # fields of one record
_PAIR = re.compile(
    r'([A-Za-z_][\w.]{1,63})=(?:"((?:[^"\\]++|\\.)*+)"|([^",]{0,1024}))(?:,|, |$| )', re.ASCII | re.DOTALL
)
_QUOTED = re.compile(r'"((?:[^"\\]++|\\.)*+)"(?:,|$)', re.ASCII | re.DOTALL)
_NONE = frozenset(("", "N/A", "NA", "-", "Unknown", "unknown", "none", "0.0.0.0", "::"))  # noqa: S104 - written for no value
_ORDER = (  # noqa: SIM905
    "unit_hostname management_ip_address http_class_name policy_name policy_apply_date violations support_id"
    " request_status response_code ip_client route_domain method protocol query_string x_forwarded_for_header_value"
    " sig_ids sig_names date_time severity attack_type geo_location ip_address_intelligence username session_id"
    " src_port dest_port dest_ip sub_violations virus_name uri request"
).split(" ")
_HEADER = re.compile(r"(?:\\r)?\\n(Host|User-Agent|Referer): ?(.{1,2048}?)(?=\\r|\\n|$)", re.ASCII)
_REAL_HEADER = re.compile(r"\r?\n(Host|User-Agent|Referer): ?([^\r\n]{1,2048})", re.ASCII)
_DATE = re.compile(r"([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d{4}) (\d\d:\d\d:\d\d)$", re.ASCII)
_NAMES = (
    ("policy_name", "rule.ruleset"),
    ("acl_policy_name", "rule.ruleset"),
    ("acl_rule_name", "rule.name"),
    ("sig_names", "rule.name"),
    ("sig_ids", "rule.id"),
    ("attack_type", "rule.category"),
    ("drop_reason", "event.reason"),
    ("violations", "event.reason"),
    ("support_id", "almena.f5.support_id"),
    ("context_name", "almena.f5.virtual_server"),
    ("http_class_name", "almena.f5.virtual_server"),
    ("unit_hostname", "observer.name"),
    ("hostname", "observer.name"),
    ("bigip_mgmt_ip", "observer.ip"),
    ("management_ip_address", "observer.ip"),
    ("vlan", "observer.ingress.interface.name"),
    ("virus_name", "almena.f5.virus"),
    ("session_id", "almena.f5.session_id"),
    ("dos_attack_name", "rule.name"),
)


def put(text: str, event: Event, context: Context) -> bool:
    """Put the fields of a record into the event; False when it has none of these two."""
    return put_values(_values(text, event), event, context)


def put_values(values: dict[str, str], event: Event, context: Context) -> bool:
    """As `put`, of fields by name."""
    if "request_status" in values or "ip_client" in values:
        _web(values, event)
    elif "action" in values and ("source_ip" in values or "dest_ip" in values or "dos_attack_name" in values):
        _firewall(values, event)
    else:
        return False
    for key, name in _NAMES:
        value = values.get(key)
        if value is not None and (name != "observer.ip" or address(value) is not None):
            event[name] = value
    written = moment(values.get("date_time") or values.get("timestamp", ""), context.zone)
    if written is not None:
        event["@timestamp"] = format_time(written)
    return True


def _values(text: str, event: Event) -> dict[str, str]:
    """The fields by name; the first of several equal ones counts."""
    values: dict[str, str] = {}
    for name in [each for each in event if each.startswith("log.syslog.structured_data.F5@")]:
        values[name.rpartition(".")[2]] = event.pop(name)
    if text[:1] == '"':
        columns = [each.replace('\\"', '"') for each in _QUOTED.findall(text)[:_MOST]]
        if len(columns) >= 27 and columns[7] in ("blocked", "alerted", "passed") and address(columns[9]):
            values |= dict(zip(_ORDER, columns, strict=False))
    elif ";" in text[:160] and '"' not in text[:160]:
        for each in text.split(";", _MOST)[:_MOST]:
            name, equals, value = each.partition("=")
            if equals:
                values.setdefault(name.strip().lower(), value.strip().strip('"'))
    else:
        at = 0
        while len(values) < _MOST and (pair := _PAIR.match(text, at)) is not None:
            at = pair.end()
            values.setdefault(pair[1].lower(), (pair[2] if pair[2] is not None else pair[3]).replace('\\"', '"'))
            while text.startswith((" ", ","), at):
                at += 1
    return {name: value for name, value in values.items() if value not in _NONE}


@lru_cache(maxsize=1_024)
def moment(written: str, zone: str) -> int | None:
    """`2026-11-22 13:34:00` or `Nov 22 2026 13:34:00` in microseconds; None for anything else."""
    date = _DATE.match(written)
    if date is not None and date[1] in MONTHS:
        written = f"{date[3]}-{MONTHS[date[1]]:02}-{int(date[2]):02}T{date[4]}"
    try:
        return instant(written, zone) if written[:4].isdigit() and len(written) >= 19 else None
    except ParseError:
        return None


def _web(values: dict[str, str], event: Event) -> None:
    get = values.get
    status = get("request_status", "")
    blocked = status == "blocked"
    event["event.dataset"] = "f5.asm"
    event["event.kind"] = "alert" if "violations" in values or blocked or status == "alerted" else "event"
    event["event.category"] = ["web", "intrusion_detection"] if event["event.kind"] == "alert" else ["web"]
    event["event.type"] = ["access", "denied" if blocked else "allowed"]
    event["observer.type"] = "waf"
    if status:
        event["event.action"] = status
        event["event.outcome"] = "failure" if blocked else "success"
    if "action" in values:  # what the defence against bots did
        event["event.action"] = get("action", "").lower().replace(" ", "-")
    put_end(event, "source", get("ip_client") or get("client_ip"), get("src_port") or get("client_port"))
    for part in ("address", "ip", "port"):
        if f"source.{part}" in event:
            event[f"client.{part}"] = event[f"source.{part}"]
    put_end(event, "destination", get("dest_ip"), get("dest_port"))
    put_user(event, get("username"))
    _request(values, event)
    forwarded = address(get("x_forwarded_for_header_value", "").partition(",")[0].strip())
    if forwarded is not None:
        event["network.forwarded_ip"] = forwarded
    code = number(get("response_code"))
    if code is not None and 99 < code < 1_000:
        event["http.response.status_code"] = code


def _request(values: dict[str, str], event: Event) -> None:
    get = values.get
    method, protocol = get("method") or get("http_method"), get("protocol") or get("http_protocol_indication")
    if method:
        event["http.request.method"] = method
    if protocol:
        event["network.protocol"] = event["url.scheme"] = protocol.lower()
    path, query = get("uri") or get("client_request_uri"), get("query_string")
    if path is not None:
        event["url.path"] = path
        event["url.original"] = path if query is None else f"{path}?{query}"
    if query is not None:
        event["url.query"] = query
    request = (get("request") or get("http_request", ""))[:16_384]
    headers = _REAL_HEADER.findall(request) or _HEADER.findall(request)
    for name, value in reversed(headers):
        if name == "Host":
            event["url.domain"] = value.partition(":")[0]
        else:
            event["user_agent.original" if name == "User-Agent" else "http.request.referrer"] = value


def _firewall(values: dict[str, str], event: Event) -> None:
    get = values.get
    action = get("action", "").lower()
    denied = action.startswith(("drop", "reject", "deny", "discard", "block"))
    event["event.dataset"] = "f5.afm"
    event["observer.type"] = "firewall"
    event["event.action"] = action if "dos_attack_name" in values else get("action", "")
    event["event.category"] = ["network"]
    event["event.type"] = ["connection", "denied" if denied else "allowed"]
    event["event.outcome"] = "failure" if denied else "success"
    if "dos_attack_name" in values:
        event["event.kind"] = "alert"
        event["event.category"] = ["network", "intrusion_detection"]
    put_end(event, "source", get("source_ip"), get("source_port"))
    put_end(event, "destination", get("dest_ip"), get("dest_port") or get("dst_port"))
    put_nat(event, "source", get("translated_source_ip"), get("translated_source_port"))
    put_nat(event, "destination", get("translated_dest_ip"), get("translated_dest_port"))
    put_transport(event, get("ip_protocol") or get("protocol"))
    put_user(event, get("source_user"))
    if "user.name" in event:
        event["source.user.name"] = event["user.name"]
    for key, name in (("source_fqdn", "source.domain"), ("dest_fqdn", "destination.domain")):
        if get(key):
            event[name] = get(key)
