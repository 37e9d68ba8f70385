"""What BIG-IP's Telemetry Streaming sends: JSON with the fields of ASM, AFM, APM, LTM and AVR by name.

{"hostname":"lb1.example","policy_name":"/Common/web","request_status":"blocked","ip_client":"203.0.113.9",
 "uri":"/login","date_time":"2026-11-22 13:34:00","telemetryEventCategory":"ASM"}
"""

from __future__ import annotations

from typing import Any

from almena.clock import format_time
from almena.event import Event
from collectors.base import Context
from collectors.parsers import f5_fields
from collectors.parsers.common import as_text, epoch, number
from collectors.parsers.jsonpath import put
from collectors.parsers.network import put_count, put_end, put_port, put_total, put_transport, put_url, put_user

_KINDS = frozenset(("ASM", "AFM", "APM", "LTM", "AVR", "CGNAT", "event", "systemInfo", "syslog"))
_TEXTS = {
    "hostname": "observer.name",
    "system.hostname": "observer.name",
    "http_method": "http.request.method",
    "Method": "http.request.method",
    "http_referrer": "http.request.referrer",
    "http_version": "http.version",
    "http_user_agent": "user_agent.original",
    "UserAgent": "user_agent.original",
    "User_Agent": "user_agent.original",
    "QueryName": "dns.question.name",
    "QueryType": "dns.question.type",
    "Access_Profile": "rule.ruleset",
    "session_id": "almena.f5.session_id",
    "virtual_name": "almena.f5.virtual_server",
    "virtual_server": "almena.f5.virtual_server",
    "VSName": "almena.f5.virtual_server",
    "attack_type": "rule.category",
    "data": "message",
}
_OLD = {
    "manage_ip_addr": "management_ip_address",
    "query_str": "query_string",
    "req": "request",
    "req_status": "request_status",
    "resp_code": "response_code",
    "sub_violates": "sub_violations",
    "unit_host": "unit_hostname",
    "x_fwd_hdr_val": "x_forwarded_for_header_value",
    "http_class": "http_class_name",
}
"""Shorter names that older logging profiles give to the fields of ASM."""
_NONE = frozenset(("", "N/A", "-", "Unknown", "unknown", "none", "null"))
_WEB = ("request_status", "ip_client")


def fits(document: dict[str, Any]) -> bool:
    """Whether a JSON object is of Telemetry Streaming."""
    return document.get("telemetryEventCategory") in _KINDS


def convert(document: dict[str, Any], context: Context) -> Event:
    """The event of one object."""
    values = {_OLD.get(name, name): as_text(value) for name, value in document.items() if not isinstance(value, dict)}
    values = {name: value for name, value in values.items() if value is not None and value not in _NONE}
    kind = values.get("telemetryEventCategory", "")
    event: Event = {"@timestamp": format_time(context.received), "event.dataset": f"f5.{kind.lower()}"}
    event["observer.vendor"], event["observer.product"] = "F5", "BIG-IP"
    event["event.category"], event["event.type"] = ["network"], ["info"]
    for key, name in _TEXTS.items():
        put(event, name, values.get(key))
    put(event, "event.code", values.get("errdefs_msgno", "").partition(":")[0])
    if not f5_fields.put_values(values, event, context):
        _ends(values, event)
    else:
        event["event.dataset"] = f"f5.{kind.lower()}"
    _time(values, event, context)
    return event


def _time(values: dict[str, str], event: Event, context: Context) -> None:
    seconds = number(values.get("EOCTimestamp"))
    if seconds is not None and 10**8 < seconds < 10**11:
        event["@timestamp"] = format_time(epoch(seconds))
        return
    written = values.get("f5telemetry_timestamp") or values.get("event_timestamp", "")
    if written[10:11] == ":":
        written = f"{written[:10]}T{written[11:]}"
    moment = f5_fields.moment(written, context.zone)
    if moment is not None:
        event["@timestamp"] = format_time(moment)


def _ends(values: dict[str, str], event: Event) -> None:
    """Who asked whom for what, of records of the traffic manager, of access sessions and of counts."""
    get = values.get
    client = get("client_ip") or get("Client_IP") or get("ClientIP") or get("src_ip") or get("SourceIP")
    put_end(event, "source", client, get("client_port") or get("src_port"))
    for part in ("address", "ip", "port"):
        if f"source.{part}" in event:
            event[f"client.{part}"] = event[f"source.{part}"]
    there = get("server_ip") or get("POOLIP") or get("vip") or get("Virtual_IP") or get("node")
    put_end(event, "destination", there, get("POOLPort") or get("node_port") or get("server_port"))
    put_end(event, "server", get("server_ip"))
    put_url(event, get("http_url") or get("http_uri") or get("URL"))
    host, _, port = get("http_host", "").partition(":")
    put(event, "url.domain", host)
    put_port(event, "url.port", port)
    put_user(event, get("user") or get("UserName") or get("username"))
    put_transport(event, get("ip_protocol"))
    if "http.request.method" in event:
        event["network.protocol"] = "http"
        event["event.category"] = ["network", "web"]
    status = number(get("http_status") or get("ResponseCode"))
    if status is not None and 100 <= status <= 599:
        event["http.response.status_code"] = status
    put_count(event, "source.bytes", get("bytes_in") or get("Bytes_In"))
    put_count(event, "destination.bytes", get("bytes_out") or get("Bytes_Out"))
    put_total(event, "bytes")
    put(event, "event.action", get("Action"))
    result = get("Access_Policy_Result")
    if result:
        denied = "Deny" in result
        event["event.reason"] = result
        event |= {"event.action": "access-policy", "event.outcome": "failure" if denied else "success"}
        event["event.category"], event["event.type"] = ["authentication"], ["denied" if denied else "allowed"]
