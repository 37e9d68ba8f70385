"""BIND's named: queries, responses, failures, denials, response policies, transfers, limits of rates.

22-Nov-2026 13:34:00.123 queries: info: client @0x7f1c 10.0.0.5#5353 (www.example.org): query: www.example.org IN A
    +E(0)K (192.0.2.53)
<30>Nov 22 13:34:00 ns1 named[811]: client 10.0.0.5#5353 (malo.example): rpz QNAME NXDOMAIN rewrite malo.example ...
"""

from __future__ import annotations

import re
from functools import lru_cache

from almena.clock import format_time
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import MONTHS, address, fraction, instant, local, zone_of
from collectors.parsers.format import Format
from collectors.parsers.network import put_end

_LONGEST = 8_192
_TIME = re.compile(r"(\d\d)-([A-Z][a-z]{2})-(\d{4}) (\d\d:\d\d:\d\d)(?:\.(\d{1,6}))? ", re.ASCII)
_ISO = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:?\d\d)?) ", re.ASCII)
_LEVELS = r"critical|error|warning|notice|info|debug(?: \d{1,3})?"
_CATEGORY = re.compile(rf"(?:([a-z][a-z-]{{2,24}}): )?(?:({_LEVELS}): )?", re.ASCII)
_CLIENT = re.compile(
    r"client (?:@0x[0-9a-f]{1,16} )?([0-9A-Fa-f.:]{2,45}(?:%\w{1,16})?)#(\d{1,5})(?:/key \S{1,255})?"
    r"(?: \((.{1,1024}?)\))?(?:: | (?=(?:UDP|TCP): ))(?:view \S{1,64}: )?(?:signer \"[^\"]{1,255}\": )?",
    re.ASCII,
)
_NAME = r"(\S{1,1024})"
_QUERY = re.compile(
    rf"query: {_NAME} (\S{{1,16}}) (\S{{1,16}}) ([+-]\S{{0,32}})(?: \(([0-9A-Fa-f.:%]{{2,45}})\))?", re.ASCII
)
_RESPONSE = re.compile(
    rf"response: {_NAME} (\S{{1,16}}) (\S{{1,16}}) ([A-Z]{{4,16}}\d{{0,5}})(?: ([+-]\S{{0,32}}))?", re.ASCII
)
_ANSWERED = re.compile(  # as Infoblox writes it
    rf"(UDP|TCP): query: {_NAME} (\S{{1,16}}) (\S{{1,16}}) response: ([A-Z]{{4,16}}\d{{0,5}})(?: ([+-][A-Z]{{0,8}}))?"
    r"(?: (.{1,8192}))?",
    re.ASCII,
)
_ADDRESSES = re.compile(r" (?:A|AAAA) ([0-9A-Fa-f.:]{2,45});", re.ASCII)
_FAILED = re.compile(rf"query failed \((.{{1,64}}?)\) for {_NAME}/(\S{{1,16}})/(\S{{1,16}}) at ", re.ASCII)
_WHAT = re.compile(
    r"(query(?: \(cache\))?|zone transfer|update(?: forwarding)?|notify)"
    r" '([^']{1,1024}?)(?:/([A-Z0-9]{1,10}))?/([A-Z]{2,6})' (denied|approved)(?: \((.{1,128}?)\))?",
    re.ASCII,
)
_POLICY = re.compile(
    rf"(disabled )?rpz (\S{{1,16}}) (\S{{1,16}}) rewrite {_NAME}/(\S{{1,16}})/(\S{{1,16}}) via (\S{{1,1024}})", re.ASCII
)
_TRANSFER = re.compile(r"transfer of '([^'/]{1,1024})/(\w{1,16})': (\w{4,16}) (started|ended)", re.ASCII)
_REWRITTEN = re.compile(r"rewriting query name '([^']{1,1024})' to '[^']{1,1024}', type (\S{1,16})", re.ASCII)
_OTHERS = re.compile(  # with other servers
    r"(?:zone ([^\s/]{1,1024})/(\w{1,16})(?:/\S{1,64})?: (notify) from"
    r"|transfer of '([^'/]{1,1024})/(\w{1,16})(?:/[^']{1,64})?' from) ([0-9A-Fa-f.:]{2,45})#(\d{1,5}): (.{1,512})",
    re.ASCII,
)
_NOTIFIED = re.compile(r"received notify for zone '([^']{1,1024})'", re.ASCII)
_LIMIT = re.compile(
    r"(would )?rate limit (drop|slip|stop) (.{1,64}?) response to (\S{1,64}?)"
    r"(?: for (\S{1,1024}) (\S{1,16}) (\S{1,16}))?(?: |$)",
    re.ASCII,
)
_UPSTREAM = re.compile(
    r"(?:unexpected RCODE \((\w{1,16})\)|([A-Za-z][A-Za-z -]{2,40}?))"
    r" resolving '(\S{1,1024}?)/([A-Z0-9]{1,10})(?:/([A-Z]{2,6}))?'"
    r".{0,256}?: ([0-9A-Fa-f.:]{2,45})#(\d{1,5})",
    re.ASCII,
)
_RCODES = frozenset(
    ("servfail", "nxdomain", "refused", "formerr", "notimp", "noerror", "yxdomain", "notauth", "badvers")
)


def read(message: str, event: Event, context: Context) -> bool:
    """Read a line of named's logs into the event; False when it tells of no client and has no time and category."""
    text = message[:_LONGEST].removeprefix("infoblox-responses: ")
    at = _time(text, event, context)
    category = _CATEGORY.match(text, at)
    assert category is not None  # both parts of it may be missing
    signed = event.get("process.name") == "named"
    if category[1] is None and category[2] is None and not signed and not text.startswith("client ", at):
        return False
    if at and category[1] is None and category[2] is None and not text.startswith("client ", at):
        return False
    at = category.end()
    client = _CLIENT.match(text, at)
    if client is None and not signed and category[1] not in _CATEGORIES:
        return False
    if category[1] is not None:
        event["event.provider"] = category[1]
    if category[2] is not None:
        event["log.level"] = category[2].partition(" ")[0]
    event["event.category"], event["event.type"] = ["network"], ["protocol"]
    event["network.protocol"] = "dns"
    event["message"] = message
    if client is not None:
        put_end(event, "source", client[1].partition("%")[0], client[2])
        at = client.end()
        _of_client(text[at:], event)
        if "dns.question.name" not in event and client[3] is not None:
            put_question(event, client[3])
        return True
    return _of_server(text[at:], event) or True


def put_question(event: Event, name: str, kind: str | None = None, of: str | None = None) -> None:
    """Set what was asked for: the name without its last dot, the type and the class."""
    event["dns.question.name"] = name.rstrip(".") or "."
    if kind is not None:
        event["dns.question.type"] = kind
    if of is not None:
        event["dns.question.class"] = of


def _time(text: str, event: Event, context: Context) -> int:
    """Read the time of the line's own and return where it ends; 0 when there is none."""
    found = _TIME.match(text)
    if found is not None and found[2] in MONTHS:
        day, month, year, clock, digits = found.groups()
        event["@timestamp"] = format_time(_moment(year, month, day, clock, context.zone) + fraction(digits))
        return found.end()
    found = _ISO.match(text)
    if found is not None:
        event["@timestamp"] = format_time(instant(found[1], context.zone))
        return found.end()
    return 0


@lru_cache(maxsize=4_096)
def _moment(year: str, month: str, day: str, clock: str, zone: str) -> int:
    return local(int(year), MONTHS[month], int(day), clock, zone_of(zone))


def _say(event: Event, action: str, outcome: str | None, types: list[str]) -> None:
    event["event.action"], event["event.type"] = action, types
    if outcome is not None:
        event["event.outcome"] = outcome


def _transport(event: Event, flags: str | None) -> None:
    if flags is not None:
        event["network.transport"] = "tcp" if "T" in flags.partition("(")[0] + flags.partition(")")[2] else "udp"
        event["dns.header_flags"] = ["RD"] if flags[0] == "+" else []
        if not event["dns.header_flags"]:
            del event["dns.header_flags"]


def _of_client(text: str, event: Event) -> None:
    """What is said of a client's query or of what it wanted."""
    query = _QUERY.match(text)
    if query is not None:
        put_question(event, query[1], query[3], query[2])
        event["dns.type"] = "query"
        _transport(event, query[4])
        if query[5] is not None:
            put_end(event, "destination", query[5])
        return _say(event, "query", None, ["protocol", "connection"])
    if text.startswith(("UDP: ", "TCP: ")):
        return _answered(text, event)
    response = _RESPONSE.match(text)
    if response is not None:
        put_question(event, response[1], response[3], response[2])
        event["dns.type"], event["dns.response_code"] = "answer", response[4]
        _transport(event, response[5])
        return _say(event, "response", "success" if response[4] == "NOERROR" else "failure", ["protocol", "connection"])
    if not _refused(text, event):
        _policy(text, event)
    return None


def _answered(text: str, event: Event) -> None:
    found = _ANSWERED.match(text)
    if found is None:
        return
    transport, name, of, kind, code, flags, answers = found.groups()
    put_question(event, name, kind, of)
    event["dns.type"], event["dns.response_code"] = "answer", code
    event["network.transport"] = transport.lower()
    if flags is not None and flags[0] == "+":
        event["dns.header_flags"] = ["RD"]
    resolved = [each for each in _ADDRESSES.findall(answers)[:32] if address(each)] if answers else []
    if resolved:
        event["dns.resolved_ip"] = resolved
    _say(event, "response", "success" if code == "NOERROR" else "failure", ["protocol", "connection"])


def _refused(text: str, event: Event) -> bool:
    failed = _FAILED.match(text)
    if failed is not None:
        put_question(event, failed[2], failed[4], failed[3])
        event["event.reason"] = failed[1]
        if failed[1].lower() in _RCODES:
            event["dns.response_code"] = failed[1].upper()
        _say(event, "query-failed", "failure", ["protocol", "error"])
        return True
    what = _WHAT.match(text)
    if what is not None:
        action = what[1].replace(" (cache)", "").replace(" ", "-")
        denied = what[5] == "denied"
        kind, of = what[3], what[4]
        put_question(event, what[2], kind, of)
        if what[6]:
            event["event.reason"] = what[6]
        if action == "query" and denied:
            event["dns.response_code"] = "REFUSED"
        types = ["protocol", "denied" if denied else "allowed"]
        _say(event, f"{action}-{what[5]}", "failure" if denied else "success", types)
        return True
    return False


def _policy(text: str, event: Event) -> None:
    policy = _POLICY.match(text)
    if policy is not None:
        disabled, trigger, action, name, kind, of, via = policy.groups()
        put_question(event, name, kind, of)
        event["rule.name"], event["rule.category"] = via, trigger
        event["event.kind"] = "alert"
        event["event.category"] = ["network", "intrusion_detection"]
        event["event.reason"] = action
        if action == "NXDOMAIN":
            event["dns.response_code"] = "NXDOMAIN"
        passed = disabled is not None or action in ("PASSTHRU", "DISABLED")
        return _say(event, "rpz-rewrite", "success", ["protocol", "allowed" if passed else "denied"])
    transfer = _TRANSFER.match(text)
    if transfer is not None:
        put_question(event, transfer[1], transfer[3].split("-")[0], transfer[2])
        return _say(event, f"zone-transfer-{transfer[4]}", "success", ["protocol", "connection"])
    rewritten = _REWRITTEN.match(text)
    if rewritten is not None:
        put_question(event, rewritten[1], rewritten[2])
        return _say(event, "query-rewrite", "success", ["protocol", "connection"])
    notified = _NOTIFIED.match(text)
    if notified is not None:
        put_question(event, notified[1], "SOA")
        return _say(event, "notify", None, ["protocol", "connection"])
    limit = _LIMIT.match(text)
    if limit is not None:
        if limit[5] is not None:
            put_question(event, limit[5], limit[7], limit[6])
        return _say(event, f"rate-limit-{limit[2]}", None, ["protocol", "allowed" if limit[1] else "denied"])
    return None


def _of_server(text: str, event: Event) -> bool:
    """What the server says of other servers."""
    others = _OTHERS.match(text)
    if others is not None:
        zone, of, notify, moved, kind, where, port, reason = others.groups()
        put_question(event, zone or moved, None, of or kind)
        put_end(event, "source", where, port)
        event["event.reason"] = reason
        failed = "fail" in reason.lower() or "refused" in reason
        _say(event, notify or "zone-transfer", "failure" if failed else "success", ["protocol", "connection"])
        return True
    upstream = _UPSTREAM.match(text)
    if upstream is None:
        return False
    code, reason, name, kind, of, where, port = upstream.groups()
    put_question(event, name, kind, of)
    put_end(event, "destination", where, port)
    event["event.reason"] = reason or f"unexpected RCODE {code}"
    if code is not None:
        event["dns.response_code"] = code
    _say(event, "resolution-failed", "failure", ["protocol", "error"])
    return True


_CATEGORIES = frozenset(
    (
        "client", "cname", "config", "database", "default", "delegation-only", "dispatch", "dnssec", "dnstap",
        "edns-disabled", "general", "lame-servers", "network", "notify", "nsid", "queries", "query-errors",
        "rate-limit", "resolver", "responses", "rpz", "rpz-passthru", "security", "serve-stale", "spill", "sslkeylog",
        "trust-anchor-telemetry", "unmatched", "update", "update-policy", "update-security", "xfer-in", "xfer-out",
        "zoneload",
    )
)  # fmt: skip

FORMAT = Format(
    name="bind",
    dataset="bind.log",
    read=read,
    words=False,
    programs=("named",),
    begins=("client @0x", "queries: info: client ", "queries: client ", "query-errors: ", "lame-servers: "),
)
