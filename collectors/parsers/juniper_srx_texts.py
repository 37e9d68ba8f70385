"""The sentences of Junos' records that are not structured, with their parts named as the structured ones are."""

from __future__ import annotations

import re

_ADDRESS = r"[0-9A-Fa-f.:]{2,45}"


def _pair(prefix: str, between: str = "/", end: str = "") -> str:
    """`10.0.0.5/5150->203.0.113.9/443`; `prefix` is such as `nat_`."""
    return (
        rf"(?P<{prefix}source_address>{_ADDRESS}?){between}(?P<{prefix}source_port>\d{{1,5}}){end}-> ?"
        rf"(?P<{prefix}destination_address>{_ADDRESS}?){between}(?P<{prefix}destination_port>\d{{1,5}}){end}"
    )


_TAG = r"(?: 0x[0-9a-f]{1,16})?"
_POLICY = (
    r"(?P<protocol_id>\d{1,3}) (?P<policy_name>\S{1,128}) (?P<source_zone_name>\S{1,128})"
    r" (?P<destination_zone_name>\S{1,128}) (?P<session_id_32>\d{1,20})"
)
_SESSION = (
    rf"session (?:created|closed (?P<reason>[^:]{{1,64}}):) {_pair('')}{_TAG} (?P<service_name>\S{{1,64}})"
    rf"(?: (?:\S{{1,64}} ){{0,4}}?)? ?{_pair('nat_')}{_TAG} (?:\S{{1,64}} ){{0,8}}?{_POLICY}"
    r"(?: (?P<packets_from_client>\d{1,18})\((?P<bytes_from_client>\d{1,18})\)"
    r" (?P<packets_from_server>\d{1,18})\((?P<bytes_from_server>\d{1,18})\) (?P<elapsed_time>\d{1,10}))?"
    r"(?:(?: \S{1,64}){0,2}? (?P<username>[^\s()]{1,128})\([^()]{0,256}\)"
    r"(?: (?P<packet_incoming_interface>\S{1,64}))?)?"
)
_DENIED = (
    rf"session denied {_pair('')}{_TAG} (?P<service_name>\S{{1,64}}) (?P<protocol_id>\d{{1,3}})(?:\(\d{{1,5}}\))?"
    r" (?P<policy_name>\S{1,128}) (?P<source_zone_name>\S{1,128}) (?P<destination_zone_name>\S{1,128})"
    r"(?: \S{1,64} \S{1,64} (?P<username>[^\s()]{1,128})\([^()]{0,256}\)(?: (?P<packet_incoming_interface>\S{1,64}))?"
    r"(?: \S{1,16})?(?: (?P<reason>[A-Z][A-Za-z ]{1,64}))?)?"
)
_SCREEN = (
    rf"(?P<attack_name>[^!]{{1,64}}!)(?: source: (?P<source_address>{_ADDRESS}?)(?::(?P<source_port>\d{{1,5}}))?,)?"
    rf"(?: destination: (?P<destination_address>{_ADDRESS}?)(?::(?P<destination_port>\d{{1,5}}))?,)?"
    r"(?: protocol-id: (?P<protocol_id>\d{1,3}),)? zone name: (?P<source_zone_name>[^\s,]{1,128})"
    r",? interface name: (?P<interface_name>[^\s,]{1,64}),? action: (?P<action>\w{1,32})"
)
_WEB = (
    r"WebFilter: ACTION=\"(?P<action>[^\"]{1,64})\" " + _pair("", r"\(", r"\)") + ""
    r"(?: SESSION_ID=\S{1,32})?(?: APPLICATION=\"[^\"]{0,64}\")?(?: NESTED-APPLICATION=\"[^\"]{0,64}\")?"
    r"(?: CATEGORY=\"(?P<category>[^\"]{0,128})\")?(?: REASON=\"?(?P<reason>[^\"]{0,128})\"?)?"
    r"(?: PROFILE=\"(?P<profile>[^\"]{0,128})\")?(?: URL=(?P<url>\S{1,4096}))?(?: OBJ=(?P<obj>\S{1,4096}))?"
    r"(?: USERNAME=(?P<username>\S{1,256}))?"
)
_VIRUS = (
    rf"AntiVirus: .{{0,64}}?from (?P<source_address>{_ADDRESS}?):(?P<source_port>\d{{1,5}})"
    rf" to (?P<destination_address>{_ADDRESS}?):(?P<destination_port>\d{{1,5}})"
    r"(?: source-zone (?P<source_zone_name>\S{1,128}))?(?: (?P<filename>\S{1,1024}) file \S{1,1024} virus"
    r" (?P<attack_name>\S{1,128}))?(?: URL:(?P<url>\S{1,4096}))?"
)
_IDP = (
    rf"<{_pair('')}> for (?P<protocol_name>\w{{1,16}}) protocol and service (?P<service_name>\S{{1,64}})"
    r"(?: application (?P<application>\S{1,64}))?"
    r" by rule (?P<rule_name>\S{1,128}) of rulebase (?P<rulebase_name>\S{1,64})"
    r" in policy (?P<policy_name>\S{1,128}?)\. attack: .{0,128}?action=(?P<action>\w{1,32}),"
    r" threat-severity=\w{1,32}, name=(?P<attack_name>[^,]{1,256})"
    r"(?:.{0,1024}?username=(?P<username>[^,\s]{1,256}))?"
)
_FILTER = (
    r"(?:FW: )?(?P<interface_name>\S{1,64}) +(?P<verdict>[ADR]) +(?P<protocol_name>\w{1,16})"
    rf" (?P<source_address>{_ADDRESS}) (?P<destination_address>{_ADDRESS})"
    r" +(?P<source_port>\d{1,5}) +(?P<destination_port>\d{1,5})"
)
_USER = r"[Uu]ser '?(?P<username>[^\s',]{1,256}?)'?"
_WHO = (
    rf"{_USER},? login.{{0,256}}?ssh-connection '(?P<ssh_connection>[^']{{0,128}})'",
    rf"{_USER},? .{{0,32}}?command '(?P<command>.{{0,4000}}?)'$",
    rf"{_USER} .{{0,64}}?from host \[?'?(?P<source_address>{_ADDRESS})",
    rf"{_USER} at (?P<source_address>{_ADDRESS}) ",
    r"\(username (?P<username>[^\s)]{1,256})\)",
    rf"from (?P<source_address>{_ADDRESS}) to (?P<destination_address>{_ADDRESS})",
    rf"\b{_USER}(?=[\s',.:]|$)",
)
_VPN = (
    rf"VPN (?P<policy_name>\S{{1,128}}) from (?P<source_address>{_ADDRESS}) is (?:up|down)",
    rf"Local gateway: (?P<destination_address>{_ADDRESS}), Remote gateway: (?P<source_address>{_ADDRESS}),",
)
_LINK = r"ifName (?P<interface_name>[^\s,]{1,64})"
_PEER = rf"(?:BGP peer|neighbor) (?P<destination_address>{_ADDRESS})"


def _compiled(*texts: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(each, re.ASCII) for each in texts)


TEXTS: tuple[tuple[str, tuple[re.Pattern[str], ...]], ...] = (
    ("RT_FLOW_SESSION", _compiled(_SESSION, _DENIED)),
    ("APPTRACK_SESSION", _compiled(_SESSION)),
    ("RT_SCREEN", _compiled(_SCREEN)),
    ("WEBFILTER", _compiled(_WEB)),
    ("AV_", _compiled(_VIRUS)),
    ("IDP_ATTACK", _compiled(_IDP)),
    ("PFE_FW", _compiled(_FILTER)),
    ("KMD_", _compiled(*_VPN)),
    ("SNMP_TRAP", _compiled(_LINK)),
    ("RPD_", _compiled(_PEER)),
    ("", _compiled(*_WHO)),
)
"""By the beginning of a tag, the first that fits: what its sentence may be."""
