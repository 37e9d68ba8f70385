"""Juniper's SRX firewalls and Junos in general: sessions, threats, screens, content filters, logins and commands.

    <14>1 2026-11-22T13:34:00.123-06:00 srx1 RT_FLOW - RT_FLOW_SESSION_DENY [junos@2636.1.1.1.2 source-address="..."]
    <14>Nov 22 13:34:00 srx1 RT_FLOW: RT_FLOW_SESSION_DENY: session denied 203.0.113.9/4444->10.0.0.5/23 junos ...

Both ways of writing are brought to the names of the structured one, with `_` for `-`, and read once.
"""

from __future__ import annotations

import re

from almena.clock import format_time, parse_time
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import number
from collectors.parsers.format import Format
from collectors.parsers.juniper_srx_texts import TEXTS
from collectors.parsers.network import (
    put_count,
    put_end,
    put_nat,
    put_port,
    put_total,
    put_transport,
    put_url,
    put_user,
)

Values = dict[str, str]

_FAMILIES = (
    "RT_FLOW_SESSION_", "RT_SCREEN_", "APPTRACK_SESSION_", "IDP_", "WEBFILTER_URL_", "AV_", "ANTISPAM_SPAM_",
    "CONTENT_FILTERING_", "AAMW_", "SRX_", "SECINTEL_ACTION_", "UI_", "SSHD_LOGIN_", "LOGIN_FAILED",
    "LOGIN_INFORMATION", "LOGIN_PAM_", "LOGIN_ROOT", "WEB_AUTH_", "FWAUTH_", "SNMPD_AUTH_FAILURE", "SNMP_TRAP_LINK_",
    "KMD_", "RPD_", "PFE_FW_SYSLOG_IP", "CHASSISD_", "JSRPD_", "RTLOG_", "RT_SRC_NAT_", "RT_H323_", "RT_ALG_",
)  # fmt: skip
"""What tags of Junos begin with, where no field and no program says that it is Junos."""

_DATA = "log.syslog.structured_data.junos@"
_TAGGED = re.compile(r"([A-Z][A-Z0-9]{1,16}(?:_[A-Z0-9]{1,24}){1,8}):? ?(?=\[junos@|[^\s])", re.ASCII)
_ELEMENT = re.compile(r"\[junos@[\d.]{1,64}((?: [\w-]{1,64}=\"[^\"]*+\")*+)\]? ?", re.ASCII)
_PAIR = re.compile(r' ([\w-]{1,64})="([^"]*+)"', re.ASCII)
_MOST = 128  # fields of one record
_NONE = frozenset(("", "-", "N/A", "None", "UNKNOWN", "unknown", "none", "NONE", "n/a", "unknown-user", "0.0.0.0"))  # noqa: S104

_FLOWS = {
    "CREATE": ("flow_started", ["connection", "start", "allowed"]),
    "UPDATE": ("flow_started", ["connection", "start", "allowed"]),
    "CLOSE": ("flow_close", ["connection", "end", "allowed"]),
    "DENY": ("flow_deny", ["connection", "denied"]),
}
_BLOCKED = {
    "WEBFILTER_URL_BLOCKED": "web_filter",
    "CONTENT_FILTERING_BLOCKED_MT": "content_filter",
    "ANTISPAM_SPAM_DETECTED_MT": "antispam_filter",
    "AV_VIRUS_DETECTED_MT": "virus_detected",
}
_SCREENS = (
    ("flood", "flood_detected"),
    ("port scan", "scan_detected"),
    ("sweep", "sweep_detected"),
    ("fragment", "fragment_detected"),
    ("spoofing", "spoofing_detected"),
    ("session limit", "session_limit_detected"),
    ("flag", "illegal_tcp_flag_detected"),
    (" bit", "illegal_tcp_flag_detected"),
    ("tunnel", "tunneling_screen"),
)
_SYSTEM: dict[str, tuple[str, str | None, str, str]] = {
    "UI_AUTH_EVENT": ("logged-in", "success", "authentication", "start"),
    "UI_LOGIN_EVENT": ("logged-in", "success", "authentication", "start"),
    "LOGIN_INFORMATION": ("logged-in", "success", "authentication", "start"),
    "LOGIN_ROOT": ("logged-in", "success", "authentication", "start"),
    "WEB_AUTH_SUCCESS": ("logged-in", "success", "authentication", "start"),
    "FWAUTH_FTP_USER_AUTH_ACCEPTED": ("logged-in", "success", "authentication", "start"),
    "FWAUTH_HTTP_USER_AUTH_ACCEPTED": ("logged-in", "success", "authentication", "start"),
    "FWAUTH_TELNET_USER_AUTH_ACCEPTED": ("logged-in", "success", "authentication", "start"),
    "FWAUTH_WEBAUTH_SUCCESS": ("logged-in", "success", "authentication", "start"),
    "FWAUTH_FTP_USER_AUTH_FAIL": ("logon-failed", "failure", "authentication", "start"),
    "FWAUTH_HTTP_USER_AUTH_FAIL": ("logon-failed", "failure", "authentication", "start"),
    "FWAUTH_TELNET_USER_AUTH_FAIL": ("logon-failed", "failure", "authentication", "start"),
    "FWAUTH_WEBAUTH_FAIL": ("logon-failed", "failure", "authentication", "start"),
    "LOGIN_FAILED": ("logon-failed", "failure", "authentication", "start"),
    "LOGIN_PAM_AUTHENTICATION_ERROR": ("logon-failed", "failure", "authentication", "start"),
    "SSHD_LOGIN_FAILED": ("logon-failed", "failure", "authentication", "start"),
    "SSHD_LOGIN_ATTEMPTS_THRESHOLD": ("logon-failed", "failure", "authentication", "start"),
    "WEB_AUTH_FAIL": ("logon-failed", "failure", "authentication", "start"),
    "UI_LOGOUT_EVENT": ("logged-out", "success", "session", "end"),
    "UI_CMDLINE_READ_LINE": ("command-executed", "success", "configuration", "info"),
    "UI_JUNOSCRIPT_CMD": ("command-executed", "success", "configuration", "info"),
    "UI_NETCONF_CMD": ("command-executed", "success", "configuration", "info"),
    "UI_COMMIT": ("configuration-committed", "success", "configuration", "change"),
    "UI_COMMIT_COMPLETED": ("configuration-committed", "success", "configuration", "change"),
    "UI_CFG_AUDIT_SET": ("configuration-changed", "success", "configuration", "change"),
    "UI_CFG_AUDIT_SET_SECRET": ("configuration-changed", "success", "configuration", "change"),
    "UI_CFG_AUDIT_OTHER": ("configuration-changed", "success", "configuration", "change"),
    "UI_CFG_AUDIT_NEW": ("configuration-changed", "success", "configuration", "change"),
    "UI_LOAD_EVENT": ("configuration-changed", "success", "configuration", "change"),
    "SNMPD_AUTH_FAILURE": ("snmp-authentication-failed", "failure", "authentication", "start"),
    "SNMP_TRAP_LINK_DOWN": ("interface-down", "failure", "network", "info"),
    "SNMP_TRAP_LINK_UP": ("interface-up", "success", "network", "info"),
    "KMD_VPN_UP_ALARM_USER": ("tunnel-up", "success", "network", "start"),
    "KMD_VPN_DOWN_ALARM_USER": ("tunnel-down", "failure", "network", "end"),
    "KMD_PM_SA_ESTABLISHED": ("sa-created", "success", "network", "start"),
    "RPD_BGP_NEIGHBOR_STATE_CHANGED": ("neighbor-changed", None, "network", "info"),
}


def read(message: str, event: Event, context: Context) -> bool:
    """Read a record of Junos into the event; False when it has no tag of one."""
    values = _structured(event)
    tag = event.get("log.syslog.msgid") if values else None
    text = message
    if not values:
        tagged = _TAGGED.match(message)
        if tagged is not None and (
            message.startswith(_FAMILIES) or "[junos@" in message[:80] or event.get("process.name") in _PROGRAMS
        ):
            tag, text = tagged[1], message[tagged.end() :]
            values, text = _element(text)
        elif event.get("process.name") == "PFE_FW_SYSLOG_IP":
            tag = "PFE_FW_SYSLOG_IP"
    if tag is None or not (values or text):
        return False
    name = tag.removesuffix("_LS")
    if not values:
        values = _texts(name, text)
    event["event.code"] = tag
    event["observer.vendor"], event["observer.product"] = "Juniper", "SRX" if tag[:3] == "RT_" else "Junos"
    event["observer.type"] = "firewall"
    if "host.name" in event:
        event["observer.name"] = event["host.name"]
    values = {key: value.strip() for key, value in values.items() if value not in _NONE}
    _ends(values, event)
    _details(values, event)
    _meaning(name, values, event)
    if message:
        event["message"] = message
    return True


def _structured(event: Event) -> Values:
    """Take the fields of Junos out of what the header of RFC 5424 gave."""
    return {
        name.rpartition(".")[2].replace("-", "_"): event.pop(name)
        for name in [each for each in event if each.startswith(_DATA)]
    }


def _element(text: str) -> tuple[Values, str]:
    """The fields that a record with an old header has in brackets, and the sentence behind them."""
    found = _ELEMENT.match(text)
    if found is None:
        return {}, text
    pairs = _PAIR.findall(found[1])[:_MOST]
    return {name.replace("-", "_"): value for name, value in pairs}, text[found.end() :]


def _texts(name: str, text: str) -> Values:
    for begin, patterns in TEXTS:
        if name.startswith(begin):
            for pattern in patterns:
                found = pattern.search(text[:4_096])
                if found is not None:
                    return {key: value for key, value in found.groupdict().items() if value is not None}
    return {}


def _ends(values: Values, event: Event) -> None:
    get = values.get
    connection = get("ssh_connection", "").split(" ")
    if len(connection) == 4:
        put_end(event, "source", connection[0], connection[1])
        put_end(event, "destination", connection[2], connection[3])
    put_end(event, "source", get("source_address") or get("client_ip_str") or get("client_ip"), get("source_port"))
    put_end(event, "destination", get("destination_address"), get("destination_port"))
    for side in ("source", "destination"):
        translated, port = get(f"nat_{side}_address"), get(f"nat_{side}_port")
        if translated is not None and (translated != get(f"{side}_address") or port != get(f"{side}_port")):
            put_nat(event, side, translated, port)
    put_transport(event, get("protocol_id") or get("protocol_name"))
    for key, name in _COUNTS:
        put_count(event, name, get(key))
    put_total(event, "bytes")
    put_total(event, "packets")
    user = get("username") or get("user_name")
    if user is not None:
        put_user(event, user)
        if "source.ip" in event and "destination.ip" in event:
            put_user(event, user, "source.user")


_COUNTS = (
    ("bytes_from_client", "source.bytes"),
    ("bytes_from_server", "destination.bytes"),
    ("packets_from_client", "source.packets"),
    ("packets_from_server", "destination.packets"),
)
_NAMES = (
    ("policy_name", "rule.name"),
    ("rule_name", "rule.id"),
    ("rulebase_name", "rule.ruleset"),
    ("profile", "rule.ruleset"),
    ("attack_name", "rule.name"),
    ("source_zone_name", "observer.ingress.zone"),
    ("source_zone", "observer.ingress.zone"),
    ("srczone", "observer.ingress.zone"),
    ("destination_zone_name", "observer.egress.zone"),
    ("destination_zone", "observer.egress.zone"),
    ("dstzone", "observer.egress.zone"),
    ("packet_incoming_interface", "observer.ingress.interface.name"),
    ("source_interface_name", "observer.ingress.interface.name"),
    ("interface_name", "observer.ingress.interface.name"),
    ("destination_interface_name", "observer.egress.interface.name"),
    ("reason", "event.reason"),
    ("error_message", "event.reason"),
    ("command", "process.command_line"),
    ("category", "almena.juniper.category"),
    ("session_id_32", "almena.juniper.session_id"),
    ("session_id", "almena.juniper.session_id"),
    ("action", "almena.juniper.action"),
    ("filename", "file.name"),
    ("sample_sha256", "file.hash.sha256"),
    ("file_hash_lookup", "file.hash.sha256"),
    ("malware_info", "threat.indicator.description"),
    ("class_name", "user.group.name"),
)


def _details(values: Values, event: Event) -> None:
    get = values.get
    for key, name in _NAMES:
        value = get(key)
        if value is not None:
            event[name] = value
    application = get("nested_application") or get("application") or get("service_name")
    if application is not None:
        event["network.application"] = application.lower().removeprefix("junos-")
    url, path = get("url"), get("obj")
    if url is not None:
        put_url(event, url + path if path is not None and path[:1] == "/" and "/" not in url else url)
    host = get("http_host") or (get("hostname") if "client_ip_str" not in values else None)
    if host is not None and "url.domain" not in event:
        event["url.domain"] = host
    seconds = number(get("elapsed_time"))
    if seconds is not None and 0 <= seconds < 1 << 32 and "@timestamp" in event:
        event["event.duration"] = seconds * 1_000_000_000
        event["event.end"] = event["@timestamp"]
        event["event.start"] = format_time(max(parse_time(event["@timestamp"]) - seconds * 1_000_000, 0))


def _meaning(name: str, values: Values, event: Event) -> None:
    family = name.removeprefix("SRX_").partition("_")[0]
    end = name.rpartition("_")[2]
    if name.startswith(("RT_FLOW_SESSION", "APPTRACK_SESSION")):
        action, types = _FLOWS.get(end, ("flow_started", ["connection", "info"]))
        event |= {"event.action": action, "event.outcome": "success", "event.category": ["network"]}
        event["event.type"] = list(types)
    elif name.startswith("RT_SCREEN"):
        attack = values.get("attack_name", "").lower()
        action = next((action for word, action in _SCREENS if word in attack), "attack_detected")
        _alert(event, action, "intrusion_detection", denied=True)
    elif name in _BLOCKED:
        _alert(event, _BLOCKED[name], "malware", denied=True)
    elif family in ("WEBFILTER", "AV", "ANTISPAM", "CONTENT"):
        event |= {"event.outcome": "success", "event.category": ["network"], "event.type": ["connection", "allowed"]}
        event["event.action"] = "web_filter" if family == "WEBFILTER" else name.lower()
    elif family == "IDP":
        denied = values.get("action", "").startswith(("DROP", "CLOSE", "REJECT"))
        _alert(
            event, "application_ddos" if "APPDDOS" in name else "security_threat", "intrusion_detection", denied=denied
        )
    elif family in ("AAMW", "SECINTEL"):
        _alert(event, "malware_detected", "malware", denied=values.get("action", "").upper().startswith("BLOCK"))
    elif name == "PFE_FW_SYSLOG_IP":
        _filtered(values, event)
    else:
        action_, outcome, category, kind = _SYSTEM.get(name, (None, None, "host", "info"))
        event["event.category"], event["event.type"] = [category], [kind]
        event["event.action"] = action_ or name.lower()
        if outcome is not None:
            event["event.outcome"] = outcome


def _alert(event: Event, action: str, category: str, *, denied: bool) -> None:
    event |= {"event.kind": "alert", "event.action": action, "event.outcome": "success"}
    event["event.category"] = ["network", category]
    event["event.type"] = ["info", "denied" if denied else "allowed", "connection"]


def _filtered(values: Values, event: Event) -> None:
    """A packet that a stateless filter logged: accepted, discarded or rejected."""
    accepted = values.get("verdict") == "A"
    event["event.action"] = {"A": "accept", "D": "discard", "R": "reject"}.get(values.get("verdict", ""), "log")
    event["event.category"], event["event.type"] = ["network"], ["connection", "allowed" if accepted else "denied"]
    event["event.outcome"] = "success"
    put_port(event, "source.port", values.get("source_port"))


_PROGRAMS = ("RT_FLOW", "RT_UTM", "RT_IDP", "RT_IDS", "RT_AAMW", "RT_SECINTEL", "PFE_FW_SYSLOG_IP", "mgd")

FORMAT = Format(name="juniper_srx", dataset="juniper.srx", read=read, words=False, programs=_PROGRAMS, begins=_FAMILIES)
