"""The columns that a fresh installation of Zeek writes, for lines that come without their header."""

from __future__ import annotations

import re

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
}
"""By the name of the log."""

_TABLE = {name: tuple(columns.split()) for name, columns in COLUMNS.items()}
_TIME = re.compile(r"\d{9,11}\.\d{1,9}", re.ASCII)
_LOG = re.compile(r"(?:^|/)([a-z_]{2,32})(?:[._-][^/]*)?\.log", re.ASCII)

Found = tuple[str, tuple[str, ...], str, str]


def columns_of(cells: list[str], origin: str) -> Found | None:
    """The log's name and columns of a line, by the file it is from or by its shape; None when it is no line of Zeek."""
    if len(cells) < 6 or _TIME.fullmatch(cells[0]) is None:
        return None
    named = _LOG.search(origin[-256:])
    name = named[1] if named is not None and named[1] in _TABLE else _shape(cells)
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
