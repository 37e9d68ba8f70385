"""Which of Zeek's logs a JSON record is of that does not say it: by the fields that only this log has."""

from __future__ import annotations

import re
from collections.abc import Mapping

_SHAPES = {
    "conn": "conn_state missed_bytes orig_pkts",
    "dns": "qtype_name rcode_name TTLs qclass",
    "sip": "call_id request_from response_from",
    "smtp": "mailfrom helo rcptto",
    "http": "request_body_len resp_fuids orig_fuids",
    "ssl": "cert_chain_fuids cert_chain_fps ssl_history established next_protocol server_name",
    "ssh": "auth_attempts auth_success kex_alg host_key_alg hassh",
    "signature": "sig_id",
    "notice": "note suppress_for",
    "kerberos": "request_type",
    "ftp": "reply_code data_channel.passive",
    "smb_cmd": "sub_command tree_service referenced_file.action",
    "smb_files": "times.modified times.accessed",
    "smb_mapping": "share_type",
    "dce_rpc": "named_pipe endpoint",
    "rdp": "security_protocol cookie client_build keyboard_layout",
    "rfb": "client_major_version authentication_method share_flag",
    "ntlm": "domainname server_nb_computer_name server_dns_computer_name",
    "radius": "connect_info framed_addr tunnel_client mac+username",
    "dhcp": "msg_types assigned_addr client_addr uids",
    "intel": "seen.indicator",
    "irc": "nick dcc_file_name",
    "modbus": "func",
    "dnp3": "fc_request fc_reply",
    "mysql": "cmd",
    "snmp": "community get_requests",
    "socks": "request.host request.name bound.host request_p",
    "tunnel": "tunnel_type",
    "x509": "certificate.subject certificate.serial",
    "files": "seen_bytes tx_hosts conn_uids",
    "ocsp": "certStatus hashAlgorithm",
    "pe": "compile_ts is_exe",
    "software": "software_type unparsed_version",
    "known_certs": "issuer_subject",
    "known_services": "port_proto",
    "dpd": "failure_reason",
    "syslog": "facility",
    "ntp": "stratum ref_id",
    "capture_loss": "percent_lost",
    "stats": "pkts_proc",
    "weird": "name+peer name+notice",
    "ssl ": "cipher curve",
    "http ": "status_code user_agent",
    "files ": "mime_type",
    "kerberos ": "till",
    "ntlm ": "username+hostname",
    "traceroute": "src+dst+proto",
}
"""By the log, texts one of which a record of it has; `a+b` for both. What others have too stands further below."""

_TABLE = tuple((tuple(shape.split("+")), name.strip()) for name, texts in _SHAPES.items() for shape in texts.split())
_OWNED = (
    "id.orig_h _path fuid msg_types assigned_addr sig_id software_type unparsed_version port_proto issuer_subject"
    " percent_lost pkts_proc certificate.serial certStatus compile_ts tx_hosts seen.indicator tunnel_type"
    " peer_descr suppress_for"
)
_OWN = frozenset(_OWNED.split())
_WHOLE = (
    frozenset(("ts", "host")),
    frozenset(("ts", "src", "dst", "proto")),
    frozenset(("ts", "name", "notice", "peer")),
    frozenset(("ts", "name", "addl", "notice", "peer")),
)
"""All fields of records that have none of their own."""
_LOG = re.compile(r"(?:^|/)([a-z][a-z0-9_]{1,31})(?:[._-][^/]*)?\.log", re.ASCII)


def is_zeek(document: Mapping[str, object]) -> bool:
    """Whether a JSON object has the time that all records of Zeek have, and a field that only they have."""
    if "ts" not in document:
        return False
    if not _OWN.isdisjoint(document) or ("uid" in document and "id" in document):
        return True
    return len(document) < 6 and document.keys() in _WHOLE


def log_of(facts: Mapping[str, object]) -> str:
    """The name of the log, `unknown` where nothing tells."""
    for keys, name in _TABLE:
        if keys[0] in facts and all(key in facts for key in keys):
            return name
    if len(facts) == 2 and "host" in facts:
        return "known_hosts"
    return "smb_files" if str(facts.get("action", "")).startswith("SMB::") else "unknown"


def named(origin: str) -> str | None:
    """The log that a file's name says, such as `/logs/current/conn.log` or `dns.12:00:00-13:00:00.log.gz`."""
    found = _LOG.search(origin[-256:])
    return found[1] if found is not None else None
