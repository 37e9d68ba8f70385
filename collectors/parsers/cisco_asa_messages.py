"""The messages of Cisco's ASA and FTD about traffic, by number: denials, flows, translations, attacks."""
# ruff: noqa: E501 - a message is a line

from __future__ import annotations

from collectors.parsers.cisco_asa_pieces import (
    ALLOWED,
    ATTACK,
    BUILT,
    DENIED,
    ENDED,
    FILTER,
    FILTERED,
    LIMIT,
    LINKDOWN,
    LINKUP,
    NAT,
    NETWORK,
    NONAT,
    NOURL,
    PASSED,
    SA,
    SAGONE,
    SHUN,
    SPOOF,
    TORN,
    UNNAT,
    UP,
    URL,
    Meaning,
    messages,
)

_DYNAMIC = (
    r"Dynamic [Ff]ilter \w+ (?:black |white |grey )?\w+ {proto} traffic from {src} to {dst},? ?"
    r"(?:(?P<which>source|destination) \S{1,255}(?: resolved)? from (?P<list>\S{1,64}) list:? ?(?P<domain>[^\s,]{1,255})"
    r"(?:/[\d.]{1,15})?(?:, threat-level: (?P<level>[\w-]{1,32}), category: (?P<threat>.{1,64}))?)?"
)
_HIT = r"access-list {acl} (?P<verdict>permitted|denied|est-allowed)"
_TORN_TEXT = (
    r"Teardown {proto} (?:state-bypass )?connection (?P<conn>\d{1,20}) (?:for|from) {src}(?: (?P<suser>[^\s():]{1,128}))? to {dst}"
    r"(?: (?P<duser>[^\s():]{1,128}))?(?: duration {dur} bytes {bytes}(?: {reason}(?: from [^\s:]{1,64})?)?)?(?: ?\((?P<user>[^()]{1,256})\))?$"
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


TRAFFIC = messages(
    # Deny and permit
    ("106001", DENIED, "{dir} {proto} connection denied from {src} to {dst} flags .{0,64}? on interface {in}"),
    ("106002", DENIED, "{proto} [Cc]onnection denied by {dir} list {acl} src {src} dest {dst}"),
    ("106006 106007", DENIED, "Deny {dir} {proto} from {src} to {dst}(?: on interface {in}| due to {reason}$)"),
    ("106010 106011 106014", DENIED, r"Deny {dir} (?:\(No xlate\) )?{proto} src {src} ?dst {dst}"),
    ("106012", DENIED, "Deny {proto} from {sip} to {dip}, {reason}$"),
    ("106013", DENIED, "Dropping echo request from {sip} to PAT address {dst}"),
    ("106015", DENIED, r"Deny {proto} \((?P<reason>[^)]{1,64})\) from {src} to {dst} flags .{0,64}? on interface {in}"),
    ("106016", SPOOF, r"Deny {proto} spoof from \(?(?P<sa>[^\s()]{1,64})\)? to {dip} on interface {in}"),
    ("106017", SPOOF, "Deny {proto} due to (?P<reason>Land Attack) from {sip} to {dst}"),
    ("106018", DENIED, r"{proto} packet type \S{1,32} denied by {dir} list {acl} src {src} dest {dst}"),
    ("106020", SPOOF, r"Deny {proto} (?P<reason>teardrop fragment) \(.{0,64}?\) from {sip} to {dst}"),
    (
        "106021 106022",
        DENIED,
        "Deny {proto} (?P<reason>reverse path check|connection spoof) from {sip} to {dip} on interface {in}",
    ),
    (
        "106023",
        DENIED,
        "Deny {proto} src {src} dst {dst}{any} by access-group {acl}",
        "Deny {proto} src {src} dst {dst}",
    ),
    (
        "106025 106026",
        DENIED,
        r"(?P<reason>Failed to .{0,64}?context for the packet): ?vlan ?source:? ?\S{1,64} {proto} {src} {dst}",
    ),
    (
        "106027",
        DENIED,
        r"(?:\S{1,64} ?)?:? ?[Dd]eny src {smac} dst (?P<dmac>[0-9A-Fa-f.:-]{12,23}) by access-group {acl}",
    ),
    ("106100", ALLOWED, _HIT + r" {proto} {ssrc} ?-> {sdst}", _HIT + r" {proto} {src} ?-> {dst}"),
    ("106102 106103", ALLOWED, _HIT + r" {proto} for user {user} {ssrc}(?: ?->)? {sdst}(?: |$)"),
    (
        "110002 110003",
        Meaning("firewall-rule", "failure", NETWORK, ("connection", "info")),
        "(?P<reason>.{0,64}?) for {proto} from {src} to {dst}",
    ),
    ("302033 302034", BUILT, r"(?P<reason>.{0,64}?)(?: for)? faddr {dst} to laddr {src}"),
    # Flows
    ("302003 302004", BUILT, r".{0,48}? foreign[_ ]address {dst} local[_ ]address {src}"),
    ("302012", BUILT, r"Pre-allocate .{0,48}? for faddr {dst} to laddr {src}"),
    ("302013 302015 302017 302035 302303 302305", BUILT, _BUILT_TEXT),
    ("302014 302016 302018 302036 302304 302306", TORN, _TORN_TEXT),
    ("302020", BUILT, _ICMP),
    ("302021", TORN, _ICMP),
    ("302022 302024 302026", BUILT, r"Built .{0,32}?stub {proto} connection for {src}.{0,64}? to {dst}"),
    (
        "302023 302025 302027",
        TORN,
        r"Teardown .{0,32}?stub {proto} connection for {src} to {dst} duration {dur} forwarded bytes {bytes} {reason}$",
    ),
    (
        "303002",
        Meaning("ftp", "success", ("network", "file"), ("access",)),
        r"{svc} connection from {src} to {dst}, user {word} (?P<cmd>\w{1,32}) file {file}$",
    ),
    ("303005", DENIED, r"(?P<reason>Strict FTP inspection .{0,256}?) from {src} to {dst}"),
    (
        "304001",
        URL,
        r"(?:(?P<user>[^\s@]{1,256})[@ ])?{sip}(?: ?\((?P<su>[^()]{1,256})\))? Accessed (?:JAVA )?URL (?:[^\s@]{1,128}@)?(?P<da>[0-9A-Fa-f.]{7,15}|[0-9A-Fa-f:]{3,39}|[\w.-]{1,255}?): ?{url}",
    ),
    (
        "304002",
        NOURL,
        r"Access denied URL {url} SRC {sip}(?: ?\((?P<su>[^()]{1,256})\))? DEST {dip}(?::? ?on interface {in}|: ?\S{0,2048})?$",
    ),
    ("305005", NONAT, "(?P<reason>No translation group found) for {proto} src {src} dst {dst}"),
    ("305006", NONAT, r"(?P<reason>.{0,64}?translation creation failed) for {proto} src {src} dst {dst}"),
    ("305009", NAT, r"Built \w{1,16} translation from {src} to {dst}"),
    ("305010", UNNAT, r"Teardown \w{1,16} translation from {src} to {dst} duration {dur}"),
    ("305011", NAT, r"Built \w{1,16} {proto} translation from {src} to {dst}"),
    ("305012", UNNAT, r"Teardown \w{1,16} {proto} translation from {src} to {dst} duration {dur}"),
    (
        "305013",
        NONAT,
        r".{0,96}?; Connection(?: for)? {proto} src {src} dst {dst} (?P<reason>denied due to .{0,64}?)\.?$",
    ),
    ("313001 313008", DENIED, r"Denied {proto} type=\w{1,16}, code=\w{1,16} from {sip} on interface {in}"),
    (
        "313004",
        DENIED,
        r"Denied {proto} type=\w{1,16},? (?:code=\w{1,16} )?from (?:\w{1,8}addr )?{sip} on interface {in} to {dip}: ?(?P<reason>no matching session)",
    ),
    (
        "313005",
        DENIED,
        r"No matching connection for ICMP error message: {proto} src [^\s()]{1,128}(?: ?\((?P<suser>[^()]{1,256})\))? .{0,700}?on {in} interface\. {0,2}Original IP payload: (?:protocol )?\S{1,32} src {src} dst {dst}",
        r"No matching connection for ICMP error message: {proto} src {src} dst {dst}",
    ),
    ("313009", DENIED, r"Denied invalid {proto} code \w{1,16}, for {src} to {dst}"),
    ("322001", SPOOF, "Deny MAC address {smac}, (?P<reason>possible spoof attempt) on interface {in}"),
    (
        "322002 322003",
        SPOOF,
        r"(?P<reason>ARP inspection check failed) for arp \w{1,16} received from host {smac} on interface {in}\. .{0,96}? IP Address (?P<sa>[^\s,]{7,45})",
    ),
    ("338001 338002 338003 338004 338101 338102 338103 338104 338201 338202", FILTER, _DYNAMIC),
    ("338005 338006 338007 338008 338203 338204", FILTERED, _DYNAMIC),
    (
        "338301",
        PASSED,
        r"Intercepted DNS reply for (?:domain|name) (?P<question>\S{1,255}) from {src} to {dst}, matched (?P<list>\S{1,64})",
    ),
    (
        "402114 402115 402116 402118 402119 402120",
        DENIED,
        r"IPSEC: Received an {proto} packet \(.{0,96}?\) from {sip} \((?:user ?= *?)?(?P<user>[^)]{0,256})\) to {dip}(?:[. ](?P<reason>.{0,256}))?$",
        r"IPSEC: Received an {proto} packet \(.{0,96}?\) from {sip} to {dip} (?P<reason>.{0,256})$",
    ),
    (
        "402117",
        DENIED,
        r"IPSEC: (?P<reason>Received a non-IPsec) (?:packet )?\(?(?:protocol ?= *?)?(?P<proto>[\w.-]{1,32})\)? (?:packet )?from {sip} to {dip}\.?$",
    ),
    ("405001 405002", SPOOF, r"(?P<reason>.{0,64}? collision) from (?P<sa>[^\s/]{1,64})/{smac}(?: on interface {in})?"),
    (
        "405003",
        SPOOF,
        r"(?P<reason>IP address collision) detected between host (?P<sa>\S{1,64}) at {smac} and interface {in}",
    ),
    ("406001", DENIED, r"(?P<reason>FTP port command low port): {src} to {dip} on interface {in}"),
    ("406002", DENIED, r"(?P<reason>FTP port command different address): {sip}\(\S{1,64}\) to {dip} on interface {in}"),
    ("411001 411003", LINKUP, r"Line protocol on [Ii]nterface {in}", r"Interface {in} "),
    ("411002 411004", LINKDOWN, r"Line protocol on [Ii]nterface {in}", r"Interface {in} "),
    ("419001", DENIED, r"Dropping {proto} packet from {src} to {dst}, reason: {reason}$"),
    ("419002", PASSED, r"Duplicate (?P<proto>TCP) SYN from {src} to {dst} (?P<reason>.{0,96})$"),
    ("425005", Meaning("interface-switchover", None, NETWORK, ("info",)), "Interface {in} become active"),
    ("434002", DENIED, "SFR requested to drop {proto} packet from {src} to {dst}"),
    (
        "434004",
        Meaning("bypass", None, NETWORK, ("info",)),
        r"SFR requested .{0,96}? process {proto} flow from {src} to {dst}",
    ),
    (
        "500003",
        DENIED,
        r"(?P<reason>Bad (?P<proto>TCP) hdr length) .{0,64}? from {src} to {dst}, flags: .{0,64}?, on interface {in}",
    ),
    (
        "500004",
        DENIED,
        r"(?P<reason>Invalid transport field) for protocol ?= *?(?P<proto>\w{1,16}), from {src} to {dst}",
    ),
    ("507001", ENDED, r"Terminating (?P<proto>TCP)-Proxy connection from {src} to {dst} - {reason}$"),
    (
        "507002 507003",
        ENDED,
        r"{proto} flow from {src} to {dst} terminated by inspection engine, reason ?-? ?{reason}$",
    ),
    (
        "602303",
        SA,
        r"IPSEC: An {dir} (?P<tunnel>.{1,32}?) SA \(.{0,64}?\) between {sip} and {dip} \((?:user ?= *?)?(?P<user>[^)]{0,256})\)",
    ),
    (
        "602304",
        SAGONE,
        r"IPSEC: An {dir} (?P<tunnel>.{1,32}?) SA \(.{0,64}?\) between {sip} and {dip} \((?:user ?= *?)?(?P<user>[^)]{0,256})\)",
    ),
    (
        "702305 702307",
        Meaning("sa-rekeyed", "success", NETWORK, ("connection", "info")),
        r"IPSEC: An {dir} (?P<tunnel>.{1,32}?) SA \(.{0,64}?\) between {sip} and {dip} \((?:user ?= *?)?(?P<user>[^)]{0,256})\)",
    ),
    ("603104 603106 603108", UP, r".{0,200}?remote_(?:peer_ip|pc_ip|peer) is {sip}, .{0,200}?username is {user},"),
    (
        "607001 608001 616001 620001",
        Meaning("firewall-rule", "success", NETWORK, ("info",)),
        r"Pre-allocate (?:SIP|Skinny|MGCP|CTIQBE) (?P<app>.{0,64}?)(?: secondary channel)? for {dst} to {src} from",
    ),
    ("609001", BUILT, r"Built local-host (?:(?P<si>[^\s:]{1,64}):)?(?P<sa>\S{1,255})"),
    ("609002", TORN, r"Teardown local-host (?:(?P<si>[^\s:]{1,64}):)?(?P<sa>\S{1,255}) duration {dur}"),
    ("710001 710002", ALLOWED, r"{proto} access (?:requested|permitted) from {src} to {dst}"),
    (
        "710003 710004 710005 710006",
        DENIED,
        r"{proto} (?:access|request|connection limit) (?P<reason>denied by ACL|discarded|exceeded) from {src} to {dst}",
    ),
    ("710007", PASSED, r"NAT-T keepalive received from {src} to {dst}"),
    ("733102", SHUN, r".{0,32}?Threat-detection adds host {sip} to"),
    ("733103", SHUN, r".{0,32}?Threat-detection removes host {sip} from"),
    ("733100", ATTACK, r"\[ ?(?P<threat>[^\]]{1,128})\] (?P<reason>drop \S{1,16} exceeded)"),
    (
        "733101",
        ATTACK,
        r"(?:Object|Host|Subnet) (?P<sa>\S{7,64}?) \(?(?P<reason>is attacking)\)?\.",
        r"(?:Object|Host|Subnet) (?P<da>\S{7,64}?) \(?(?P<reason>is (?:targeted|being scanned).{0,16}?)\)?\.",
    ),
    ("733104 733105", ATTACK, "(?P<reason>.{1,64})$"),
    ("401002 401003", SHUN, r"Shun \w{1,16}: {sip}(?: {dip} \d{1,5} \d{1,5})?$"),
    ("401004", DENIED, r"Shunned packet: {sip} ?(?:=+>?) ?{dip} on interface {in}"),
    (
        "805001",
        Meaning("flow-offload-started", "success", NETWORK, ("connection", "start")),
        r"Offloaded {proto} Flow for connection \d{1,20} from {src} to {dst}",
    ),
    (
        "805002",
        Meaning("flow-offload-ended", "success", NETWORK, ("connection", "end")),
        r"{proto} Flow is no longer offloaded for connection \d{1,20} from {src} to {dst}",
    ),
    ("201010 201011 201012 201013 210011", LIMIT, r"{any} for {dir} packet from {src} to {dst} on interface {in}"),
)
