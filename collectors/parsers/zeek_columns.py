"""The columns that a fresh installation of Zeek writes, for lines that come without their header."""

from __future__ import annotations

import re

from collectors.parsers.zeek_shapes import named

_ID = "ts uid id.orig_h id.orig_p id.resp_h id.resp_p"

COLUMNS = {
    "conn": f"{_ID} proto service duration orig_bytes resp_bytes conn_state local_orig local_resp missed_bytes history "
    "orig_pkts orig_ip_bytes resp_pkts resp_ip_bytes tunnel_parents",
    "dns": f"{_ID} proto trans_id rtt query qclass qclass_name qtype qtype_name rcode rcode_name AA TC RD RA Z answers "
    "TTLs rejected",
    "http": f"{_ID} trans_depth method host uri referrer version user_agent origin request_body_len response_body_len "
    "status_code status_msg info_code info_msg tags username password proxied orig_fuids orig_filenames "
    "orig_mime_types resp_fuids resp_filenames resp_mime_types",
    "ssl": f"{_ID} version cipher curve server_name resumed last_alert next_protocol established ssl_history "
    "cert_chain_fps client_cert_chain_fps sni_matches_cert",
    "ssh": f"{_ID} version auth_success auth_attempts direction client server cipher_alg mac_alg compression_alg "
    "kex_alg host_key_alg host_key",
    "ftp": f"{_ID} user password command arg mime_type file_size reply_code reply_msg "
    "data_channel.passive data_channel.orig_h data_channel.resp_h data_channel.resp_p fuid",
    "weird": f"{_ID} name addl notice peer source",
    "smtp": f"{_ID} trans_depth helo mailfrom rcptto date from to cc reply_to msg_id in_reply_to subject "
    "x_originating_ip first_received second_received last_reply path user_agent tls fuids is_webmail",
    "kerberos": f"{_ID} request_type client service success error_msg from till cipher forwardable renewable "
    "client_cert_subject client_cert_fuid server_cert_subject server_cert_fuid",
    "ntlm": f"{_ID} username hostname domainname server_nb_computer_name server_dns_computer_name server_tree_name "
    "success",
    "smb_files": f"{_ID} fuid action path name size prev_name times.modified times.accessed times.created "
    "times.changed",
    "smb_mapping": f"{_ID} path service native_file_system share_type",
    "dce_rpc": f"{_ID} rtt named_pipe endpoint operation",
    "rdp": f"{_ID} cookie result security_protocol client_channels keyboard_layout client_build client_name "
    "client_dig_product_id desktop_width desktop_height requested_color_depth cert_type cert_count cert_permanent "
    "encryption_level encryption_method",
    "sip": f"{_ID} trans_depth method uri date request_from request_to response_from response_to reply_to call_id seq "
    "subject request_path response_path user_agent status_code status_msg warning request_body_len response_body_len "
    "content_type",
    "snmp": f"{_ID} duration version community get_requests get_bulk_requests get_responses set_requests "
    "display_string up_since",
    "socks": f"{_ID} version user password status request.host request.name request_p bound.host bound.name bound_p",
    "radius": f"{_ID} username mac framed_addr tunnel_client connect_info reply_msg result ttl",
    "mysql": f"{_ID} cmd arg success rows response",
    "irc": f"{_ID} nick user command value addl dcc_file_name dcc_file_size dcc_mime_type fuid",
    "tunnel": f"{_ID} tunnel_type action",
    "syslog": f"{_ID} proto facility severity message",
    "dnp3": f"{_ID} fc_request fc_reply iin",
    "dhcp": "ts uids client_addr server_addr mac host_name client_fqdn domain requested_addr assigned_addr lease_time "
    "client_message server_message msg_types duration",
    "known_hosts": "ts host",
    "known_services": "ts host port_num port_proto service",
    "known_certs": "ts host port_num subject issuer_subject serial",
    "software": "ts host host_p software_type name version.major version.minor version.minor2 version.minor3 "
    "version.addl unparsed_version",
}
"""By the name of the log."""

_TABLE = {name: tuple(columns.split()) for name, columns in COLUMNS.items()}
_TIME = re.compile(r"\d{9,11}\.\d{1,9}", re.ASCII)

Found = tuple[str, tuple[str, ...], str, str]


def columns_of(cells: list[str], origin: str) -> Found | None:
    """The log's name and columns of a line, by the file it is from or by its shape; None when it is no line of Zeek."""
    if len(cells) < 2 or _TIME.fullmatch(cells[0]) is None:
        return None
    name = named(origin)
    if name not in _TABLE:
        name = _shape(cells)
    if name is None:
        return None
    columns = _TABLE[name]
    if len(cells) > len(columns):
        columns = (*columns, *(f"more{number}" for number in range(len(cells) - len(columns))))
    return name, columns[: len(cells)], "(empty)", "-"


def _shape(cells: list[str]) -> str | None:
    if len(cells) < 9:
        return None
    sixth = cells[6]
    if sixth in ("tcp", "udp", "icmp", "unknown_transport"):
        return "dns" if len(cells) >= 22 and cells[7].isdigit() and cells[10].isdigit() else "conn"
    if sixth.isdigit() and cells[7].isupper() and len(cells) >= 25:
        return "http"
    if sixth.startswith(("TLS", "SSL", "DTLS")):
        return "ssl"
    if sixth in ("1", "2") and cells[7] in ("T", "F", "-"):
        return "ssh"
    return None
