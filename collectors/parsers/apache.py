"""Lines of Apache httpd: the access log (common, combined, vhost_combined), that of mod_ssl, and the error log."""

from __future__ import annotations

import re

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers import accesslog
from collectors.parsers.common import MONTHS, fraction, local, put_source, unescape, zone_of
from collectors.parsers.format import Format

# [Sun Nov 22 13:34:00.123456 2026] [core:error] [pid 811:tid 1] (2)No such file: [client 192.0.2.7:4444] AH00128: ...
_ERROR = re.compile(
    r"\[(?:[A-Z][a-z]{2} )?([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d\d:\d\d:\d\d)(?:\.(\d{1,9}))? (\d{4})\] "
    r"\[(?:([a-z0-9_-]{0,64}):)?([a-z0-9]{1,16})\] (?:\[pid (\d{1,10})(?::tid (\d{1,18}))?\] )?",
    re.ASCII,
)
# [22/Nov/2026:13:34:00 -0600] 192.0.2.7 TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256 "GET / HTTP/1.1" 45
_SECURE = re.compile(
    r"\[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] (\S{1,256}) (-|(?:TLS|SSL)v[\d.]{1,4}) (\S{1,64})"
    r' "((?:[^"\\]++|\\.)*+)" (\d{1,18}|-)$',
    re.ASCII | re.DOTALL,
)
_CLIENT = re.compile(r"\[(?:remote|client) ([^\]\s]{1,256})\] ?", re.ASCII)
_CODE = re.compile(r"(?:\(\d{1,6}\)[^:\[]{0,256}: )?(AH\d{5}): ", re.ASCII)

_REFERRER = re.compile(r", referer: (\S{1,4096})$", re.ASCII)
_SIGN_IN = re.compile(
    r"\buser `?'?([^\s:`']{1,128})'?(?:: authentication failure| not found|: password mismatch)", re.ASCII
)


def read(message: str, event: Event, context: Context) -> bool:
    """Read a line of the access or the error log into the event; raises ParseError for anything else."""
    event |= convert(message, context)
    return True


def convert(line: str, context: Context) -> Event:
    """The event of a line that was decoded already."""
    error = _ERROR.match(line)
    if error is not None:
        return _error(line, error, context)
    secure = _SECURE.match(line) if line[:1] == "[" else None
    if secure is not None:
        return _secure(line, secure)
    return accesslog.convert(line, "apache.access", durations=False)


def _secure(line: str, match: re.Match[str]) -> Event:
    written, client, protocol, cipher, request, size = match.groups()
    event: Event = {
        "@timestamp": accesslog.time_of(written),
        "event.kind": "event",
        "event.dataset": "apache.access",
        "event.category": ["web"],
        "event.type": ["access"],
        "event.original": line,
    }
    put_source(event, client)
    accesslog.put_request(unescape(request), event)
    if size != "-":
        event["http.response.body.bytes"] = int(size)
    if protocol != "-":
        event["tls.version_protocol"], event["tls.version"] = protocol[:3].lower(), protocol[4:]
        event["tls.cipher"] = cipher
    return event


def _error(line: str, match: re.Match[str], context: Context) -> Event:
    month, day, clock, digits, year, module, level, pid, thread = match.groups()
    if month not in MONTHS:
        raise ParseError("a month that does not exist", 0)
    moment = local(int(year), MONTHS[month], int(day), clock, zone_of(context.zone)) + fraction(digits)
    message = line[match.end() :]
    event: Event = {
        "@timestamp": format_time(moment),
        "event.kind": "event",
        "event.dataset": "apache.error",
        "event.category": ["web"],
        "event.type": ["error"],
        "log.level": level,
        "event.original": line,
    }
    if module:
        event["apache.error.module"] = module
    if pid:
        event["process.pid"] = int(pid)
    if thread:
        event["process.thread.id"] = int(thread)
    client = _CLIENT.search(message, 0, 1_024)
    if client is not None:
        host, _, port = client[1].rpartition(":")
        put_source(event, *((host, port) if host and port.isdigit() else (client[1],)))
        message = message[: client.start()] + message[client.end() :]
    code = _CODE.match(message)
    if code is not None:
        event["event.code"] = code[1]
    referrer = _REFERRER.search(message[-4_096:])
    if referrer is not None:
        event["http.request.referrer"] = unescape(referrer[1])
    failed = _SIGN_IN.search(message[:1_024])
    if failed is not None:
        event["user.name"] = unescape(failed[1])
        event["event.category"], event["event.outcome"] = ["web", "authentication"], "failure"
    event["message"] = unescape(message)
    return event


FORMAT = Format(name="apache", dataset="apache.access", read=read, words=False, programs=("apache", "apache2", "httpd"))
