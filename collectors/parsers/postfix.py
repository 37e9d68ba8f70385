"""Postfix's lines: who connected, which mail was taken, where it went, and what was refused.

postfix/smtp[811]: 4F1B2: to=<ana@finanzas.example>, relay=mx.example[203.0.113.25]:25, status=sent (250 ok)
"""

from __future__ import annotations

import re
from collections.abc import Callable

from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import number
from collectors.parsers.format import Format
from collectors.parsers.network import put_end, put_user

_QUEUE = re.compile(r"([0-9A-F]{6,20}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,20}|NOQUEUE): ", re.ASCII)
_PAIR = re.compile(r"\b([a-z_-]{2,32})=(?:<([^>]{0,1024})>|([^,;\s]{0,1024}))", re.ASCII)
_CLIENT = re.compile(r"(\S{1,256}?)\[([0-9A-Fa-f:.]{2,64})\](?::(\d{1,5}))?", re.ASCII)
_PEER = re.compile(
    r"(?:warning: )?(connect|disconnect|lost connection after [A-Z-]{1,32}(?: \([^)]{0,64}\))?|timeout after [A-Z-"
    r"]{1,32}(?: \([^)]{0,64}\))?"
    r"|SSL_accept error|too many errors after [A-Z-]{1,32}(?: \([^)]{0,64}\))?|improper command pipelining after ["
    r"A-Z-]{1,32}) from ",
    re.ASCII,
)
_SASL = re.compile(
    r"(?:warning: )?(\S{1,256}?)\[([0-9A-Fa-f:.]{2,64})\](?::\d{1,5})?: SASL (\S{1,32}) authentication failed:? ?("
    r".{0,512})",
    re.ASCII,
)
_IP = r"([0-9A-Fa-f:.]{2,64}|unknown)"
_REJECT = re.compile(
    r"(reject|reject_warning|defer|accept|hold|discard|filter|redirect|prepend|warn|info|header-redirect"
    rf"|(?:milter|proxy)-[a-z]{{3,16}}): ([A-Z][A-Za-z-]{{2,16}}) from (\S{{0,256}}?)\[{_IP}\](?::(\d{{1,5}}))?"
    r": ([^;]{1,1024}(?:; client [^;]{1,512})?);? ?",
    re.ASCII,
)
_CONTENT = re.compile(
    r"(reject|warning|hold|discard|filter|redirect|prepend|info|strip|replace|bcc|(?:milter|proxy)-[a-z-]{3,24}): "
    rf"(?:(?:header|body|mime-header) (.{{0,2048}}) from (\S{{0,256}}?)\[{_IP}\](?::(\d{{1,5}}))?; "
    r"|[A-Z-]{3,16}: (.{0,1024}?); )"
    r"(?=from=|proto=)",
    re.ASCII | re.DOTALL,
)
_LIMIT = re.compile(
    r"warning: (non-SMTP command|Illegal address syntax|[A-Za-z ]{2,32} (?:rate|concurrency) limit exceeded: \d{1,9})"
    rf" from (\S{{0,256}}?)\[{_IP}\](?::(\d{{1,5}}))?",
    re.ASCII,
)
_NAMED = re.compile(
    r"warning: hostname (\S{1,256}) (?:does not resolve to address|verification failed)[ :]{1,2}"
    r"([0-9A-Fa-f:.]{2,64}?)(?::? |$)",
    re.ASCII,
)
_UNNAMED = re.compile(
    r"warning: (?:([0-9A-Fa-f:.]{2,64}): (?:hostname (\S{1,256}) verification failed"
    r"|address not listed for hostname (\S{1,256}))|(\S{0,256}?)\[([0-9A-Fa-f:.]{2,64})\] sent )",
    re.ASCII,
)
"""The same as earlier versions said it, and what a client sent that is no SMTP."""

_OUTWARD = re.compile(
    r"(?:delivery temporarily suspended: )?(connect to|SSL_connect error to|certificate verification failed for"
    r"|lost connection with|conversation with|host|enabling PIX workarounds: .{0,128}? for) "
    r"(\S{0,256}?)\[([0-9A-Fa-f:.]{2,64})\](?::(\d{1,5}))?:? ?(.{0,1024})",
    re.ASCII | re.DOTALL,
)
_RATE = re.compile(
    r"statistics: max (?:connection|message|recipient|newtls|auth|command) (?:rate|count) \S{1,32} for "
    r"\((?:(?:[\d.]{7,15}:)?\d{1,5}|\[[^\]\s]{1,64}\]:\d{1,5}|[A-Za-z][\w-]{0,63}):([0-9A-Fa-f:.]{2,64})\)",
    re.ASCII,
)
_LISTED = re.compile(r"addr ([0-9A-Fa-f:.]{2,64}) listed by domain (\S{1,256}) as ", re.ASCII)
_POLICY = re.compile(
    r"(?:Policy action=|action=)?([A-Za-z]{2,16})[ ,].{0,512}?\bclient[-_](?:ip|address)=([0-9A-Fa-f:.]{2,64})",
    re.ASCII,
)
_TLS = re.compile(
    r"(?:Anonymous|Trusted|Untrusted|Verified) TLS connection established "
    r"(from|to) (\S{0,256}?)\[([0-9A-Fa-f:.]{2,64})\]"
    r"(?::(\d{1,5}))?: (TLSv?[\d.]{1,8}|SSLv[23]) with cipher (\S{1,128})",
    re.ASCII,
)
_SCREEN = re.compile(
    r"(CONNECT|DISCONNECT|ALLOWLIST VETO|WHITELIST VETO|PASS NEW|PASS OLD|HANGUP|PREGREET|DNSBL"
    r"|WHITELISTED|ALLOWLISTED|BARE NEWLINE|COMMAND [A-Z ]{1,32}|N"
    r"ON-SMTP COMMAND|DENYLISTED"
    r"|BLACKLISTED)(?: \d{1,6})?(?: (?:after|rank|for) [^\s\[]{1,64})?(?: from| for)? ?\[([0-9A-Fa-f:.]{2,64})\]:("
    r"\d{1,5})",
    re.ASCII,
)
_STATUS = re.compile(r"status=([a-z-]{2,32})(?: \((.{0,2048}?)\)?$)?", re.ASCII | re.DOTALL)
_OUTCOMES = {
    "sent": "success",
    "deferred": "failure",
    "bounced": "failure",
    "expired": "failure",
    "undeliverable": "failure",
}
_DAEMONS = (
    *(
        "smtpd",
        "smtp",
        "lmtp",
        "cleanup",
        "qmgr",
        "nqmgr",
        "local",
        "virtual",
        "pipe",
        "bounce",
        "error",
        "discard",
        "pickup",
    ),
    *(
        "postscreen",
        "anvil",
        "tlsproxy",
        "tlsmgr",
        "verify",
        "trivial-rewrite",
        "scache",
        "master",
        "postfix-script",
        "postsuper",
    ),
    *(
        "dnsblog",
        "relay",
        "retry",
        "submission",
        "smtps",
        "submissions",
        "sendmail",
        "postdrop",
        "proxymap",
        "policyd-spf",
        "policy-spf",
        "sasl-passwd",
    ),
)
_INSTANCES = ("postfix/", "postfix-in/", "postfix-out/")
_SERVICES = (
    "submission/smtpd",
    "smtps/smtpd",
    "submissions/smtpd",
    "smtpd/smtpd",
    "relay/smtp",
    "amavis/smtp",
    "10025/smtpd",
)


def read(message: str, event: Event, context: Context) -> bool:
    """Read a message of any of the daemons into the event."""
    event["event.category"], event["event.type"] = ["email"], ["info"]
    queue = _QUEUE.match(message)
    at = queue.end() if queue else 0
    if queue is not None and queue[1] != "NOQUEUE":
        event["email.local_id"] = queue[1]
    for pattern, reader in _READERS:
        found = pattern.match(message, at)
        if found is not None:
            reader(found, message, event)
            return True
    if queue is None and not message.startswith(
        ("statistics:", "warning:", "fatal:", "error:", "daemon started", "refreshing")
    ):
        return False
    if queue is not None:
        _mail(message, at, event)
    elif message.startswith(("fatal:", "error:", "warning:")):
        event["event.type"], event["log.level"] = ["error"], message.partition(":")[0]
    return True


def _sasl(found: re.Match[str], message: str, event: Event) -> None:
    _peer(event, found[1], found[2], None)
    event |= {"event.category": ["authentication", "email"], "event.type": ["start"], "event.action": "sasl-login"}
    event |= {"event.outcome": "failure", "event.reason": found[4], "almena.postfix.mechanism": found[3]}
    user = re.search(r"sasl_username=([^,\s]{1,256})", found[4])
    if user is not None:
        put_user(event, user[1])


def _connects(found: re.Match[str], message: str, event: Event) -> None:
    client = _CLIENT.match(message, found.end())
    if client is not None:
        _peer(event, client[1], client[2], client[3])
    event["event.category"] = ["network", "email"]
    event["event.action"] = found[1].partition(" after ")[0].replace(" ", "-").lower()
    event["event.type"] = ["connection", "start"] if found[1] == "connect" else ["connection", "end"]


def _content(found: re.Match[str], message: str, event: Event) -> None:
    """What a check of headers, of the body or of a filter behind the server decided."""
    if found[4] is not None:
        _peer(event, found[3], found[4], found[5])
    denied = found[1].removeprefix("milter-").removeprefix("proxy-") in ("reject", "discard")
    event |= {"event.action": found[1], "event.outcome": "failure" if denied else "success"}
    event["event.type"] = ["denied"] if denied else ["info"]
    if reason := found[2] or found[6]:
        event["event.reason"] = reason
    _pairs(message, found.end(), event)


def _limit(found: re.Match[str], message: str, event: Event) -> None:
    _peer(event, found[2], found[3], found[4])
    event |= {"event.category": ["network", "email"], "event.type": ["denied"], "log.level": "warning"}
    event["event.action"] = found[1].partition(" exceeded")[0].replace(" ", "-").lower()


def _named(found: re.Match[str], message: str, event: Event) -> None:
    put_end(event, "source", found[2])
    event["source.domain"] = found[1]
    event["event.type"], event["log.level"] = ["error"], "warning"


def _unnamed(found: re.Match[str], message: str, event: Event) -> None:
    _peer(event, found[2] or found[3] or found[4], found[1] or found[5], None)
    event["event.type"], event["log.level"] = ["error"], "warning"
    if found[5] is not None:
        event["event.action"] = "non-smtp-command"


def _outward(found: re.Match[str], message: str, event: Event) -> None:
    """What went wrong with a server that mail is brought to."""
    _towards(found, event)
    event |= {"event.category": ["network", "email"], "event.type": ["error"], "event.outcome": "failure"}
    if found[5]:
        event["event.reason"] = found[5]


def _towards(found: re.Match[str], event: Event) -> None:
    put_end(event, "destination", found[3], found[4])
    if found[2] not in ("", "unknown"):
        event["destination.domain"] = found[2]


def _rate(found: re.Match[str], message: str, event: Event) -> None:
    put_end(event, "source", found[1])


def _listed(found: re.Match[str], message: str, event: Event) -> None:
    put_end(event, "source", found[1])
    event |= {"event.action": "dnsbl", "event.reason": message, "almena.postfix.list": found[2]}


def _policy(found: re.Match[str], message: str, event: Event) -> None:
    """What a policy server such as those for SPF and grey lists decided."""
    put_end(event, "source", found[2])
    event["event.action"] = found[1].lower()
    _pairs(message.replace(";", ","), 0, event)


def _peer(event: Event, name: str | None, ip: str | None, port: str | None) -> None:
    put_end(event, "source", ip if ip != "unknown" else None, port)
    if name not in (None, "", "unknown"):
        event["source.domain"] = name


def _reject(found: re.Match[str], message: str, event: Event) -> None:
    _peer(event, found[3], found[4], found[5])
    denied = found[1].removeprefix("milter-").removeprefix("proxy-") in ("reject", "discard", "defer")
    event |= {
        "event.action": found[1],
        "event.reason": found[6].strip(),
        "event.outcome": "failure" if denied else "success",
    }
    event["event.type"] = ["denied"] if denied else ["info"]
    if found[6][:3].isdigit():
        event["event.code"] = found[6][:3]
    _pairs(message, found.end(), event)


def _screen(found: re.Match[str], message: str, event: Event) -> None:
    put_end(event, "source", found[2], found[3])
    to = re.search(r" to \[([0-9A-Fa-f:.]{2,64})\]:(\d{1,5})", message)
    if to is not None:
        put_end(event, "destination", to[1], to[2])
    event |= {"event.category": ["network", "email"], "event.action": found[1].lower().replace(" ", "-")}
    event["event.type"] = ["connection", "start"] if found[1] == "CONNECT" else ["info"]


def _tls(found: re.Match[str], message: str, event: Event) -> None:
    side = "source" if found[1] == "from" else "destination"
    put_end(event, side, found[3], found[4])
    if found[2] != "unknown":
        event[f"{side}.domain"] = found[2]
    event |= {"event.category": ["network", "email"], "event.type": ["connection"], "event.action": "tls-connection"}
    event |= {"tls.version": found[5].lstrip("TLSv") or "1.0", "tls.cipher": found[6], "tls.established": True}


def _pairs(message: str, at: int, event: Event) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for key, angled, bare in _PAIR.findall(message, at, at + 8_192):
        pairs.setdefault(key, angled or bare)
    for key, name in (("sender", "from"), ("envelope-from", "from"), ("recipient", "to"), ("receiver", "to")):
        if pairs.get(key):
            pairs.setdefault(name, pairs[key])
    if pairs.get("from"):
        event["email.from.address"] = pairs["from"]
    if pairs.get("to"):
        event["email.to.address"] = [pairs["to"]]
    if pairs.get("message-id"):
        event["email.message_id"] = pairs["message-id"]
    if pairs.get("sasl_username"):
        put_user(event, pairs["sasl_username"])
    if pairs.get("helo"):
        event["almena.postfix.helo"] = pairs["helo"]
    return pairs


def _mail(message: str, at: int, event: Event) -> None:
    pairs = _pairs(message, at, event)
    client = _CLIENT.match(pairs.get("client", ""))
    if client is not None:
        _peer(event, client[1], client[2], client[3])
        event["event.action"] = "mail-received"
        if "sasl_username" in pairs:
            event |= {
                "event.category": ["authentication", "email"],
                "event.type": ["start"],
                "event.outcome": "success",
            }
            event["event.action"] = "sasl-login"
    relay = _CLIENT.match(pairs.get("relay", ""))
    if relay is not None:
        put_end(event, "destination", relay[2], relay[3])
        event["destination.domain"] = relay[1]
    if (size := number(pairs.get("size"))) is not None and size >= 0:
        event["almena.postfix.size"] = str(size)
    status = _STATUS.search(message, at)
    if status is not None:
        event["event.action"] = f"mail-{status[1]}"
        event["event.outcome"] = _OUTCOMES.get(status[1], "unknown")
        if status[2]:
            event["event.reason"] = status[2]
            refused = _OUTWARD.match(status[2]) if relay is None else None
            if refused is not None:
                _towards(refused, event)
        if "dsn" in pairs:
            event["event.code"] = pairs["dsn"]
        delay = pairs.get("delay", "")
        if delay.replace(".", "", 1).isdigit() and len(delay) < 12:
            event["event.duration"] = round(float(delay) * 1e9)
    elif message.startswith("removed", at):
        event["event.action"] = "mail-removed"
    elif "nrcpt" in pairs:
        event["event.action"] = "mail-queued"
    elif "message-id" in pairs:
        event["event.action"] = "mail-accepted"


_READERS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], str, Event], None]], ...] = (
    (_REJECT, _reject),
    (_CONTENT, _content),
    (_SCREEN, _screen),
    (_TLS, _tls),
    (_SASL, _sasl),
    (_PEER, _connects),
    (_LIMIT, _limit),
    (_NAMED, _named),
    (_UNNAMED, _unnamed),
    (_OUTWARD, _outward),
    (_RATE, _rate),
    (_LISTED, _listed),
    (_POLICY, _policy),
)


FORMAT = Format(
    name="postfix",
    dataset="postfix.log",
    read=read,
    programs=(
        *(f"{prefix}{name}" for prefix in _INSTANCES for name in (*_DAEMONS, *_SERVICES)),
        *("policyd-spf", "postgrey"),
    ),
)
