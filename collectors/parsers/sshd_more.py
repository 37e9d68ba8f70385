"""What OpenSSH's server says beside logins: sessions and subsystems, throttling, broken protocols, refused keys."""

from __future__ import annotations

import re
from typing import NamedTuple

from almena.event import Event
from collectors.parsers.common import put_source
from collectors.parsers.network import put_end


class _Sentence(NamedTuple):
    """One kind of message; its groups are called user, peer, port, to, to_port, command and reason."""

    begin: str
    """How it begins, for a glance."""
    pattern: re.Pattern[str]
    action: str
    category: str
    type: str
    outcome: str | None


def _sentence(begin: str, rest: str, action: str, category: str, kind: str, outcome: str | None = None) -> _Sentence:
    return _Sentence(begin, re.compile(re.escape(begin) + rest, re.ASCII), action, category, kind, outcome)


_USER, _HOST, _PORT = r"(?P<user>.{0,256}?)", r"\[?(?P<peer>[^\s\],]{1,256})\]?", r"(?P<port>\d{1,5})"
_BOTH = r"(?:\S{1,256} \(\[?)?(?P<peer>[^\s\],()]{1,256})"
_SENTENCES = (
    _sentence(
        "Starting session: ",
        rf"(?P<command>.{{1,1024}}?)(?: on (?P<tty>\S{{1,64}}))? for (?P<user>\S{{1,256}}) from {_HOST} port {_PORT}",
        "ssh_session",
        "session",
        "start",
    ),
    _sentence("Close session: ", rf"user {_USER} from {_HOST} port {_PORT}", "ssh_session", "session", "end"),
    _sentence(
        "subsystem request for ",
        r"(?P<command>\S{1,64})(?: by user (?P<user>.{1,256}))?",
        "ssh_subsystem",
        "session",
        "info",
    ),
    _sentence("User child is on pid ", r"\d", "ssh_session", "session", "info"),
    _sentence(
        "drop connection #",
        rf"\d{{1,9}} from \[?(?P<peer>[^\s\]]{{1,64}})\]?:{_PORT} on \[?(?P<to>[^\s\]]{{1,64}})\]?:"
        r"(?P<to_port>\d{1,5}) (?P<reason>.{1,128})",
        "ssh_dropped",
        "network",
        "denied",
        "failure",
    ),
    _sentence(
        "srclimit_penalise: ",
        r"ip\S{1,8} (?:new |active )?(?P<peer>[^\s/]{1,64})(?:/\d{1,3})? (?P<reason>.{1,256})",
        "ssh_penalised",
        "network",
        "denied",
    ),
    _sentence("beginning MaxStartups throttling", "", "ssh_throttling", "network", "info"),
    _sentence("exited MaxStartups throttling", "", "ssh_throttling", "network", "info"),
    _sentence("refused connect from ", _BOTH, "ssh_refused_host", "network", "denied", "failure"),
    _sentence(
        "reverse mapping checking getaddrinfo for ",
        rf"(?P<reason>\S{{1,256}}) {_HOST} failed",
        "ssh_reverse_mapping_failed",
        "network",
        "info",
    ),
    _sentence(
        "Address ", rf"{_HOST} maps to (?P<reason>\S{{1,256}}), but", "ssh_reverse_mapping_failed", "network", "info"
    ),
    _sentence(
        "Nasty PTR record ", rf"\S{{1,256}} is set up for {_HOST}", "ssh_reverse_mapping_failed", "network", "info"
    ),
    _sentence(
        "Authentication refused: ", r"(?P<reason>.{1,512})", "ssh_key_refused", "authentication", "info", "failure"
    ),
    _sentence(
        "Authentication tried for ",
        r"(?P<user>.{1,256}) (?P<reason>with correct key but not from a permitted host) "
        r"\(host=[^,]{0,256}, ip=(?P<peer>[^,)\s]{1,64})",
        "ssh_key_refused",
        "authentication",
        "info",
        "failure",
    ),
    _sentence(
        "input_userauth_request: invalid user ",
        r"(?P<user>.{0,256}?)(?: \[preauth\])?$",
        "ssh_invalid_user",
        "authentication",
        "info",
        "failure",
    ),
    _sentence(
        "Disconnecting: ",
        r"(?P<reason>Too many authentication failures)(?: for (?P<user>.{1,256}?))?(?: \[preauth\])?$",
        "ssh_disconnect",
        "session",
        "end",
    ),
    _sentence(
        "Received request from ",
        rf"{_HOST} port {_PORT} to connect to host (?P<to>\S{{1,256}}) port (?P<to_port>\d{{1,5}})"
        r"(?P<reason>.{0,128})",
        "ssh_forward",
        "network",
        "info",
    ),
    _sentence(
        "Access denied for user ",
        r"(?P<user>.{1,256}?) (?P<reason>by PAM account configuration)",
        "ssh_refused",
        "authentication",
        "start",
        "failure",
    ),
    _sentence("Certificate ", r"(?P<reason>.{1,256})", "ssh_key_refused", "authentication", "info", "failure"),
    _sentence("Received signal ", r"(?P<reason>\d{1,3}; .{1,64})", "ssh_stopped", "process", "end"),
    _sentence("Exiting on signal ", r"(?P<reason>\d{1,3})", "ssh_stopped", "process", "end"),
    _sentence("client sent invalid protocol identifier", "", "ssh_bad_protocol", "network", "protocol", "failure"),
    _sentence("Bad remote protocol version identification", "", "ssh_bad_protocol", "network", "protocol", "failure"),
    _sentence(
        "kex_exchange_identification: ", r"(?P<reason>.{1,256})", "ssh_bad_protocol", "network", "protocol", "failure"
    ),
    _sentence("Bad packet length ", r"\d", "ssh_bad_protocol", "network", "protocol", "failure"),
    _sentence(
        "PAM service(sshd) ignoring max retries", "", "ssh_too_many_attempts", "authentication", "info", "failure"
    ),
    _sentence(
        "Could not get shadow information for ", r"(?P<user>.{1,256})$", "ssh_no_account", "authentication", "info"
    ),
)
_BY_LETTER: dict[str, tuple[_Sentence, ...]] = {
    letter: tuple(each for each in _SENTENCES if each.begin[0] == letter)
    for letter in {each.begin[0] for each in _SENTENCES}
}


def read(message: str, event: Event) -> bool:
    """Read one of these messages into the event; False when it is none."""
    for sentence in _BY_LETTER.get(message[:1], ()):
        if not message.startswith(sentence.begin):
            continue
        match = sentence.pattern.match(message)
        if match is not None:
            _say(event, sentence, match.groupdict())
            return True
    return False


def _say(event: Event, sentence: _Sentence, found: dict[str, str | None]) -> None:
    event |= {
        "event.action": sentence.action,
        "event.category": [sentence.category],
        "event.type": [sentence.type],
    }
    if sentence.outcome is not None:
        event["event.outcome"] = sentence.outcome
    if (user := found.get("user")) and user != "NOUSER":
        event["user.name"] = user
    if (peer := found.get("peer")) is not None:
        put_source(event, peer, found.get("port"))
    put_end(event, "destination", found.get("to"), found.get("to_port"))
    if (command := found.get("command")) is not None and command.startswith("command for"):
        command = None
    if command is not None and sentence.action == "ssh_subsystem":
        event["network.protocol"] = command
    if (reason := found.get("reason")) is not None:
        event["event.reason"] = reason.strip()
