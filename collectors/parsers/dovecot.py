"""Dovecot's lines: sign-ins to mailboxes, refusals, and what sessions did.

imap-login: Login: user=<ana@finanzas.example>, method=PLAIN, rip=203.0.113.9, lip=198.51.100.25, mpid=811, TLS
"""

from __future__ import annotations

import re

from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import number
from collectors.parsers.format import Format
from collectors.parsers.network import put_end, put_user

_SERVICE = re.compile(
    r"(?:Info: |Warning: |Error: |Debug: )?(imap-urlauth-login|imap-login|pop3-login|submission-login|managesieve-login"
    r"|lmtp-login|auth-worker|auth|imap|pop3|lmtp|lda|deliver|submission|doveadm|quota-status|managesieve"
    r"|master|indexer-worker|config|anvil|stats|log|sieve)(?:\(([^)]{0,256})\))?(?:<[^>]"
    r"{0,64}>){0,2}"
    r"(?:\[\d{1,10}\])?: (?:Info: |Warning: |Error: |Debug: )?",
    re.ASCII,
)
_SERVICES = ("imap-login", "pop3-login", "managesieve-login", "submission-login", "auth-worker", "lmtp", "deliver")
"""Those that sign by their own name where the server writes into a file of its own."""
_LEVEL = re.compile(r"(?:Info|Warning|Error|Debug): ", re.ASCII)
_CONNECTION = re.compile(r"conn unix:[^:]{0,256}: (?:auth-worker<\d{1,10}>: )?", re.ASCII)
_LOGIN = re.compile(
    r"(Login(?=: )|Logged in|Disconnected|Aborted login|Login aborted"
    r"|Maximum number of connections|Inactivity|proxy)\b(?:: (?:[A-Z][^"
    r":(,]{0,128}))?(?: \(([^)]{0,256})\))?",
    re.ASCII,
)
_PAIR = re.compile(r"\b(user|method|rip|lip|rport|lport|mpid|session)=(?:<([^>]{0,512})>|([^,\s]{0,512}))", re.ASCII)
_ATTEMPTS = re.compile(r"auth failed, (\d{1,6}) attempts?", re.ASCII)
_AUTH = re.compile(
    r"(pam|passwd-file|sql|ldap|lua|policy|login|bsdauth|checkpassword"
    r"|static|passwd|shadow|oauth2|userdb|passdb)\(([^,)]{0,256}),([0-9A-Fa-f:.]{2,64})(?"
    r":,[^)]{0,128})?\): (.{0,512})",
    re.ASCII,
)
_WORKER = re.compile(r"([^,]{1,256}),([0-9A-Fa-f:.]{2,64})$", re.ASCII)
_WHO = re.compile(r"\d{1,10}, ", re.ASCII)
_PEER = re.compile(r"(Connect|Disconnect) from ([0-9A-Fa-f:.]{2,64}?)(?::? |$)", re.ASCII)
_CHANGE = re.compile(r"(expunge|delete|undelete|copy|save|flag_change|append|mailbox_[a-z]{4,16}): ", re.ASCII)
_REFUSED = (
    "auth failed",
    "unsupported auth",
    "disallowed plaintext auth",
    "disabled plaintext auth",
    "exceeded (mail_max",
)
_BADLY = ("fail", "mismatch", "unknown", "invalid", "denied", "not exist", "timed out", "disallowed")
_SAVED = re.compile(
    r"msgid=<?([^>:]{0,512})>?: (?:saved mail to|stored mail into mailbox) '?([^'\n]{0,256}"
    r")",
    re.ASCII,
)


def read(message: str, event: Event, context: Context) -> bool:
    """Read a message of any of the services into the event."""
    service = _SERVICE.match(message)
    signed = event.get("process.name", "")
    if service is None and signed not in _SERVICES:
        return False
    name, who = service.groups() if service is not None else (signed, None)
    body = message[service.end() :] if service is not None else _LEVEL.sub("", message, count=1)
    event["event.category"], event["event.type"] = ["email"], ["info"]
    event["event.provider"] = name
    if who and not who.isdigit():  # a number is the worker's
        worker = _WORKER.match(who)
        put_user(event, _WHO.sub("", who, count=1).partition(",")[0])
        if worker is not None and not worker[1].isdigit():
            put_end(event, "source", worker[2])
    pairs = {key: angled or bare for key, angled, bare in _PAIR.findall(body, 0, 8_192)}
    if pairs.get("rip"):
        put_end(event, "source", pairs["rip"], pairs.get("rport"))
    if pairs.get("lip"):
        put_end(event, "destination", pairs["lip"], pairs.get("lport"))
    if pairs.get("user"):
        put_user(event, pairs["user"])
    if pairs.get("method"):
        event["almena.dovecot.method"] = pairs["method"]
    if name.endswith("-login"):
        _login(body, event)
    elif name in ("auth", "auth-worker"):
        _auth(body, event)
    else:
        _session(body, event)
    pid = number(pairs.get("mpid"))
    if pid is not None and "process.pid" not in event:
        event["process.pid"] = pid
    return True


def _login(body: str, event: Event) -> None:
    found = _LOGIN.match(body)
    if found is None:
        return
    said = (found[2] or "") if found[2] else body[:512]
    if found[1] in ("Login", "Logged in"):
        event |= {"event.category": ["authentication", "email"], "event.type": ["start"]}
        event |= {"event.action": "login", "event.outcome": "success"}
        return
    if any(words in body for words in _REFUSED):
        event |= {"event.category": ["authentication", "email"], "event.type": ["start"]}
        event |= {"event.action": "login", "event.outcome": "failure"}
        attempts = _ATTEMPTS.search(body)
        if attempts is not None:
            event["almena.dovecot.attempts"] = attempts[1]
    else:
        event |= {"event.category": ["session", "email"], "event.type": ["end"], "event.action": "disconnected"}
    event["event.reason"] = said


def _auth(body: str, event: Event) -> None:
    inner = _CONNECTION.match(body)
    found = _AUTH.match(body, inner.end() if inner else 0)
    if found is None and "source.ip" not in event:
        return
    reason = found[4] if found is not None else body[inner.end() if inner else 0 :][:512]
    if found is not None:
        put_user(event, found[2] if found[2] != "?" else None)
        put_end(event, "source", found[3])
    event |= {"event.category": ["authentication", "email"], "event.type": ["start"], "event.action": "login"}
    event["event.reason"] = reason
    event["event.outcome"] = "failure" if any(word in reason.lower() for word in _BADLY) else "unknown"


def _session(body: str, event: Event) -> None:
    if body.startswith(("Disconnected", "Logged out", "Connection closed", "Disconnect:")):
        event |= {"event.category": ["session", "email"], "event.type": ["end"], "event.action": "logout"}
        event["event.reason"] = body[:512]
        return
    peer = _PEER.match(body)
    if peer is not None:
        put_end(event, "source", peer[2])
        event |= {"event.category": ["network", "email"], "event.action": peer[1].lower()}
        event["event.type"] = ["connection", "start" if peer[1] == "Connect" else "end"]
        return
    change = _CHANGE.match(body)
    if change is not None:
        event |= {"event.action": change[1].replace("_", "-"), "event.type": ["change"], "event.outcome": "success"}
        message = re.search(r"\bmsgid=<?([^>,\s]{1,512})", body[:4_096])
        if message is not None:
            event["email.message_id"] = message[1]
        mailbox = re.search(r"\bbox=([^,\n]{1,256})", body[:4_096])
        if mailbox is not None:
            event["almena.dovecot.mailbox"] = mailbox[1]
        return
    saved = _SAVED.search(body[:2_048])
    if saved is not None:
        event |= {"event.action": "mail-stored", "event.outcome": "success", "email.message_id": saved[1]}
        event["almena.dovecot.mailbox"] = saved[2].rstrip("'")


FORMAT = Format(
    name="dovecot",
    dataset="dovecot.log",
    read=read,
    programs=("dovecot", "dovecot-auth", *_SERVICES),
    begins=(
        *(f"auth: {level}: " for level in ("Info", "Warning", "Error", "Debug")),
        *(f"{service}(" for service in ("imap", "pop3", "lmtp", "lda", "auth-worker", "managesieve", "doveadm")),
    ),
)
