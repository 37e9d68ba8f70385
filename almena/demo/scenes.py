"""Attacks and frauds, each a short story with the alerts it must raise and whom they must name."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple, TypeAlias

from almena.demo import identifiers
from almena.demo.cast import CONTROLLER, SERVERS, Cast
from almena.demo.traffic import by_citizen, by_official, someone
from almena.demo.wire import Draft, Line, Request, Windows

Story: TypeAlias = tuple[list[Draft], str]
"""What happens, and the entity that the alert of its first rule names, as `field=value`; `` when that is masked."""


class Scene(NamedTuple):
    """One story of the simulation."""

    name: str
    tell: Callable[[Random, Cast], Story]
    rules: tuple[str, ...]
    """The ids of the rules and detectors that must alert."""


def _stranger(random: Random) -> str:
    """An address of the networks kept for documentation, where attackers of the demo live."""
    return f"{random.choice(('198.51.100', '203.0.113'))}.{random.randrange(1, 255)}"


def self_approved_refund(random: Random, cast: Cast) -> Story:
    """One official captures and approves a refund."""
    thief, victim = random.choice(cast.officials["sfa"]), someone(random, cast)
    body = by_official(
        thief,
        "refund_approved",
        almena__payment__captured_by=thief.user,
        almena__payment__approved_by=thief.user,
        almena__payment__refund_of=f"L{random.randrange(10**10):010d}",
        almena__payment__amount=f"{random.uniform(9_000, 60_000):.2f}",
        almena__payment__currency="MXN",
        almena__account__clabe=identifiers.clabe(random),
        almena__account__holder_rfc=victim.rfc,
    )
    return [Draft(0, "payments", body)], f"user.name={thief.user}"


def folio_without_procedure(random: Random, cast: Cast) -> Story:
    """A registrar gives a property to somebody else, with no procedure."""
    registrar = random.choice(cast.officials["rpp"])
    body = by_official(
        registrar,
        "folio_changed",
        almena__folio__id=f"FR-{random.randrange(10**6):06d}",
        almena__folio__field="titular",
        almena__folio__before=someone(random, cast).name,
        almena__folio__after=someone(random, cast).name,
        almena__session__id=f"s{random.getrandbits(48):012x}",
    )
    return [Draft(0, "registry", body)], f"user.name={registrar.user}"


def sql_injection(random: Random, cast: Cast) -> Story:
    """Somebody tries SQL in the portal's search."""
    ip = _stranger(random)
    attempts = (
        "/tramites/buscar?folio=1%27",
        "/tramites/buscar?folio=1%27%20OR%20%271%27=%271",
        "/tramites/buscar?folio=-1%27+UNION+SELECT+usuario,clave,3+FROM+usuarios--+-",
    )
    drafts = [
        Draft(number * 0.7, "portal-nginx", Request(ip, target, 500 if number else 200, 1832, "curl/8.5.0"))
        for number, target in enumerate(attempts)
    ]
    return drafts, f"source.ip={ip}"


def ssh_break_in(random: Random, cast: Cast) -> Story:
    """Passwords are guessed by SSH until one opens."""
    ip, host, pid = _stranger(random), SERVERS[0], random.randrange(1000, 60000)
    user = random.choice(cast.officials["cdo"][4:]).user
    drafts = []
    for number in range(18):
        text = f"Failed password for {user} from {ip} port {40000 + number} ssh2"
        drafts.append(Draft(number * 0.6, "servers-udp", Line(host, "sshd", text, pid + number)))
    text = f"Accepted password for {user} from {ip} port 40099 ssh2"
    drafts.append(Draft(14, "servers-udp", Line(host, "sshd", text, pid + 99)))
    return drafts, f"source.ip={ip}"


def credential_stuffing(random: Random, cast: Cast) -> Story:
    """Leaked passwords are tried on the portal until one of the accounts opens."""
    ip, agent = _stranger(random), "python-requests/2.32"
    drafts = []
    victims = [someone(random, cast)._replace(ip=ip) for _ in range(14)]
    for number, victim in enumerate(victims):
        drafts.append(Draft(number * 0.8, "portal-nginx", Request(ip, "/entrar", 401, 210, agent, "POST")))
        failed = by_citizen(victim, "login_failed", event__outcome="failure", user_agent__original=agent)
        drafts.append(Draft(number * 0.8 + 0.1, "tramites", failed))
    opened = by_citizen(victims[3], "login", user_agent__original=agent)
    return [*drafts, Draft(13, "tramites", opened)], f"source.ip={ip}"


def curp_enumeration(random: Random, cast: Cast) -> Story:
    """A program builds CURPs in order and looks which exist."""
    person = someone(random, cast)._replace(ip=_stranger(random))
    drafts = []
    for number in range(36):
        right = someone(random, cast).curp
        valid = number % 9 == 0
        body = by_citizen(
            person,
            "search",
            almena__lookup__kind="curp",
            almena__lookup__valid=valid,
            almena__citizen__curp=right if valid else identifiers.wrong_curp(random, right),
        )
        drafts.append(Draft(number * 0.5, "tramites", body))
    return drafts, f"source.ip={person.ip}"


def web_shell(random: Random, cast: Cast) -> Story:
    """A script is uploaded as a document, answers, and the web server's account uses sudo."""
    person = someone(random, cast)._replace(ip=_stranger(random))
    file = {"file__name": "acta.php", "file__mime_type": "application/x-php", "file__size": 2048}
    upload = by_citizen(person, "document_uploaded", almena__procedure__id="T-000001", **file)
    target = f"/uploads/{random.randrange(10**6)}/acta.php?c=id"
    sudo = "www-data : TTY=unknown ; PWD=/var/www/uploads ; USER=root ; COMMAND=/bin/bash"
    return [
        Draft(0, "tramites", upload),
        Draft(4, "portal-nginx", Request(person.ip, target, 200, 54, "curl/8.5.0", "POST")),
        Draft(9, "servers-udp", Line(SERVERS[0], "sudo", sudo)),
    ], f"user.name={person.user}"


def clabe_switched(random: Random, cast: Cast) -> Story:
    """A CLABE is switched at a window, and minutes later a refund is paid to it."""
    thief, victim = random.choice(cast.officials["sfa"]), someone(random, cast)
    captures, approves = random.sample([other for other in cast.officials["sfa"] if other != thief], 2)
    new = identifiers.clabe(random)
    switched = by_official(
        thief,
        "clabe_changed",
        almena__account__previous_clabe=victim.clabe,
        almena__account__clabe=new,
        almena__account__holder_rfc=victim.rfc,
        almena__payment__channel="ventanilla",
    )
    paid = by_official(
        approves,
        "refund_paid",
        almena__account__clabe=new,
        almena__account__holder_rfc=victim.rfc,
        almena__payment__amount=f"{random.uniform(9_000, 60_000):.2f}",
        almena__payment__currency="MXN",
        almena__payment__captured_by=captures.user,
        almena__payment__approved_by=approves.user,
    )
    return [Draft(0, "payments", switched), Draft(20, "payments", paid)], f"user.name={thief.user}"


def refund_ring(random: Random, cast: Cast) -> Story:
    """Six taxpayers ask for refunds to one account."""
    account = identifiers.clabe(random)
    drafts = []
    for number in range(6):
        person = someone(random, cast)
        body = by_citizen(
            person,
            "refund_requested",
            almena__account__clabe=account,
            almena__account__holder_rfc=person.rfc,
            almena__payment__refund_of=f"L{random.randrange(10**10):010d}",
            almena__payment__amount=f"{random.uniform(3_000, 9_000):.2f}",
        )
        drafts.append(Draft(number * 3, "payments", body))
    return drafts, ""


def clabe_there_and_back(random: Random, cast: Cast) -> Story:
    """A CLABE is replaced for one refund, and then the true one is put back."""
    victim = someone(random, cast)
    first, last, captures, approves = random.sample(cast.officials["sfa"], 4)
    passing = identifiers.clabe(random)
    holder = {"almena__account__holder_rfc": victim.rfc}
    refund = holder | {
        "almena__account__clabe": passing,
        "almena__payment__refund_of": f"L{random.randrange(10**10):010d}",
        "almena__payment__amount": f"{random.uniform(12_000, 60_000):.2f}",
        "almena__payment__currency": "MXN",
        "almena__payment__captured_by": captures.user,
        "almena__payment__approved_by": approves.user,
    }
    there = {"almena__account__previous_clabe": victim.clabe, "almena__account__clabe": passing}
    back = {"almena__account__previous_clabe": passing, "almena__account__clabe": victim.clabe}
    return [
        Draft(0, "payments", by_official(first, "clabe_changed", **holder, **there)),
        Draft(6, "payments", by_official(approves, "refund_approved", **refund)),
        Draft(11, "payments", by_official(approves, "refund_paid", **refund)),
        Draft(18, "payments", by_official(last, "clabe_changed", **holder, **back)),
    ], ""


def stolen_account(random: Random, cast: Cast) -> Story:
    """An official's account enters from the internet and looks up one citizen after another."""
    thief = random.choice(cast.officials["tramites"])._replace(ip=_stranger(random))
    drafts = [Draft(0, "identity", by_official(thief, "login"))]
    for number in range(18):
        read = by_official(
            thief,
            "read",
            almena__citizen__curp=someone(random, cast).curp,
            almena__audit__reason="consulta",
            almena__audit__rows=1,
        )
        drafts.append(Draft(3 + number * 0.9, "audit", read))
    return drafts, f"user.name={thief.user}"


def sliced_copy(random: Random, cast: Cast) -> Story:
    """A program copies a register in slices, each below what alerts by itself."""
    client = random.choice(cast.clients)
    call = {
        "event.action": "call",
        "event.outcome": "success",
        "source.ip": client.ip,
        "almena.actor.kind": "service",
        "almena.api.client": client.name,
        "almena.api.token_id": client.token,
        "almena.api.scope": "personas:read",
        "almena.api.agency_from": client.agency,
        "almena.api.agency_to": client.owner,
        "almena.api.endpoint": client.endpoint,
        "url.path": client.endpoint,
        "http.response.status_code": 200,
    }
    return [
        Draft(number * 1.5, "api", call | {"almena.api.records": random.randrange(2_000, 4_900)})
        for number in range(12)
    ], f"almena.api.agency_from={client.agency}"


def score_changed(random: Random, cast: Cast) -> Story:
    """After a call closed, an evaluator raises a score and assigns the post."""
    evaluator = random.choice(cast.officials["see"])
    call = f"DOC-2026-{random.randrange(10**5):05d}"
    who = {"almena__post__call": call, "almena__post__candidate": f"ASP-{random.randrange(10**6):06d}"}
    raised = {"almena__post__score__before": 71.5, "almena__post__score__after": 94.0}
    moved = {"almena__post__position__before": 212, "almena__post__position__after": 3}
    return [
        Draft(0, "posts", by_official(evaluator, "call_closed", almena__post__call=call)),
        Draft(8, "posts", by_official(evaluator, "score_changed", **who, **raised)),
        Draft(12, "posts", by_official(evaluator, "list_changed", **who, **moved)),
        Draft(18, "posts", by_official(evaluator, "post_assigned", **who, almena__post__rank=3)),
    ], f"almena.post.call={call}"


def domain_raid(random: Random, cast: Cast) -> Story:
    """From one office computer: spraying in two systems, Kerberoasting, a new administrator, and the log cleared."""
    thief = random.choice(cast.officials["sfa"])
    drafts = []
    for number in range(12):
        victim = cast.officials["see"][number]
        data = {"TargetUserName": victim.user, "LogonType": "3", "IpAddress": thief.ip, "Status": "0xc000006d"}
        drafts.append(Draft(number * 0.5, "windows", Windows(4625, data, CONTROLLER, outcome="failure")))
    refused = by_official(cast.officials["see"][0]._replace(ip=thief.ip), "login_failed", event__outcome="failure")
    drafts.append(Draft(7, "identity", refused))
    for number, service in enumerate(("svc_sql", "svc_respaldo", "svc_pagos", "svc_web")):
        data = {
            "TargetUserName": f"{thief.user}@MICHOACAN.LOCAL",
            "ServiceName": service,
            "TicketEncryptionType": "0x17",
            "IpAddress": f"::ffff:{thief.ip}",
            "Status": "0x0",
        }
        drafts.append(Draft(8 + number * 0.4, "windows", Windows(4769, data, CONTROLLER)))
    sid = f"S-1-5-21-1004336348-1177238915-682003330-{random.randrange(2000, 10**7)}"
    by = {"SubjectUserName": "svc_respaldo", "SubjectDomainName": "MICHOACAN"}
    created = {"TargetUserName": f"soporte{sid[-4:]}", "TargetSid": sid, **by}
    group = {"TargetUserName": "Administrators", "TargetSid": "S-1-5-32-544", "MemberSid": sid, **by}
    cleared = Windows(1102, by, CONTROLLER, provider="Microsoft-Windows-Eventlog")
    drafts += [
        Draft(14, "windows", Windows(4720, created, CONTROLLER)),
        Draft(16, "windows", Windows(4732, group, CONTROLLER)),
        Draft(20, "windows", cleared),
    ]
    return drafts, f"source.ip={thief.ip}"


def api_copy(random: Random, cast: Cast) -> Story:
    """A program copies a whole register and goes on after its token was revoked."""
    client = random.choice(cast.clients)
    token = f"tk-{client.name}-{random.getrandbits(32):08x}"
    base = {
        "source.ip": _stranger(random),
        "almena.actor.kind": "service",
        "almena.api.client": client.name,
        "almena.api.token_id": token,
        "almena.api.scope": "personas:read",
        "almena.api.agency_from": client.agency,
        "almena.api.agency_to": client.owner,
        "almena.api.endpoint": client.endpoint,
        "url.path": client.endpoint,
    }
    call = base | {"event.action": "call", "http.response.status_code": 200}
    return [
        Draft(0, "api", call | {"almena.api.records": random.randrange(8_000, 40_000)}),
        Draft(6, "api", base | {"event.action": "token_revoked", "source.ip": client.ip}),
        Draft(15, "api", call | {"almena.api.records": 50}),
    ], f"source.ip={base['source.ip']}"


def stranger_network(random: Random, cast: Cast) -> Story:
    """An official who always logs in from the office logs in from a network nobody knows."""
    person = random.choice(cast.officials["interop"])
    drafts = [Draft(number * 1.5, "identity", by_official(person, "login")) for number in range(14)]
    away = by_official(person._replace(ip=_stranger(random)), "login")
    return [*drafts, Draft(30, "identity", away)], f"user.name={person.user}"


def portal_robot(random: Random, cast: Cast) -> Story:
    """A program walks through the portal, hundreds of pages in a minute."""
    ip, agent = _stranger(random), "Go-http-client/2.0"
    drafts = []
    for number in range(360):
        missing = random.random() < 0.6
        target = f"/{'respaldo' if missing else 'tramites'}/{number:04d}"
        drafts.append(Draft(number * 0.15, "portal-nginx", Request(ip, target, 404 if missing else 200, 900, agent)))
    return drafts, f"source.ip={ip}"


def identity_abuse(random: Random, cast: Cast) -> Story:
    """An official takes an administrator's role, exports a register and signs with a revoked e.firma."""
    person = random.choice(cast.officials["tramites"])
    role = by_official(person, "role_granted", user__target__name=person.user, user__roles=["admin"])
    export = by_official(person, "export", almena__audit__rows=random.randrange(5_000, 90_000))
    serial = f"{random.randrange(10**20):020d}"
    signed = by_official(
        person,
        "certificate_used",
        almena__certificate__serial=serial,
        almena__certificate__status="revoked",
        almena__certificate__not_after="2027-03-14T06:00:00Z",
    )
    return [
        Draft(0, "identity", role),
        Draft(7, "audit", export),
        Draft(12, "identity", signed),
    ], f"user.name={person.user}"


SCENES: tuple[Scene, ...] = (
    Scene(
        "self_approved_refund",
        self_approved_refund,
        ("a8531320-9c4a-4bed-9cc1-a574e791c976",),
    ),
    Scene(
        "folio_without_procedure",
        folio_without_procedure,
        (
            "03f505b9-6a55-4e7e-a797-f3571886ba93",
            "f7825677-c3a2-4e7b-85f4-bfa74ca0a9d2",
        ),
    ),
    Scene(
        "sql_injection",
        sql_injection,
        ("8c3f815b-5a13-476c-874b-aaee00b8c445",),
    ),
    Scene(
        "web_shell",
        web_shell,
        (
            "653f7a0c-0616-47e1-88a1-6e6ca710e344",
            "6cae0038-d17e-47ae-bd58-ca39726de1ab",
            "9206d1f2-3279-4b4c-82d3-b6f285c2ac3c",
        ),
    ),
    Scene(
        "ssh_break_in",
        ssh_break_in,
        (
            "8af9bc15-a4ff-49b5-92c2-7adf3a9d87fd",
            "c3156cf2-1193-4005-8a75-0aeec9441c13",
        ),
    ),
    Scene(
        "credential_stuffing",
        credential_stuffing,
        (
            "3d0a240d-90a4-41ea-b157-8dc90cc246df",
            "2e01031b-31b1-4463-9c88-f425a50bf494",
            "8bffa99a-a5d7-470d-834a-9130377da3a3",
        ),
    ),
    Scene(
        "clabe_switched",
        clabe_switched,
        (
            "5482055c-a0fb-49f2-ae9f-63b737e2400c",
            "1f29057c-8ade-487a-988a-15a31d4d6814",
        ),
    ),
    Scene(
        "curp_enumeration",
        curp_enumeration,
        (
            "37443eff-1152-4776-baf7-43707b499fb5",
            "0922f8bc-6e02-470b-bc11-ed0daaa8aead",
        ),
    ),
    Scene(
        "score_changed",
        score_changed,
        (
            "d817b07e-8694-4ce9-a270-bf236120f73a",
            "b9feb5b4-07e7-4d41-9c59-7c7f84d069ae",
            "af043190-4124-4934-b3ec-10690e07c381",
            "d1cf9381-178b-409e-ac1c-1ad221f15df6",
        ),
    ),
    Scene(
        "domain_raid",
        domain_raid,
        (
            "f134c6eb-d924-481f-aa0b-f980cda23ccf",
            "8168872f-03f0-45b7-8ca0-add687679a4d",
            "71c96c91-f5bb-42c6-a026-af317d51bbf8",
            "1b96854d-8d2b-4f4e-98ec-8952990acbbf",
            "9c8f45e3-ceee-422c-8e1b-ac59b6881fcb",
            "565abbde-9f4a-44cf-978f-7c46e8c89e95",
            "8168872f-03f0-45b7-8ca0-add687679a4d",
        ),
    ),
    Scene(
        "api_copy",
        api_copy,
        (
            "bdcb8278-adef-49a0-976d-cc10717aa16d",
            "2e232396-27c3-4980-af83-6d217857bfff",
        ),
    ),
    Scene(
        "identity_abuse",
        identity_abuse,
        (
            "4cd00a3e-f481-481d-a26e-a619bb780dfc",
            "fd4a1134-99b0-4bc6-a5f0-8ff7a1a900e0",
            "19a9827c-b8ba-45b7-a655-6afbf0f1f5e9",
        ),
    ),
    Scene(
        "refund_ring",
        refund_ring,
        ("4f23257a-9ca7-4587-ad5e-29e3c4c4fa6a",),
    ),
    Scene(
        "clabe_there_and_back",
        clabe_there_and_back,
        (
            "3b7fcf89-abca-452e-b8b9-8b6b7dc17d86",
            "1f29057c-8ade-487a-988a-15a31d4d6814",
        ),
    ),
    Scene(
        "stolen_account",
        stolen_account,
        (
            "f544a877-7c37-4e3b-a8db-e83f185fdc54",
            "d1c16546-56c2-4567-8aae-86c784b61644",
        ),
    ),
    Scene(
        "sliced_copy",
        sliced_copy,
        ("3fee6622-12c9-4311-9b88-83ad8c79af52",),
    ),
    Scene(
        "portal_robot",
        portal_robot,
        (
            "2dd2a955-0239-4e85-b7c7-8fdd2de1b74e",
            "almena.web_session",
        ),
    ),
    Scene(
        "stranger_network",
        stranger_network,
        ("almena.first_seen_network",),
    ),
)
"""Every scene, in the order they are played; the first ones alert on their first event."""
