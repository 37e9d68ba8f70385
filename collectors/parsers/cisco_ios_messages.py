"""The messages of Cisco's IOS, IOS-XE, IOS-XR, NX-OS and AireOS by mnemonic: what each means, and its texts."""
# ruff: noqa: E501 - a message is a line

from __future__ import annotations

import re
from typing import NamedTuple

from collectors.parsers.cisco_asa_pieces import Meaning


class Text(NamedTuple):
    """One text that a message may have, and what it means then."""

    meaning: Meaning
    pattern: re.Pattern[str]


_NET, _AUTH, _SESSION, _CONF = ("network",), ("authentication",), ("session",), ("configuration",)

INFO = Meaning(None, None, _NET, ("info",))
PERMIT = Meaning("allow", "success", _NET, ("connection", "allowed"))
DENY = Meaning("deny", "failure", _NET, ("connection", "denied"))
_DROP = Meaning("drop", "failure", _NET, ("connection", "denied"))
_VIOLATION = Meaning("violation", "failure", ("network", "intrusion_detection"), ("denied",))
_START = Meaning("flow-creation", "success", _NET, ("connection", "start"))
_STOP = Meaning("flow-expiration", "success", _NET, ("connection", "end"))
_IN = Meaning("logged-in", "success", _AUTH, ("start",))
_REFUSED = Meaning("logon-failed", "failure", _AUTH, ("start",))
_OUT = Meaning("logged-out", "success", _SESSION, ("end",))
_CONFIG = Meaning("configuration", "success", _CONF, ("change",))
_COMMAND = Meaning("command-executed", "success", _CONF, ("change",))
_PRIVILEGE = Meaning("privilege-level-changed", "success", ("iam",), ("change",))
_NOPRIVILEGE = Meaning("privilege-level-changed", "failure", ("iam",), ("change",))
_RELOAD = Meaning("reload", "success", ("host",), ("end",))
_LINK = Meaning("interface-up", "success", _NET, ("start",))
_NEIGHBOUR = Meaning("neighbor-up", "success", _NET, ("connection", "start"))
_TUNNEL = Meaning("tunnel-up", "success", _NET, ("connection", "start"))
_NOTUNNEL = Meaning("tunnel-failed", "failure", _NET, ("connection", "error"))
_PORTIN = Meaning("port-authorized", "success", ("authentication", "network"), ("start", "allowed"))
_PORTOUT = Meaning("port-unauthorized", "failure", ("authentication", "network"), ("start", "denied"))
_IPS = Meaning("intrusion-detected", None, ("network", "intrusion_detection"), ("info",))
_SNMP = Meaning("snmp-authentication-failed", "failure", _AUTH, ("start", "denied"))

ENDED = {
    "interface-up": "interface-down",
    "neighbor-up": "neighbor-down",
    "tunnel-up": "tunnel-down",
    "logged-in": "logon-failed",
}
"""What an action is called when its text says down or failed."""

MESSAGES: dict[str, tuple[Text, ...]] = {}

_IP = r"(?:[0-9A-Fa-f]{1,4}:){1,7}:(?![0-9A-Fa-f:])|\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}|[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]{1,42}(?<![.:])|::"
_MAC = r"(?:[0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}|(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}"
_PIECES = {
    "s": rf"(?P<sa>{_IP})",
    "d": rf"(?P<da>{_IP})",
    "from": rf"'?(?P<sa>{_IP}|[\w.-]{{1,255}}?)'?",
    "mac": rf"(?P<mac>{_MAC})",
    "if": r"(?P<in>[A-Za-z][\w./:-]{0,63}(?<![.:]))",
    "user": r"'?(?P<user>[^'\"\s\]|,]{1,256}?)'?",
    "reason": r"(?P<reason>.{1,512}?)",
    "cmd": r"(?P<cmd>.{1,4096})",
    "proto": r"\"?(?P<proto>[\w.-]{1,32})\"?",
    "acl": r"(?P<rule>[^\s,]{1,128})",
    "line": r"(?:(?:vty|tty|con|aux|console|line)\w{0,8})",
}
_PIECE = re.compile(r"\{([a-z]+)\}")


def _compiled(text: str) -> re.Pattern[str]:
    return re.compile(_PIECE.sub(lambda piece: _PIECES[piece[1]], text), re.ASCII)


def _message(names: str, meaning: Meaning, *texts: str) -> None:
    for name in names.split():
        MESSAGES[name] = MESSAGES.get(name, ()) + tuple(
            Text(meaning, _compiled(text)) for text in texts or (r"\Z(?!)",)
        )


_LIST = r"(?:access-)?list {acl} (?P<verdict>permit(?:ted)?|den(?:ied|y)) "
_PACKETS = r"(?:,? ?(?P<packets>\d{1,18}) packets?)?"
_VIA = r"(?: ?\((?P<si>[^\s()*]{1,64})?[^()]{0,64}\)| (?P<sj>[A-Za-z][\w./-]{1,63}?))? ?-> ?"

# Access lists
_message(
    "IPACCESSLOGP ACCESSLOGP IPACCESSLOGDP ACCESSLOGDP IPACCESSLOGRP IPACCESSLOGSP IPACCESSLOGNP ACCESSLOGNP ACCESSLOGSP"
    " IPV6ACCESSLOGP IPV6ACCESSLOGDP IPV6ACCESSLOGNP IPV6ACCESSLOGSP",
    PERMIT,
    _LIST
    + r"{proto} (?:{mac} )?{s}(?:\((?P<sp>\d{1,5})\))?"
    + _VIA
    + r"{d}(?: ?\((?:(?P<dp>\d{1,5})|\d{1,3}/\d{1,3})\))?"
    + _PACKETS,
)
_message(
    "IPACCESSLOGS IPACCESSLOGL2", PERMIT, _LIST + r"{s}(?: ?-> ?{d})?" + _PACKETS, _LIST + "{proto} {s}" + _PACKETS
)
_message(
    "ACLLOG_FLOW_INTERVAL ACLLOG_NEW_FLOW ACLLOG_MAXFLOW_REACHED",
    PERMIT,
    r"(?:Source|Src) IP: {s},\s{0,4}(?:Destination|Dst) IP: {d},\s{0,4}(?:Source|Src) Port: (?P<sp>\d{1,5}),\s{0,4}(?:Destination|Dst) Port: (?P<dp>\d{1,5}),\s{0,4}"
    r"(?:Source Interface|Src Intf): (?P<si>[^\s,]{1,64}),\s{0,4}Protocol: {proto}(?:\(\d{1,3}\))?(?:,\s{0,4}ACL Name: {acl},\s{0,4}ACE Action: (?P<verdict>\w+))?"
    r"(?:.{0,128}?Hit-count ?[=:] ?(?P<packets>\d{1,18}))?",
)
_message(
    "INVALID_RP_JOIN INVALID_RP_REG",
    Meaning("multicast-join", "failure", _NET, ("connection", "denied")),
    r"Received \([^()]{1,100}\) \w{1,16} from {s} for (?P<reason>invalid RP) {d}",
)
# Firewall, intrusions, attacks on the segment
_message(
    "SESS_AUDIT_TRAIL",
    _STOP,
    r".{0,200}?(?:Stop )?(?:(?P<proto>[\w-]{1,16}) session: )?initiator \({s}:(?P<sp>\d{1,5})\) sent (?P<got>\d{1,18}) bytes -- responder \({d}:(?P<dp>\d{1,5})\) sent (?P<sent>\d{1,18}) bytes(?:,? from (?P<si>[^\s,]{1,64}))?",
)
_message(
    "SESS_AUDIT_TRAIL_START",
    _START,
    r".{0,200}?(?:(?P<proto>[\w-]{1,16}) session: )?initiator \({s}:(?P<sp>\d{1,5})\) -- responder \({d}:(?P<dp>\d{1,5})\)(?:,? from (?P<si>[^\s,]{1,64}))?",
)
_message(
    "DROP_PKT LOG_SUMMARY",
    _DROP,
    r"Dropping (?P<proto>[\w-]{1,32}) (?:session|pkt|packet) (?:from (?P<si>\S{1,64}) )?{s}:(?P<sp>\d{1,5}) ?(?:=> ?)?{d}:(?P<dp>\d{1,5})(?:.{0,256}? due to +{reason}(?: with .{0,64})?$)?",
    r"(?P<packets>\d{1,18}) (?P<proto>[\w-]{1,32}) packets? (?:were|was) (?:dropped|passed) from \S{1,64} {s}:(?P<sp>\d{1,5}) ?=> ?{d}:(?P<dp>\d{1,5})",
)
_message(
    "IPS-SIGNATURE SIGNATURE",
    _IPS,
    r"Sig:(?P<threat>\d{1,6}) .{0,32}?Sev:\d{1,3} (?P<reason>.{1,200}?) \[{s}:(?P<sp>\d{1,5}) -> {d}:(?P<dp>\d{1,5})\]",
)
_message(
    "PSECURE_VIOLATION PSECURE_VIOLATION_VLAN",
    _VIOLATION,
    r"(?P<reason>Security violation occurred).{0,32}? MAC address {mac} on port {if}",
)
_message("ERR_DISABLE", _VIOLATION, r"{reason} error detected on {if},")
_message(
    "DHCP_SNOOPING_UNTRUSTED_PORT DHCP_SNOOPING_MATCH_MAC_FAIL DHCP_SNOOPING_FAKE_INTERFACE",
    _VIOLATION,
    r"(?P<reason>DHCP_SNOOPING drop message .{0,96}?), message type: .{0,128}?MAC sa: {mac}",
)
_message(
    "DHCP_SNOOPING_DENY INVALID_ARP ACL_DENY SPECIAL_LOG_ENTRY",
    _VIOLATION,
    r"\d{1,9} (?P<reason>Invalid ARPs \(\w{1,8}\)) on {if}, vlan \d{1,4}\. ?\(\[{mac}/{s}/(?P<dmac>[0-9A-Fa-f.:]{12,17})/{d}/",
)
_message("PACKET_RATE_EXCEEDED", _VIOLATION, r"(?P<reason>.{1,64}?) on {if}\.")
_message("DUPADDR", _VIOLATION, r"(?P<reason>Duplicate address) {s} on {if}, sourced by {mac}")
_message(
    "BADAUTH",
    DENY,
    r"(?P<reason>\w{1,16} MD5 digest) from {s}(?:\((?P<sp>\d{1,5})\)|:(?P<sq>\d{1,5})) to {d}(?:\((?P<dp>\d{1,5})\)|:(?P<dq>\d{1,5}))",
)
_message("RECVD_PKT_INV_SPI", DENY, r"{reason} for destaddr={d}, prot={proto}, spi=.{0,32}?srcaddr={s}")
_message("SNMP-AUTHFAIL AUTHFAIL", _SNMP, r"(?P<reason>Authentication failure) for SNMP req(?:uest)? from host {s}")
# Logins
_message(
    "LOGIN_SUCCESS",
    _IN,
    r"Login Success \[user: ?{user}\] \[Source: ?{from}\](?: \[localport: ?(?P<dp>\d{1,5})\])?",
    r"Login Success \[user: ?\] \[Source: ?{from}\]",
)
_message(
    "LOGIN_FAILED",
    _REFUSED,
    r"Login failed \[user: ?(?P<user>.{0,256})\] \[Source: ?{from}\](?: \[localport: ?(?P<dp>\d{1,5})\])?(?: \[Reason: ?{reason}\])?(?: at|$)",
    r"Login Un-?[Ss]uccessful from (?:host )?{s}(?: by user {user})?(?: |$)",
)
_message("LOGIN_PASSED", _IN, r"Login Successful from (?:host )?{s}(?: by user {user})?(?: |$)")
_message(
    "QUIET_MODE_ON",
    Meaning("quiet-mode-on", "success", _AUTH, ("denied",)),
    r".{0,128}?\[user: ?(?P<user>[^\]]{0,256})\] \[Source: ?{from}\](?: \[localport: ?(?P<dp>\d{1,5})\])?(?: \[Reason: ?{reason}\])?",
)
_message("LOGOUT", _OUT, r"User {user} has exited .{0,32}?session \d{1,6} ?\({from}\)")
_message("TTY_EXPIRE_TIMER", _OUT, r"\(exec timer expired, tty \d{1,6} \({from}\)\), user {user}$")
_message(
    "SSH2_USERAUTH SSH_USERAUTH",
    _IN,
    r"User {user} authentication for SSH2? Session from {from} .{0,256}?(?P<verdict>Succeeded|Failed)",
)
_message(
    "SSH2_SESSION SSH_SESSION",
    Meaning("ssh-session-requested", "success", _NET, ("connection", "start")),
    r"SSH2? Session request from {s} .{0,256}?(?P<verdict>Succeeded|Failed)",
)
_message("SSH2_CLOSE SSH_CLOSE", _OUT, r"SSH2? Session from {s} .{0,64}?for user {user} ")
_message("AUTH_PASSED", _IN, r"User {user} authenticated successfully from {s}(?::(?P<sp>\d{1,5}))? ")
_message("INFO_SUCCESS AUTHEN_SUCCESS", _IN, r"Successfully authenticated (?:the )?user {user} from {from} on")
_message(
    "INFO_FAILURE AUTHEN_FAILED LOGIN_AUTHEN_FAILURE AUTHEN_FAILURE ERR_FAILURE",
    _REFUSED,
    r"Failed (?:to authenticate|authentication attempt by) (?:the )?user {user} from {from}(?: |$)",
)
_message(
    "AAA_AUTH_ADMIN_USER AAA_AUTH_NETWORK_USER",
    _IN,
    r".{0,64}?(?P<verdict>Authentication succeeded|[Ff]ailed).{0,32}? (?:for )?(?:admin|network) user {user}$",
)
_message("USER_LOGGED", _COMMAND, r"User {user} executed: {cmd}")
_message(
    "SYSTEM_MSG",
    _REFUSED,
    r".{0,64}?[Aa]uthentication (?:failed|failure) for (?:illegal |invalid )?user {user} from {from}(?: - |$)",
    r".{0,64}?Login failed for user {user}(?: - |$)",
)
_message("AAA-CONNECT", _IN, r"New {proto} connection for user {user}, source {s} destination {d} ")
_message("AAA-REJECT", _REFUSED, r"New {proto} connection for user {user}, source {s} destination {d} ")
_message("AAA-DISCONNECT", _OUT, r"{proto} connection for user {user}, source {s} destination {d} ")
# Commands and configuration
_message(
    "CONFIG_I VSHD_SYSLOG_CONFIG_I",
    _CONFIG,
    r"Configured from \S{1,64} by {user} on {line} ?\({from}\)",
    r"Configured from \S{1,64} by {user} on {s}(?:@|$)",
    r"Configured from {s} by {user}(?: |$)",
    r"Configured from \S{1,256} by {user}(?:,| |$)",
)
_message("DB_COMMIT", _CONFIG, r".{0,64}? by user {user}\. ")
_message("CFGLOG_LOGGEDCMD", _COMMAND, r"User: ?{user} {1,2}logged command: ?{cmd}$")
_message(
    "CLOCKUPDATE",
    _CONFIG,
    r".{0,200}? configured from .{1,32}? by {user} on {line} ?\({from}\)",
    r".{0,200}? configured from .{1,32}? by {user}[ .]",
)
_message("PRIV_AUTH_PASS PRIV_I", _PRIVILEGE, r"Privilege level set to \d{1,2} by {user} on {line}(?: ?\({from}\))?")
_message(
    "PRIV_AUTH_FAIL",
    _NOPRIVILEGE,
    r"Authentication to Privilege level \d{1,2} failed by {user} on {line}(?: ?\({from}\))?",
)
_message(
    "RELOAD RESTART",
    _RELOAD,
    r"Reload requested by {user}(?: on {line}(?: ?\({from}\))?)?\.(?: Reload Reason: {reason}\.?)?$",
)
_message("LOGGINGHOST_STARTSTOP", INFO, r"Logging to host {d} (?:[Pp]ort (?P<dp>\d{1,5}) )?(?P<reason>started|stopped)")
# Ports, links, neighbours, tunnels
_message(
    "SUCCESS",
    _PORTIN,
    r"Auth\w{1,16} \w{1,16} for client \({mac}\)(?: on Interface {if})?(?:.{0,128}? Username: {user}(?: |$))?",
)
_message(
    "FAIL UNAUTHORIZED",
    _PORTOUT,
    r"Auth\w{1,16} .{0,32}? ?for client \({mac}\)(?: with reason \((?P<reason>[^)]{1,128})\))?(?: on Interface {if})?(?:.{0,128}? Username: {user}(?: |$))?",
)
_message(
    "UPDOWN CHANGED",
    _LINK,
    r"(?:Line protocol on )?[Ii]nterface {if}, changed state to (?:administratively )?(?P<verdict>up|[Dd]own)",
)
_message("IF_UP", _LINK, r"Interface {if} is up")
_message(
    "IF_DOWN_LINK_FAILURE IF_DOWN_ADMIN_DOWN IF_DOWN_NONE IF_DOWN_INTERFACE_REMOVED IF_DOWN_CFG_CHANGE IF_DOWN_ERROR_DISABLED IF_DOWN_PORT_CHANNEL_MEMBERS_DOWN",
    _LINK,
    r"Interface {if} is (?P<verdict>down) ?(?:\((?P<reason>[^)]{1,128})\))?",
)
_message("ADJCHANGE NBR_RESET", _NEIGHBOUR, r"[Nn]eighbor {d} .{0,64}?(?P<verdict>Up|Down|reset)(?: {reason})?$")
_message(
    "ADJCHG",
    _NEIGHBOUR,
    r"Process \S{1,32}, Nbr {d} on {if} from \S{1,16} to (?P<verdict>DOWN|INIT|FULL|\S{1,16}), {reason}$",
)
_message("NBRCHANGE", _NEIGHBOUR, r".{0,64}?[Nn]eighbor {d} \({if}\) is (?P<verdict>up|down): {reason}$")
_message(
    "SESSION_STATUS",
    _TUNNEL,
    r"Crypto tunnel is (?P<verdict>UP|DOWN)\. {1,4}Peer {s}:(?P<sp>\d{1,5})(?: {1,16}(?:f_vrf: .{1,64}? )?Id: {1,8}(?P<user>\S{1,256}))?",
)
_message(
    "IKMP_MODE_FAILURE IKMP_BAD_MESSAGE IKMP_NO_SA IKMP_INVAL_CERT", _NOTUNNEL, r"{reason} (?:from|with peer at) {s}"
)

COMMON = (
    _compiled(
        r"(?:[Uu]ser(?:name)?|by) ?[=:]? ?['\"](?P<user>[^'\"\s]{1,256})['\"]|[Uu]ser(?:name)? ?[=:] ?(?P<word>[\w.@\\-]{1,256})"
    ),
    _compiled(
        r"(?:from|[Ss]ource|[Ss]rc|peer|[Nn]eighbor|host|IP|client)(?: ?IP)?(?: address)?(?: is| at)? ?[=:]? ?\(?'?{s}(?:[:(](?P<sp>\d{1,5}))?(?![\w.])"
    ),
    _compiled(r"(?:^|[\s(:=]){mac}(?![\w:.-]{2})"),
    _compiled(r"[Ii]nterface {if}|\b(?:on|port) (?P<ifb>(?:Gi|Te|Fa|Eth|Po|Vl|Tw|Hu|Fo)[A-Za-z-]{0,20}[\d/.]{1,16})"),
)
"""What texts of messages that are not known have in common."""
