"""Records of the kinds that come most, each unlike the next, as their programs write them."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

import msgspec

COUNT = 20_000
"""Records of each kind."""

_USERS = ("ana", "eva", "luis", "root", "admin", "oracle", "svc_pagos")
_AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:121.0) Gecko/20100101 Firefox/121.0",
    "curl/8.5.0",
)


_COUNTRIES = ("Mexico", "United States", "Brazil", "Germany", "China", "Russian Federation", "Spain", "Reserved")
_SERVICES = ("HTTPS", "HTTP", "DNS", "SSH", "tcp/8443", "udp/443")


def _address(chance: random.Random) -> str:
    return f"203.0.{chance.randrange(256)}.{chance.randrange(1, 255)}"


def _clock(at: int) -> str:
    return f"{13 + at // 36_000 % 10:02}:{at // 600 % 60:02}:{at // 10 % 60:02}"


def sshd(chance: random.Random, at: int) -> str:
    """`Failed password` behind a header of RFC 3164."""
    user = chance.choice(_USERS)
    return (
        f"<38>Nov 22 {_clock(at)} web{at % 9} sshd[{1_000 + at % 30_000}]: Failed password for {user} from"
        f" {_address(chance)} port {chance.randrange(1_024, 65_536)} ssh2"
    )


def nginx(chance: random.Random, at: int) -> str:
    """The combined format."""
    return (
        f"{_address(chance)} - - [22/Nov/2026:{_clock(at)} -0600]"
        f' "GET /tramites/{chance.randrange(10**6)}?paso={at % 7} HTTP/1.1" {chance.choice((200, 200, 304, 404))}'
        f' {chance.randrange(10**5)} "https://portal.example/" "{chance.choice(_AGENTS)}"'
    )


def windows(chance: random.Random, at: int) -> str:
    """A failed sign-in, as NXLog writes it."""
    record = {
        "EventTime": f"2026-11-22T{_clock(at)}-06:00",
        "Hostname": f"dc{at % 4}.finanzas.example",
        "Keywords": "-9218868437227405312",
        "EventType": "AUDIT_FAILURE",
        "SeverityValue": 4,
        "Severity": "ERROR",
        "EventID": 4625,
        "SourceName": "Microsoft-Windows-Security-Auditing",
        "ProviderGuid": "{54849625-5478-4994-A5BA-3E3B0328C30D}",
        "Version": 0,
        "Task": 12544,
        "OpcodeValue": 0,
        "RecordNumber": at,
        "ExecutionProcessID": 616,
        "ExecutionThreadID": 4_000 + at % 99,
        "Channel": "Security",
        "Category": "Logon",
        "Opcode": "Info",
        "SubjectUserSid": "S-1-0-0",
        "SubjectUserName": "-",
        "SubjectDomainName": "-",
        "SubjectLogonId": "0x0",
        "TargetUserSid": "S-1-0-0",
        "TargetUserName": chance.choice(_USERS),
        "TargetDomainName": "FINANZAS",
        "Status": "0xc000006d",
        "FailureReason": "%%2313",
        "SubStatus": "0xc000006a",
        "LogonType": "3",
        "LogonProcessName": "NtLmSsp ",
        "AuthenticationPackageName": "NTLM",
        "WorkstationName": f"PC{at % 500}",
        "IpAddress": _address(chance),
        "IpPort": str(chance.randrange(1_024, 65_536)),
    }
    return msgspec.json.encode(record).decode()


def fortigate(chance: random.Random, at: int) -> str:
    """A session let through, of FortiOS 7."""
    return (
        f'<189>date=2026-11-22 time={_clock(at)} devname="FG-{at % 5}" devid="FG100FTK20000001"'
        f" eventtime={1_795_376_040_000_000_000 + at} "
        'tz="-0600" logid="0000000013" type="traffic" subtype="forward" level="notice" vd="root"'
        f' srcip=10.20.{at % 256}.{chance.randrange(1, 255)} srcport={chance.randrange(1_024, 65_536)} srcintf="lan"'
        f' srcintfrole="lan" dstip={_address(chance)} dstport=443 dstintf="wan1" dstintfrole="wan"'
        ' srccountry="Reserved"'
        f' dstcountry="{chance.choice(_COUNTRIES)}" sessionid={at} proto=6 action="close"'
        f' policyid={at % 40} policytype="policy"'
        f' poluuid="c2d460aa-fe6f-51e8-9505-41b5117dfdd4" policyname="salida"'
        f' service="{chance.choice(_SERVICES)}" trandisp="snat"'
        f" transip=198.51.100.1 transport={chance.randrange(1_024, 65_536)} duration={at % 300} sentbyte={at * 7}"
        f' rcvdbyte={at * 31} sentpkt={at % 99} rcvdpkt={at % 199} appcat="unscanned"'
    )


def zeek(chance: random.Random, at: int) -> str:
    """A connection, as Zeek writes JSON."""
    record = {
        "_path": "conn",
        "ts": 1_795_376_040.5 + at / 1_000,
        "uid": f"C{chance.randrange(10**16):016}",
        "id.orig_h": f"10.20.{at % 256}.{chance.randrange(1, 255)}",
        "id.orig_p": chance.randrange(1_024, 65_536),
        "id.resp_h": _address(chance),
        "id.resp_p": 443,
        "proto": "tcp",
        "service": "ssl",
        "duration": at / 977,
        "orig_bytes": at * 3,
        "resp_bytes": at * 11,
        "conn_state": "SF",
        "local_orig": True,
        "local_resp": False,
        "missed_bytes": 0,
        "history": "ShADadFf",
        "orig_pkts": at % 99,
        "orig_ip_bytes": at * 4,
        "resp_pkts": at % 199,
        "resp_ip_bytes": at * 12,
    }
    return msgspec.json.encode(record).decode()


KINDS: dict[str, tuple[str, Callable[[random.Random, int], str]]] = {
    "syslog + sshd": ("syslog", sshd),
    "nginx": ("nginx", nginx),
    "Windows JSON": ("windows", windows),
    "FortiGate": ("fortigate", fortigate),
    "Zeek conn, JSON": ("zeek", zeek),
}
"""What is measured, with its parser and its lines."""


def records(kind: str) -> list[bytes]:
    """The records of a kind, the same in every run."""
    chance = random.Random(kind)
    _, make = KINDS[kind]
    return [make(chance, at).encode() for at in range(COUNT)]


RECORD = struct.Struct("!4s4sHHBIIIIHHB")
"""A flow of the datagrams below."""

_FIELDS = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (2, 4), (1, 4), (22, 4), (21, 4), (10, 2), (14, 2), (6, 1))
FLOWS = 30
"""Flows of one datagram."""


def datagrams(count: int) -> list[bytes]:
    """A template, then datagrams of NetFlow 9 with `FLOWS` flows each."""
    chance = random.Random("netflow")

    def header(sequence: int, records: int) -> bytes:
        return struct.pack("!HHIIII", 9, records, 3_600_000, 1_795_376_040, sequence, 1)

    fields = b"".join(struct.pack("!HH", *field) for field in _FIELDS)
    template = struct.pack("!HHHH", 0, 8 + len(fields), 260, len(_FIELDS)) + fields
    found = [header(0, 1) + template]
    for at in range(count):
        rows = b"".join(
            RECORD.pack(
                bytes((10, 20, chance.randrange(256), chance.randrange(1, 255))),
                bytes((203, 0, 113, chance.randrange(1, 255))),
                chance.randrange(1_024, 65_536),
                443,
                6,
                chance.randrange(1, 1_000),
                chance.randrange(40, 10**6),
                3_500_000 + at % 50_000,
                3_590_000,
                1,
                2,
                0x1B,
            )
            for _ in range(FLOWS)
        )
        padding = b"\x00" * (-len(rows) % 4)
        found.append(header(at + 1, FLOWS) + struct.pack("!HH", 260, 4 + len(rows) + len(padding)) + rows + padding)
    return found
