"""The messages of Cisco's ASA and FTD by number: what each means, and where in its text the ends and the user stand.

A text is a regular expression with pieces in braces, such as `Deny {dir} UDP from {src} to {dst} on interface {in}`.
"""
# ruff: noqa: E501 - a message is a line

from __future__ import annotations

import re
from typing import NamedTuple


class Meaning(NamedTuple):
    """What a message says of an event."""

    action: str | None
    outcome: str | None
    category: tuple[str, ...]
    type: tuple[str, ...]


class Message(NamedTuple):
    """What a number means, and the texts it may have; without texts what is common to many is looked for."""

    meaning: Meaning
    texts: tuple[re.Pattern[str], ...] = ()


_ADDRESS = r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?![\w-])|[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]{1,42}(?<![:.])|[\w.-]{1,255}?"


def _end(side: str) -> str:
    """`inside:10.0.0.5/443 (203.0.113.9/443)(DIF\\ana, 12:sgt)`: groups for interface, address, port, NAT, user."""
    return (
        rf"(?:(?P<{side}i>NP Identity Ifc|[^\s:/()]{{1,64}}):)?(?P<{side}a>[^\s/(),;]{{1,255}})"
        rf"(?:/(?P<{side}p>[\w-]{{1,32}}))?(?: ?\((?P<{side}na>[^\s/()]{{1,255}})/(?P<{side}np>\d{{1,5}})\))?"
        rf"(?: ?\(\(?(?!type )(?P<{side}u>[^()]{{1,256}})\)?\))?"
    )


def _slashed(side: str) -> str:
    """`inside/10.0.0.5(443)`, as access lists write it."""
    return (
        rf"(?P<{side}i>[^\s/()]{{1,64}})/(?P<{side}a>[^\s/(),;]{{1,255}})(?: ?\((?P<{side}p>\d{{1,5}})\)| (?P<{side}q>\d{{1,5}})(?= |$))?"
        rf"(?: ?\((?P<{side}u>[^()]{{1,256}})\))?"
    )


_PIECES = {
    "src": _end("s"),
    "dst": _end("d"),
    "ssrc": _slashed("s"),
    "sdst": _slashed("d"),
    "sip": rf"(?P<sa>{_ADDRESS})",
    "dip": rf"(?P<da>{_ADDRESS})",
    "smac": r"(?P<mac>[0-9A-Fa-f.:-]{12,23})",
    "proto": r"(?:protocol )?(?P<proto>[\w.-]{1,32})",
    "dir": r"(?P<dir>[A-Za-z]{1,16})",
    "in": r"(?P<in>[^\s.,]{1,64})",
    "acl": r'(?P<rule>"[^"]{1,256}"|[^\s"]{1,256})',
    "user": r"'?\"?(?P<user>[^'\"\n]{0,256}?)'?\"?",
    "word": r"(?P<user>[^\s,]{1,256})",
    "target": r"(?P<target>[^\s,]{1,256})",
    "cmd": r"'?(?P<cmd>.{0,1024}?)'?",
    "group": r"<?(?P<group>[^<>\n]{0,128}?)>?",
    "dur": r"(?P<dur>[\d:hmsd]{1,16})",
    "bytes": r"(?P<bytes>\d{1,18})",
    "reason": r"(?P<reason>.{0,512}?)",
    "url": r"(?P<url>\S{1,8192})",
    "file": r"(?P<file>.{1,1024}?)",
    "svc": r"(?P<svc>[\w-]{1,32})",
    "agent": r"(?P<agent>.{1,512}?)",
    "any": r".{0,200}?",
    "vpn": r"(?:TunnelGroup <?.{0,128}?>? )?(?:GroupPolicy|Group) <?(?P<group>[^<>\n]{0,128}?)>? User(?: <?(?P<user>[^<>\n]{0,256}?)>?)? "
    r"IP <?(?P<sa>[0-9A-Fa-f.:]{2,45})>?",
    "ike": r"(?:Group = (?P<group>[^,\n]{0,128}), )?(?:Username = (?P<user>[^,\n]{0,256}), )?(?:IP = (?P<sa>[^,\s]{1,64}),? ?)?",
    "ike2": r"Local: ?\[?(?P<da>[0-9A-Fa-f.:]{2,45}?)\]?: ?(?P<dp>\d{1,5}) Remote: ?\[?(?P<sa>[0-9A-Fa-f.:]{2,45}?)\]?: ?(?P<sp>\d{1,5}) "
    r"Username: ?(?P<user>.{0,256}?) (?:IKEv[12] )?",
}
_PIECE = re.compile(r"\{([a-z]\w*)\}")


def compiled(*texts: str) -> tuple[re.Pattern[str], ...]:
    """The texts with their pieces put in."""
    return tuple(re.compile(_PIECE.sub(lambda piece: _PIECES[piece[1]], text), re.ASCII) for text in texts)


_NET, _AUTH, _CONF, _SESSION = ("network",), ("authentication", "network"), ("configuration",), ("network", "session")

DENIED = Meaning("firewall-rule", "failure", _NET, ("connection", "denied"))
ALLOWED = Meaning("firewall-rule", "success", _NET, ("connection", "allowed"))
PASSED = Meaning("firewall-rule", "success", _NET, ("connection", "info"))
_INFO = Meaning(None, None, _NET, ("info",))
_BUILT = Meaning("flow-creation", "success", _NET, ("connection", "start"))
_TORN = Meaning("flow-expiration", "success", _NET, ("connection", "end"))
_ENDED = Meaning("flow-termination", None, _NET, ("connection", "end"))
_FAILED = Meaning("flow-creation", "failure", _NET, ("connection", "error"))
_LIMIT = Meaning("connection-limit", "failure", _NET, ("connection", "denied"))
_NAT = Meaning("nat-slot", "success", ("network", "configuration"), ("creation",))
_UNNAT = Meaning("nat-slot", "success", ("network", "configuration"), ("deletion",))
_NONAT = Meaning("nat-slot", "failure", _NET, ("connection", "denied"))
_IN = Meaning("logged-in", "success", _AUTH, ("allowed", "info"))
_REFUSED = Meaning("logon-failed", "failure", _AUTH, ("denied", "info"))
_OUT = Meaning("logged-out", "success", _AUTH, ("info",))
_CHALLENGE = Meaning("authentication", "unknown", _AUTH, ("info",))
_LOCKED = Meaning("user-locked", "success", ("iam", "authentication"), ("user", "change"))
_UNLOCKED = Meaning("user-unlocked", "success", ("iam",), ("user", "change"))
_CHANGE = Meaning("configuration", "success", _CONF, ("change",))
_COMMAND = Meaning("configuration", "success", _CONF, ("info",))
_UP = Meaning("client-vpn-connected", "success", _SESSION, ("connection", "start"))
_DOWN = Meaning("client-vpn-disconnected", "success", _SESSION, ("connection", "end"))
_VPN = Meaning("client-vpn-error", "failure", _NET, ("connection", "denied"))
_URL = Meaning("url-access", "success", _NET, ("access", "allowed"))
_NOURL = Meaning("url-access", "failure", _NET, ("access", "denied"))
_FILTER = Meaning("dynamic-filter", None, _NET, ("connection", "info"))
_FILTERED = Meaning("dynamic-filter", "failure", _NET, ("connection", "denied"))
_SPOOF = Meaning("firewall-rule", "failure", ("network", "intrusion_detection"), ("connection", "denied"))
_ATTACK = Meaning("threat-detected", None, ("network", "intrusion_detection"), ("info",))
_SHUN = Meaning("host-shunned", "success", ("network", "intrusion_detection"), ("denied",))
_ASSIGNED = Meaning("address-assigned", "success", _NET, ("connection", "info"))
_NOADDRESS = Meaning("address-assigned", "failure", _NET, ("connection", "error"))
_FREED = Meaning("address-freed", "success", _NET, ("info",))
_MAPPED = Meaning("user-mapped", "success", ("iam", "network"), ("user", "creation"))
_UNMAPPED = Meaning("user-unmapped", "success", ("iam", "network"), ("user", "deletion"))
_TLS = Meaning("tls-handshake", "success", _NET, ("connection", "start"))
_TLSDONE = Meaning("tls-handshake", "success", _NET, ("connection", "info"))
_NOTLS = Meaning("tls-handshake", "failure", _NET, ("connection", "error"))
_TLSEND = Meaning("tls-session-ended", None, _NET, ("connection", "end"))
_SA = Meaning("sa-created", "success", _NET, ("connection", "start"))
_SAGONE = Meaning("sa-deleted", "success", _NET, ("connection", "end"))
_NEWUSER = Meaning("user-added", "success", ("iam",), ("user", "creation"))
_NOUSER = Meaning("user-deleted", "success", ("iam",), ("user", "deletion"))
_LINKUP = Meaning("interface-up", "success", _NET, ("info",))
_LINKDOWN = Meaning("interface-down", "failure", _NET, ("info",))

MESSAGES: dict[str, Message] = {}


def _message(numbers: str, meaning: Meaning, *texts: str) -> None:
    for number in numbers.split():
        MESSAGES[number] = Message(meaning, compiled(*texts))


_DYNAMIC = (
    r"Dynamic [Ff]ilter \w+ \w+ {proto} traffic from {src} to {dst},? ?"
    r"(?:(?P<which>source|destination) \S{1,255}(?: resolved)? from (?P<list>\S{1,64}) list:? ?(?P<domain>[^\s,]{1,255})"
    r"(?:/[\d.]{1,15})?(?:, threat-level: (?P<level>[\w-]{1,32}), category: (?P<threat>.{1,64}))?)?"
)
_WHAT = r"(?:user )?(?:authentication|authorization|accounting|shutdown)"
_MANAGED = r"Group = (?P<group>.{0,128}?), Username = {user}, IP = {sip}, Session disconnected\. Session Type: .{0,64}?, Duration: {dur}"
_HIT = r"access-list {acl} (?P<verdict>permitted|denied|est-allowed)"
_TORN_TEXT = (
    r"Teardown {proto} (?:state-bypass )?connection (?P<conn>\d{1,20}) (?:for|from) {src} to {dst}"
    r"(?: duration {dur} bytes {bytes}(?: {reason}(?: from [^\s:]{1,64})?)?)?(?: ?\((?P<user>[^()]{1,256})\))?$"
)
_BUILT_TEXT = (
    r"Built (?:{dir} )?{proto} (?:state-bypass )?connection (?P<conn>\d{1,20}) (?:for|from) {src} to {dst}"
    r"(?: ?\((?P<user>[^()]{1,256})\))?"
)
_ICMP_END = r"(?:(?P<{0}i>[^\s:/()]{{1,64}}):)?(?P<{0}a>[^\s/()]{{1,255}})(?:/\d{{1,10}})? ?(?:\(\(?(?P<{0}u>[^()]{{1,256}})\)?\) ?)?"
_ICMP = (
    r"(?:Built|Teardown) (?:{dir} )?{proto} connection(?: \d{1,20})? for faddr "
    + _ICMP_END.format("d")
    + r"gaddr (?P<gaddr>[^\s/()]{1,255})(?:/\d{1,10})? ?laddr "
    + _ICMP_END.format("s")
)

# Deny and permit
_message("106001", DENIED, "{dir} {proto} connection denied from {src} to {dst} flags .{0,64}? on interface {in}")
_message("106002", DENIED, "{proto} [Cc]onnection denied by {dir} list {acl} src {src} dest {dst}")
_message("106006 106007", DENIED, "Deny {dir} {proto} from {src} to {dst}(?: on interface {in}| due to {reason}$)")
_message("106010 106011 106014", DENIED, r"Deny {dir} (?:\(No xlate\) )?{proto} src {src} ?dst {dst}")
_message("106012", DENIED, "Deny {proto} from {sip} to {dip}, {reason}$")
_message("106013", DENIED, "Dropping echo request from {sip} to PAT address {dst}")
_message(
    "106015", DENIED, r"Deny {proto} \((?P<reason>[^)]{1,64})\) from {src} to {dst} flags .{0,64}? on interface {in}"
)
_message("106016", _SPOOF, r"Deny {proto} spoof from \(?(?P<sa>[^\s()]{1,64})\)? to {dip} on interface {in}")
_message("106017", _SPOOF, "Deny {proto} due to (?P<reason>Land Attack) from {sip} to {dst}")
_message("106018", DENIED, r"{proto} packet type \S{1,32} denied by {dir} list {acl} src {src} dest {dst}")
_message("106020", _SPOOF, r"Deny {proto} (?P<reason>teardrop fragment) \(.{0,64}?\) from {sip} to {dst}")
_message(
    "106021 106022",
    DENIED,
    "Deny {proto} (?P<reason>reverse path check|connection spoof) from {sip} to {dip} on interface {in}",
)
_message(
    "106023", DENIED, "Deny {proto} src {src} dst {dst}{any} by access-group {acl}", "Deny {proto} src {src} dst {dst}"
)
_message(
    "106025 106026",
    DENIED,
    r"(?P<reason>Failed to .{0,64}?context for the packet): ?vlan ?source:? ?\S{1,64} {proto} {src} {dst}",
)
_message(
    "106027", DENIED, r"(?:\S{1,64} ?)?:? ?[Dd]eny src {smac} dst (?P<dmac>[0-9A-Fa-f.:-]{12,23}) by access-group {acl}"
)
_message("106100", ALLOWED, _HIT + r" {proto} {ssrc} ?-> {sdst}", _HIT + r" {proto} {src} ?-> {dst}")
_message("106102 106103", ALLOWED, _HIT + r" {proto} for user {user} {ssrc}(?: ?->)? {sdst}(?: |$)")
_message(
    "110002 110003",
    Meaning("firewall-rule", "failure", _NET, ("connection", "info")),
    "(?P<reason>.{0,64}?) for {proto} from {src} to {dst}",
)
_message("302033 302034", _BUILT, r"(?P<reason>.{0,64}?)(?: for)? faddr {dst} to laddr {src}")
# Commands
_message("111001", _COMMAND, r"Begin configuration: {sip} writing to (?P<file>\S{1,256})")
_message("111002 111007", _COMMAND, r"Begin configuration: {sip} reading from (?P<file>\S{1,256}?)\.?$")
_message("111003", _CHANGE, "{sip} Erase configuration")
_message("111004 111005", _CHANGE, r"{sip} end configuration: (?P<verdict>\w+)")
_message("111008", _COMMAND, "User {user} executed the {cmd} command")
_message("111009", _COMMAND, "User {user} executed cmd: {cmd}$")
_message("111010", _CHANGE, r"User {user}, running '(?P<app>[^']{0,128})' from IP {sip}, executed {cmd}$")
_message("112001", _CHANGE, r"\(?{sip}(?::dec)?\)? Clear")
# Authentication of users and of administrators
_message("109001", _CHALLENGE, "Auth start for user {user} from {src} to {dst}$")
_message(
    "109002 109010", _REFUSED, r"Auth from {src} to {dst} failed \((?P<reason>[^)]{1,128})\)(?: on interface {in})?"
)
_message("109005 109007", _IN, "{any} for user {user} from {src} to {dst}(?: on interface {in})?")
_message("109006 109008", _REFUSED, "{any} for user {user} from {src} to {dst}(?: on interface {in})?")
_message("109011", _IN, "{any}[Uu]ser {user},")
_message("109012", _OUT, "{any}[Uu]ser {user},")
_message(
    "109023 109024 109025",
    _REFUSED,
    "{any} for user {user} from {src} to {dst} on",
    "{any} from {src} to {dst} ?(?:on|using|\\()",
)
_message("109031", _REFUSED, r".{0,96}? login for {word}\.?$")
_message("109033 109034", _REFUSED, "{any} for (?:admin |network )?user {user} from {src}(?: to {dst})?[. ]")
_message("113003 113009 113011", _IN, r"{any} for user ?=? ?{word}", r"{any}[Uu]ser ?=? ?{word}")
_message("113004", _IN, rf"AAA {_WHAT} Successful ?: server ?= *{{dip}} ?[:,] [Uu]ser ?= *{{user}}$")
_message(
    "113005 113015 113016 113017",
    _REFUSED,
    r"AAA .{0,64}? ?: reason ?= *{reason} ?: (?:server ?= *{dip}|local database) ?: [Uu]ser ?= *?{user} ?: [Uu]ser IP ?= *{sip}$",
    r"AAA .{0,64}? ?: reason ?= *{reason} ?: (?:server ?= *{dip}|local database) ?: [Uu]ser ?= *?{user}$",
)
_message("113006", _LOCKED, "User {user} locked out on exceeding")
_message("113007", _UNLOCKED, r"User '?(?P<target>[^'\s]{1,256})'? unlocked by {user}$")
_message("113008 113012", _IN, r"AAA .{0,64}?: [Uu]ser ?= *{user}$")
_message("113010", _CHALLENGE, r"AAA challenge received for user {word} from server {dip}")
_message("113013", _REFUSED, r"AAA .{0,64}? ?: reason ?= *{reason} ?: [Uu]ser ?= *{user}$")
_message("113014", _REFUSED, r"AAA .{0,64}? ?: server ?= *{dip} ?: [Uu]ser ?= *{user}$")
_message("113018", _REFUSED, r"User: {user}, (?P<reason>.{1,512})")
_message(
    "113019",
    _DOWN,
    _MANAGED + r", Bytes xmt: (?P<sent>\d{1,18}), Bytes rcv: (?P<got>\d{1,18}), Reason: {reason}$",
    _MANAGED,
)
_message("113021", _REFUSED, r"Attempted console login failed\. User {user} did NOT have")
_message("113022", Meaning("server-failed", "failure", _NET, ("info",)), "AAA Marking {svc} server {dip} in")
_message("113023", Meaning("server-active", "success", _NET, ("info",)), "AAA Marking {svc} server {dip} in")
_message("113029 113030 113031 113032 113033 113034 113035 113036 113037 113038", _VPN, "{vpn} {reason}$")
_message("113039", _UP, "{vpn}")
_message("113040", _VPN, "{vpn} {reason}$", r"(?P<reason>Terminating the VPN connection.{0,512})$")
_message("113042", DENIED, r"(?P<reason>CoA: .{0,64}?) from {src} to {dst} for user {user} at (?P<at>\S{1,64}) denied")
_message("315004", _REFUSED)
_message("315011", Meaning("ssh-session-ended", None, _SESSION, ("connection", "end")),
         r"SSH session from {sip} on interface {in} for user {user} disconnected by SSH server, reason: {reason}$",
         r"SSH session from {sip} on interface {in} for user {user} ")  # fmt: skip
_message("502101", _NEWUSER, r".{0,64}Uname: (?P<target>(?P<user>\S{1,256}))")
_message("502102", _NOUSER, r".{0,64}Uname: (?P<target>(?P<user>\S{1,256}))")
_message(
    "502103",
    Meaning("privilege-level-changed", "success", ("iam",), ("user", "change")),
    r".{0,64}Uname: (?P<user>\S{1,256})",
)
_message(
    "605004",
    _REFUSED,
    r"Login denied from {src} to (?:(?P<di>[^\s:/]{1,64}):)?(?P<da>[^\s/]{1,64})/{svc} for user {user}$",
    r"Login denied from {src}",
)
_message(
    "605005",
    _IN,
    r"Login permitted from {src} to (?:(?P<di>[^\s:/]{1,64}):)?(?P<da>[^\s/]{1,64})/{svc} for user {user}$",
    r"Login permitted from {src}",
)
_message("606001 606003", Meaning("asdm-session-started", "success", _SESSION, ("start",)), "{any} from {sip} started")
_message("606002 606004", Meaning("asdm-session-ended", "success", _SESSION, ("end",)), "{any} from {sip} ended")
_message(
    "611101", _IN, r"User authentication succeeded: (?:IP(?: address)?: ?{sip}, )?Uname: {user}$", "{any} from {sip}"
)
_message(
    "611102", _REFUSED, r"User authentication failed: (?:IP(?: address)?: ?{sip}, )?Uname: {user}$", "{any} from {sip}"
)
_message("611103", _OUT, "User logged out: Uname: {user}$")
_message(
    "734001",
    _IN,
    r"DAP: User {user}, Addr (?P<sa>[^\s,:]{1,64}), Connection (?P<svc>\w{1,32})",
    r"DAP: User {user}, Addr {sip}[,: ]",
)
_message("734002", _VPN, r"DAP: User {user}, Addr {sip}: {reason}$")
_message("734003 734004", _INFO, r"DAP: User {user}, Addr {sip}[,:] ")
_message("746012", _MAPPED, r"user-identity: Add IP-User mapping {sip} - {word} result - (?P<verdict>\w+)")
_message("746013", _UNMAPPED, r"user-identity: Delete IP-User mapping {sip} - {word} result - (?P<verdict>\w+)")
_message("772002 772003 772004", _REFUSED, r".{0,64}?user {word}(?:, IP {sip})?, cause: {reason}$")
_message("772005", _IN, "REAUTH: user {word} ")
_message("772006", _REFUSED, "REAUTH: user {word} ")
# Flows
_message("302003 302004", _BUILT, r".{0,48}? foreign[_ ]address {dst} local[_ ]address {src}")
_message("302012", _BUILT, r"Pre-allocate .{0,48}? for faddr {dst} to laddr {src}")
_message("302013 302015 302017 302035 302303 302305", _BUILT, _BUILT_TEXT)
_message("302014 302016 302018 302036 302304 302306", _TORN, _TORN_TEXT)
_message("302020", _BUILT, _ICMP)
_message("302021", _TORN, _ICMP)
_message("302022 302024 302026", _BUILT, r"Built .{0,32}?stub {proto} connection for {src}.{0,64}? to {dst}")
_message(
    "302023 302025 302027",
    _TORN,
    r"Teardown .{0,32}?stub {proto} connection for {src} to {dst} duration {dur} forwarded bytes {bytes} {reason}$",
)
_message(
    "303002",
    Meaning("ftp", "success", ("network", "file"), ("access",)),
    r"{svc} connection from {src} to {dst}, user {word} (?P<cmd>\w{1,32}) file {file}$",
)
_message("303005", DENIED, r"(?P<reason>Strict FTP inspection .{0,256}?) from {src} to {dst}")
_message(
    "304001",
    _URL,
    r"(?:(?P<user>[^\s@]{1,256})[@ ])?{sip}(?: ?\((?P<su>[^()]{1,256})\))? Accessed (?:JAVA )?URL (?:[^\s@]{1,128}@)?(?P<da>[0-9A-Fa-f.]{7,15}|[0-9A-Fa-f:]{3,39}|[\w.-]{1,255}?): ?{url}",
)
_message(
    "304002",
    _NOURL,
    r"Access denied URL {url} SRC {sip}(?: ?\((?P<su>[^()]{1,256})\))? DEST {dip}(?::? ?on interface {in}|: ?\S{0,2048})?$",
)
_message("305005", _NONAT, "(?P<reason>No translation group found) for {proto} src {src} dst {dst}")
_message("305006", _NONAT, r"(?P<reason>.{0,64}?translation creation failed) for {proto} src {src} dst {dst}")
_message("305009", _NAT, r"Built \w{1,16} translation from {src} to {dst}")
_message("305010", _UNNAT, r"Teardown \w{1,16} translation from {src} to {dst} duration {dur}")
_message("305011", _NAT, r"Built \w{1,16} {proto} translation from {src} to {dst}")
_message("305012", _UNNAT, r"Teardown \w{1,16} {proto} translation from {src} to {dst} duration {dur}")
_message(
    "305013",
    _NONAT,
    r".{0,96}?; Connection(?: for)? {proto} src {src} dst {dst} (?P<reason>denied due to .{0,64}?)\.?$",
)
_message("313001 313008", DENIED, r"Denied {proto} type=\w{1,16}, code=\w{1,16} from {sip} on interface {in}")
_message(
    "313004",
    DENIED,
    r"Denied {proto} type=\w{1,16},? (?:code=\w{1,16} )?from (?:\w{1,8}addr )?{sip} on interface {in} to {dip}: ?(?P<reason>no matching session)",
)
_message(
    "313005",
    DENIED,
    r"No matching connection for ICMP error message: {proto} .{0,700}?on {in} interface\. {0,2}Original IP payload: (?:protocol )?\S{1,32} src {src} dst {dst}",
    r"No matching connection for ICMP error message: {proto} src {src} dst {dst}",
)
_message("313009", DENIED, r"Denied invalid {proto} code \w{1,16}, for {src} to {dst}")
_message("322001", _SPOOF, "Deny MAC address {smac}, (?P<reason>possible spoof attempt) on interface {in}")
_message(
    "322002 322003",
    _SPOOF,
    r"(?P<reason>ARP inspection check failed) for arp \w{1,16} received from host {smac} on interface {in}\. .{0,96}? IP Address (?P<sa>[^\s,]{7,45})",
)
_message("338001 338002 338003 338004 338101 338102 338103 338104 338201 338202", _FILTER, _DYNAMIC)
_message("338005 338006 338007 338008 338203 338204", _FILTERED, _DYNAMIC)
_message(
    "338301",
    PASSED,
    r"Intercepted DNS reply for (?:domain|name) (?P<question>\S{1,255}) from {src} to {dst}, matched (?P<list>\S{1,64})",
)
_message("402114 402115 402116 402118 402119 402120", DENIED, r"IPSEC: Received an {proto} packet \(.{0,96}?\) from {sip} \((?:user ?= *?)?(?P<user>[^)]{0,256})\) to {dip}(?:[. ](?P<reason>.{0,256}))?$",
         r"IPSEC: Received an {proto} packet \(.{0,96}?\) from {sip} to {dip} (?P<reason>.{0,256})$")  # fmt: skip
_message(
    "402117",
    DENIED,
    r"IPSEC: (?P<reason>Received a non-IPsec) (?:packet )?\(?(?:protocol ?= *?)?(?P<proto>[\w.-]{1,32})\)? (?:packet )?from {sip} to {dip}\.?$",
)
_message(
    "405001 405002", _SPOOF, r"(?P<reason>.{0,64}? collision) from (?P<sa>[^\s/]{1,64})/{smac}(?: on interface {in})?"
)
_message(
    "405003",
    _SPOOF,
    r"(?P<reason>IP address collision) detected between host (?P<sa>\S{1,64}) at {smac} and interface {in}",
)
_message("406001", DENIED, r"(?P<reason>FTP port command low port): {src} to {dip} on interface {in}")
_message(
    "406002", DENIED, r"(?P<reason>FTP port command different address): {sip}\(\S{1,64}\) to {dip} on interface {in}"
)
_message("411001 411003", _LINKUP, r"Line protocol on [Ii]nterface {in}", r"Interface {in} ")
_message("411002 411004", _LINKDOWN, r"Line protocol on [Ii]nterface {in}", r"Interface {in} ")
_message("419001", DENIED, r"Dropping {proto} packet from {src} to {dst}, reason: {reason}$")
_message("419002", PASSED, r"Duplicate (?P<proto>TCP) SYN from {src} to {dst} (?P<reason>.{0,96})$")
_message("425005", Meaning("interface-switchover", None, _NET, ("info",)), "Interface {in} become active")
_message("434002", DENIED, "SFR requested to drop {proto} packet from {src} to {dst}")
_message(
    "434004",
    Meaning("bypass", None, _NET, ("info",)),
    r"SFR requested .{0,96}? process {proto} flow from {src} to {dst}",
)
_message(
    "500003",
    DENIED,
    r"(?P<reason>Bad (?P<proto>TCP) hdr length) .{0,64}? from {src} to {dst}, flags: .{0,64}?, on interface {in}",
)
_message(
    "500004", DENIED, r"(?P<reason>Invalid transport field) for protocol ?= *?(?P<proto>\w{1,16}), from {src} to {dst}"
)
_message("507001", _ENDED, r"Terminating (?P<proto>TCP)-Proxy connection from {src} to {dst} - {reason}$")
_message(
    "507002 507003", _ENDED, r"{proto} flow from {src} to {dst} terminated by inspection engine, reason ?-? ?{reason}$"
)
_message(
    "602303",
    _SA,
    r"IPSEC: An {dir} (?P<tunnel>.{1,32}?) SA \(.{0,64}?\) between {sip} and {dip} \((?:user ?= *?)?(?P<user>[^)]{0,256})\)",
)
_message(
    "602304",
    _SAGONE,
    r"IPSEC: An {dir} (?P<tunnel>.{1,32}?) SA \(.{0,64}?\) between {sip} and {dip} \((?:user ?= *?)?(?P<user>[^)]{0,256})\)",
)
_message(
    "702305 702307",
    Meaning("sa-rekeyed", "success", _NET, ("connection", "info")),
    r"IPSEC: An {dir} (?P<tunnel>.{1,32}?) SA \(.{0,64}?\) between {sip} and {dip} \((?:user ?= *?)?(?P<user>[^)]{0,256})\)",
)
_message("603104 603106 603108", _UP, r".{0,200}?remote_(?:peer_ip|pc_ip|peer) is {sip}, .{0,200}?username is {user},")
_message(
    "607001 608001 616001 620001",
    Meaning("firewall-rule", "success", _NET, ("info",)),
    r"Pre-allocate (?:SIP|Skinny|MGCP|CTIQBE) (?P<app>.{0,64}?)(?: secondary channel)? for {dst} to {src} from",
)
_message("609001", _BUILT, r"Built local-host (?:(?P<si>[^\s:]{1,64}):)?(?P<sa>\S{1,255})")
_message("609002", _TORN, r"Teardown local-host (?:(?P<si>[^\s:]{1,64}):)?(?P<sa>\S{1,255}) duration {dur}")
_message("710001 710002", ALLOWED, r"{proto} access (?:requested|permitted) from {src} to {dst}")
_message(
    "710003 710004 710005 710006",
    DENIED,
    r"{proto} (?:access|request|connection limit) (?P<reason>denied by ACL|discarded|exceeded) from {src} to {dst}",
)
_message("710007", PASSED, r"NAT-T keepalive received from {src} to {dst}")
_message("733102", _SHUN, r".{0,32}?Threat-detection adds host {sip} to")
_message("733103", _SHUN, r".{0,32}?Threat-detection removes host {sip} from")
_message("733100", _ATTACK, r"\[ ?(?P<threat>[^\]]{1,128})\] (?P<reason>drop \S{1,16} exceeded)")
_message(
    "733101",
    _ATTACK,
    r"(?:Object|Host|Subnet) (?P<sa>\S{7,64}?) \(?(?P<reason>is attacking)\)?\.",
    r"(?:Object|Host|Subnet) (?P<da>\S{7,64}?) \(?(?P<reason>is (?:targeted|being scanned).{0,16}?)\)?\.",
)
_message("733104 733105", _ATTACK, "(?P<reason>.{1,64})$")
_message("401002 401003", _SHUN, r"Shun \w{1,16}: {sip}(?: {dip} \d{1,5} \d{1,5})?$")
_message("401004", DENIED, r"Shunned packet: {sip} ?(?:=+>?) ?{dip} on interface {in}")
_message(
    "805001",
    Meaning("flow-offload-started", "success", _NET, ("connection", "start")),
    r"Offloaded {proto} Flow for connection \d{1,20} from {src} to {dst}",
)
_message(
    "805002",
    Meaning("flow-offload-ended", "success", _NET, ("connection", "end")),
    r"{proto} Flow is no longer offloaded for connection \d{1,20} from {src} to {dst}",
)
_message("201010 201011 201012 201013 210011", _LIMIT, r"{any} for {dir} packet from {src} to {dst} on interface {in}")
# VPN
_message("713119", Meaning("ike-phase1-completed", "success", _NET, ("connection", "start")), "{ike}{reason}$")
_message("713120", PASSED, r"{ike}{reason}(?: \(msgid=\w{1,16}\))?$")
_message("713049", Meaning("firewall-rule", "success", _NET, ("connection", "start")), "{ike}{reason}$")
_message("713050 713259", Meaning("ike-session-ended", None, _NET, ("connection", "end")), "{ike}{reason}$")
_message("713228", _ASSIGNED, "{ike}{reason}$")
_message("713167 713198 713060 713061 713194 713902 713901 713123 713048 713008 713009 713025", _VPN, "{ike}{reason}$")
_message("716001", _UP, "{vpn} {reason}$")
_message("716002 716006 716058", _DOWN, r"{vpn} WebVPN session terminated:? {reason}\.?$", r"{vpn} {reason}$")
_message("716003", _URL, '{vpn} WebVPN access "?GRANTED: "?(?P<url>[^"\\s]{1,8192})"?', "{vpn} {reason}$")
_message(
    "716004",
    _NOURL,
    '{vpn} WebVPN access "?DENIED to specified location: "?(?P<url>[^"\\s]{1,8192})"?',
    "{vpn} {reason}$",
)
_message("716007 716023 716040", _VPN, "{vpn} {reason}$")
_message("716038", _IN, "{vpn} ", r"Authentication: \w+, group = {group} user = {user} ?, ")
_message("716039", _REFUSED, "{vpn} ", r"Authentication: \w+, group = {group} user = {user} ?, ")
_message("716059", Meaning("client-vpn-resumed", "success", _SESSION, ("connection", "start")),
         r"Group <?(?P<group>[^<>\n]{0,128}?)>? User(?: <?(?P<user>[^<>\n]{0,256}?)>?)? IP <?\S{1,64}?>? AnyConnect session .{0,32}? from (?:IP )?<?(?P<sa>[0-9A-Fa-f.:]{2,45}?)>?\.?$", "{vpn}")  # fmt: skip
_message("721016", _UP, r".{0,64}? client user {user}, IP {sip} has")
_message("721018", _DOWN, r".{0,64}? client user {user}, IP {sip} has")
_message("722022 722033 722032", _UP, "{vpn} {reason}$")
_message("722023 722028 722037 722012", _DOWN, "{vpn} {reason}$")
_message("722051", _ASSIGNED, r"{vpn} (?:IPv4 )?Address <?(?P<assigned>[0-9A-Fa-f.:]{2,45})>? ", "{vpn} {reason}$")
_message("722055", PASSED, "{vpn} Client Type: {agent}$")
_message("725001", _TLS, r"Starting SSL handshake with .{0,32}? {src}(?: to {dst})? for (?P<tls>\S{1,16})")
_message(
    "725002",
    _TLSDONE,
    r"Device completed SSL handshake with .{0,32}? {src}(?: to {dst})?(?: for (?P<tls>[^\s,]{1,16}))?",
)
_message("725003 725008 725009 725016", _TLSDONE, r".{0,160}?(?:server|client|peer) {src}(?: to {dst})?(?: |$)")
_message("725006", _NOTLS, r"(?P<reason>Device failed SSL handshake) with .{0,32}? {src}(?: to {dst})?(?: |$)")
_message("725007", _TLSEND, r"SSL session with .{0,32}? {src}(?: to {dst})? terminated")
_message(
    "725012",
    _TLSDONE,
    r"Device chooses cipher ?:? (?P<cipher>\S{1,64}) for the SSL session with .{0,32}? {src}(?: to {dst})?$",
)
_message(
    "737026 737027 737028", _ASSIGNED, r"IPAA: (?:Session=\S{1,32}, )?Client assigned (?P<assigned>[0-9A-Fa-f.:]{2,45})"
)
_message("737003 737034 737007 737008 737009 737010 737033", _NOADDRESS, r"IPAA: (?:Session=\S{1,32}, )?{reason}$")
_message("737016 737015", _FREED, r"IPAA: (?:Session=\S{1,32}, )?.{0,96}?address (?P<assigned>[0-9A-Fa-f.:]{2,45})")
_message(
    "750001 750002 750006", Meaning("connection-started", "success", _NET, ("connection", "start")), "{ike2}{reason}$"
)
_message(
    "750003 751002 751003 751004 751005 751011 751012 751013 751014 751015 751016 751022 751024",
    Meaning("ikev2-failed", "failure", _NET, ("connection", "error")),
    "{ike2}{reason}$",
)
_message("750007 751023 751025 751026", Meaning("ikev2-session", None, _NET, ("connection", "info")), "{ike2}{reason}$")
