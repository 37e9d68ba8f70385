"""Postfix's lines: who connected, which mail was taken, where it went, and what was refused.

postfix/smtp[811]: 4F1B2: to=<ana@finanzas.example>, relay=mx.example[203.0.113.25]:25, status=sent (250 ok)
"""

from __future__ import annotations

import re

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
_REJECT = re.compile(
    r"(reject|reject_warning|milter-reject|hold|discard|filter|redirect): ([A-Z-]{2,16}) from (\S{1,256}?)\[([0-9A"
    r"-Fa-f:.]{2,64}|unknown)\]"
    r"(?::(\d{1,5}))?: (\d{3}[^;]{0,1024});? ?",
    re.ASCII,
)
_TLS = re.compile(r"(?:Anonymous|Trusted|Untrusted|Verified) TLS connection established (from|to) (\S{1,256}?)\[(["
    r"0-9A-Fa-f:.]{2,64})\](?::(\d{1,5}))?:"
                  r" (TLSv?[\d.]{1,8}|SSLv[23]) with cipher (\S{1,128})", re.ASCII)  # fmt: skip
_SCREEN = re.compile(
    r"(CONNECT|PASS NEW|PASS OLD|HANGUP|PREGREET|DNSBL|WHITELISTED|ALLOWLISTED|BARE NEWLINE|COMMAND [A-Z ]{1,32}|N"
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
    for pattern, reader in ((_REJECT, _reject), (_SCREEN, _screen), (_TLS, _tls)):
        found = pattern.match(message, at)
        if found is not None:
            reader(found, message, event)
            return True
    sasl = _SASL.match(message)
    if sasl is not None:
        _peer(event, sasl[1], sasl[2], None)
        event |= {"event.category": ["authentication", "email"], "event.type": ["start"], "event.action": "sasl-login"}
        event |= {"event.outcome": "failure", "event.reason": sasl[4], "almena.postfix.mechanism": sasl[3]}
        user = re.search(r"sasl_username=([^,\s]{1,256})", sasl[4])
        if user is not None:
            put_user(event, user[1])
        return True
    peer = _PEER.match(message)
    if peer is not None:
        client = _CLIENT.match(message, peer.end())
        if client is not None:
            _peer(event, client[1], client[2], client[3])
        event |= {
            "event.category": ["network", "email"],
            "event.action": peer[1].partition(" after ")[0].replace(" ", "-").lower(),
        }
        event["event.type"] = ["connection", "start"] if peer[1] == "connect" else ["connection", "end"]
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


def _peer(event: Event, name: str | None, ip: str | None, port: str | None) -> None:
    put_end(event, "source", ip if ip != "unknown" else None, port)
    if name not in (None, "", "unknown"):
        event["source.domain"] = name


def _reject(found: re.Match[str], message: str, event: Event) -> None:
    _peer(event, found[3], found[4], found[5])
    denied = found[1] in ("reject", "milter-reject", "discard")
    event |= {
        "event.action": found[1],
        "event.reason": found[6].strip(),
        "event.outcome": "failure" if denied else "success",
    }
    event["event.type"] = ["denied"] if denied else ["info"]
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
            event["event.reason"] = status[2].rstrip(")")
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


FORMAT = Format(
    name="postfix",
    dataset="postfix.log",
    read=read,
    programs=tuple(f"{prefix}{name}" for prefix in _INSTANCES for name in (*_DAEMONS, *_SERVICES)),
)
