"""The ordinary day: what citizens, officials, notaries, programs and servers do when nothing is wrong.

An activity is a function from a generator and the cast to drafts: what one person does, over how many seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, TypeAlias

from almena.demo import identifiers
from almena.demo.cast import CONTROLLER, SERVERS, Cast, Person
from almena.demo.wire import Draft, Line, Request, Windows

Activity: TypeAlias = Callable[[Random, Cast], list[Draft]]

CITIZENS = 60_000
"""Citizens who may turn up."""

_PAGES = ("/", "/tramites", "/tramites/predial", "/tramites/licencias", "/tramites/actas", "/citas", "/pagos", "/ayuda")
_ASSETS = ("/static/portal.css", "/static/portal.js", "/static/escudo.svg", "/static/fuente.woff2")
_PROCEDURES = ("predial", "licencia de conducir", "acta de nacimiento", "refrendo", "certificado de folio")
_CONCEPTS = ("predial", "refrendo vehicular", "licencia", "acta", "derechos de registro", "tenencia")
_DOCUMENTS = ("acta_nacimiento.pdf", "identificacion.jpg", "comprobante_domicilio.pdf", "poder_notarial.pdf")


def someone(random: Random, cast: Cast) -> Person:
    """A citizen at random."""
    return cast.citizen(random.randrange(CITIZENS))


def by_citizen(person: Person, action: str, **more: Any) -> dict[str, Any]:
    """An application's event of a citizen; `more` in ECS names with `__` for dots."""
    return _by(person, "citizen", action, more)


def by_official(person: Person, action: str, **more: Any) -> dict[str, Any]:
    """An application's event of an official; `more` in ECS names with `__` for dots."""
    return _by(person, "official", action, more)


def _by(person: Person, kind: str, action: str, more: dict[str, Any]) -> dict[str, Any]:
    fields = {
        "event.action": action,
        "user.name": person.user,
        "source.ip": person.ip,
        "almena.actor.kind": kind,
    }
    return fields | {name.replace("__", "."): value for name, value in more.items()}


def portal_visit(random: Random, cast: Cast) -> list[Draft]:
    """A citizen looks at pages and often logs in and does something."""
    person = someone(random, cast)
    drafts: list[Draft] = []
    at = 0.0
    for page in random.sample(_PAGES, random.randint(2, 5)):
        status = 404 if random.random() < 0.01 else 200
        drafts.append(Draft(at, "portal-nginx", _get(random, person, page, status)))
        drafts += [
            Draft(at + random.uniform(0.05, 0.6), "portal-nginx", _get(random, person, asset, 200, page))
            for asset in random.sample(_ASSETS, random.randint(0, 3))
        ]
        at += random.lognormvariate(2.3, 0.7)
    if random.random() < 0.45:
        drafts += _logged_in(random, person, at)
    return drafts


def _get(random: Random, person: Person, target: str, status: int, referrer: str = "") -> Request:
    origin = f"https://tramites.example{referrer}" if referrer else "-"
    return Request(person.ip, target, status, int(random.lognormvariate(8.5, 1.0)), person.agent, "GET", origin)


def _logged_in(random: Random, person: Person, at: float) -> list[Draft]:
    session = f"s{random.getrandbits(48):012x}"
    drafts: list[Draft] = []
    if random.random() < 0.08:
        failed = by_citizen(person, "login_failed", event__outcome="failure")
        drafts.append(Draft(at, "tramites", failed))
        at += random.uniform(4, 20)
    drafts.append(Draft(at, "portal-nginx", Request(person.ip, "/entrar", 302, 0, person.agent, "POST")))
    common = {"almena__session__id": session, "user_agent__original": person.agent}
    drafts.append(Draft(at + 0.1, "tramites", by_citizen(person, "login", **common)))
    what = random.random()
    at += random.uniform(5, 40)
    if what < 0.35:
        valid = random.random() > 0.04
        curp = person.curp if valid else identifiers.wrong_curp(random, person.curp)
        lookup = {"almena__lookup__kind": "curp", "almena__lookup__valid": valid, "almena__citizen__curp": curp}
        drafts.append(Draft(at, "tramites", by_citizen(person, "search", **common, **lookup)))
    elif what < 0.8:
        drafts += _procedure(random, person, at, common)
    else:
        kind = {"almena__procedure__type": random.choice(_PROCEDURES)}
        drafts.append(Draft(at, "tramites", by_citizen(person, "appointment_taken", **common, **kind)))
    return drafts


def _procedure(random: Random, person: Person, at: float, common: dict[str, Any]) -> list[Draft]:
    procedure = {
        "almena__procedure__id": f"T-{random.randrange(10**6):06d}",
        "almena__procedure__type": random.choice(_PROCEDURES),
        "almena__citizen__curp": person.curp,
    }
    name = random.choice(_DOCUMENTS)
    file = {
        "file__name": name,
        "file__size": random.randrange(40_000, 4_000_000),
        "file__hash__sha256": f"{random.getrandbits(256):064x}",
        "file__mime_type": "application/pdf" if name.endswith("pdf") else "image/jpeg",
    }
    started = by_citizen(person, "procedure_started", **common, **procedure, almena__procedure__stage="open")
    upload = by_citizen(person, "document_uploaded", **common, **procedure, **file)
    return [Draft(at, "tramites", started), Draft(at + random.uniform(10, 60), "tramites", upload)]


def payment(random: Random, cast: Cast) -> list[Draft]:
    """A citizen gets a payment line and nearly always pays it."""
    person = someone(random, cast)
    line = {
        "almena__payment__line": f"L{random.randrange(10**10):010d}",
        "almena__payment__concept": random.choice(_CONCEPTS),
        "almena__payment__amount": f"{random.lognormvariate(6.8, 0.8):.2f}",
        "almena__payment__currency": "MXN",
        "almena__payment__channel": random.choice(("portal", "portal", "kiosco", "banco")),
        "almena__account__holder_rfc": person.rfc,
    }
    drafts = [Draft(0, "payments", by_citizen(person, "line_created", **line, almena__payment__status="created"))]
    wait = random.lognormvariate(4.0, 0.6)
    if random.random() < 0.93:
        how = {"almena__payment__method": random.choice(("spei", "tarjeta", "oxxo")), "almena__payment__status": "paid"}
        drafts.append(Draft(wait, "payments", by_citizen(person, "line_paid", **line, **how)))
    else:
        body = by_citizen(person, "line_expired", **line, almena__payment__status="expired")
        drafts.append(Draft(wait, "payments", body | {"almena.actor.kind": "service"}))
    return drafts


def refund(random: Random, cast: Cast) -> list[Draft]:
    """A citizen asks for a refund, one official captures it, another approves it, the treasury pays it.

    The bank's answer to the payout closes its reconciliation.
    """
    person = someone(random, cast)
    captures, approves = random.sample(cast.officials["sfa"], 2)
    fields = {
        "almena__payment__refund_of": f"L{random.randrange(10**10):010d}",
        "almena__payment__amount": f"{random.lognormvariate(6.5, 0.7):.2f}",
        "almena__payment__currency": "MXN",
        "almena__account__clabe": person.clabe,
        "almena__account__holder_rfc": person.rfc,
    }
    both = fields | {"almena__payment__captured_by": captures.user, "almena__payment__approved_by": approves.user}
    at = random.uniform(60, 240)
    paid = at + random.uniform(20, 90)
    closed = by_official(approves, "reconciliation_closed", almena__payment__status="reconciled")
    return [
        Draft(0, "payments", by_citizen(person, "refund_requested", **fields)),
        Draft(at, "payments", by_official(approves, "refund_approved", **both)),
        Draft(paid, "payments", by_official(approves, "refund_paid", **both)),
        Draft(paid + 0.2, "payments", closed | {"almena.actor.kind": "service"}),
    ]


def new_clabe(random: Random, cast: Cast) -> list[Draft]:
    """A citizen changes bank, through the portal and with a procedure."""
    person = someone(random, cast)
    body = by_citizen(
        person,
        "clabe_changed",
        almena__account__previous_clabe=person.clabe,
        almena__account__clabe=identifiers.clabe(random),
        almena__account__holder_rfc=person.rfc,
        almena__payment__channel="portal",
        almena__procedure__id=f"T-{random.randrange(10**6):06d}",
    )
    return [Draft(0, "payments", body)]


def folio_lookup(random: Random, cast: Cast) -> list[Draft]:
    """A citizen looks at one or two folios of the registry."""
    person = someone(random, cast)
    return [
        Draft(
            number * random.uniform(10, 50),
            "registry",
            by_citizen(person, "folio_viewed", almena__folio__id=f"FR-{random.randrange(10**6):06d}"),
        )
        for number in range(random.randint(1, 2))
    ]


def deed(random: Random, cast: Cast) -> list[Draft]:
    """A notary files a deed and a registrar records and annotates it under its procedure."""
    number = random.randrange(len(cast.notaries))
    notary, registrar = cast.notaries[number], random.choice(cast.officials["rpp"])
    folio = {"almena__folio__id": f"FR-{random.randrange(10**6):06d}"}
    open_one = {
        "almena__procedure__id": f"R-{random.randrange(10**6):06d}",
        "almena__procedure__type": "traslado de dominio",
        "almena__procedure__stage": "review",
    }
    who = {"almena__notary__id": f"NP-{number + 1:03d}"}
    old, new = someone(random, cast).name, someone(random, cast).name
    change = {"almena__folio__field": "titular", "almena__folio__before": old, "almena__folio__after": new}
    return [
        Draft(0, "registry", by_official(notary, "notary_login", **who)),
        Draft(20, "registry", by_official(notary, "folio_viewed", **who, **folio)),
        Draft(50, "registry", by_official(notary, "seal_used", **who, **folio, **open_one)),
        Draft(140, "registry", by_official(registrar, "folio_changed", **folio, **open_one, **change)),
        Draft(140.2, "registry", by_official(registrar, "annotation_added", **folio, **open_one)),
        Draft(170, "registry", by_official(registrar, "certificate_issued", **folio, **open_one)),
    ]


def candidate(random: Random, cast: Cast) -> list[Draft]:
    """A teacher looks at their own place in the list."""
    person = someone(random, cast)
    fields = {"almena__post__call": "DOC-2026-A", "almena__post__candidate": f"ASP-{random.randrange(9000):05d}"}
    return [Draft(0, "posts", by_citizen(person, "candidate_viewed", **fields))]


def scoring(random: Random, cast: Cast) -> list[Draft]:
    """An evaluator captures a score while the call is open; another official assigns a post of an older call."""
    evaluator, assigner = random.sample(cast.officials["see"], 2)
    score = round(random.uniform(55, 98), 1)
    captured = by_official(
        evaluator,
        "score_changed",
        almena__post__call="DOC-2026-A",
        almena__post__candidate=f"ASP-{random.randrange(9000):05d}",
        almena__post__score__before=0.0,
        almena__post__score__after=score,
    )
    assigned = by_official(
        assigner,
        "post_assigned",
        almena__post__call="DOC-2025-B",
        almena__post__candidate=f"ANT-{random.randrange(9000):05d}",
        almena__post__rank=random.randrange(1, 400),
    )
    return [Draft(0, "posts", captured), Draft(random.uniform(5, 60), "posts", assigned)]


def api_calls(random: Random, cast: Cast) -> list[Draft]:
    """A program of one agency asks another's service for a few people."""
    client = random.choice(cast.clients)
    drafts = []
    for number in range(random.randint(3, 9)):
        refused = random.random() < 0.005
        body = {
            "event.action": "call",
            "event.outcome": "failure" if refused else "success",
            "almena.actor.kind": "service",
            "source.ip": client.ip,
            "almena.api.client": client.name,
            "almena.api.token_id": client.token,
            "almena.api.scope": "personas:read",
            "almena.api.agency_from": client.agency,
            "almena.api.agency_to": client.owner,
            "almena.api.endpoint": client.endpoint,
            "almena.api.records": 0 if refused else random.randint(1, 40),
            "http.request.method": "GET",
            "http.response.status_code": 401 if refused else 200,
            "url.path": client.endpoint,
        }
        drafts.append(Draft(number * random.uniform(0.5, 3), "api", body))
    return drafts


def office_day(random: Random, cast: Cast) -> list[Draft]:
    """An official logs in, to the domain and to the identity service, and looks up a few people."""
    agency = random.choice([name for name in cast.officials if name != "interop"])
    person = random.choice(cast.officials[agency])
    drafts = [
        Draft(0, "windows", _logon(person, 4624)),
        Draft(0.2, "windows", _ticket(person, "0x12", "SRV-FS-01$")),
        Draft(random.uniform(5, 30), "identity", by_official(person, "login", user__roles=["capturista"])),
    ]
    if random.random() < 0.1:
        drafts.append(Draft(3, "identity", by_official(person, "login_failed", event__outcome="failure")))
    for number in range(random.randint(0, 2)):
        read = by_official(
            person,
            "read",
            almena__citizen__curp=someone(random, cast).curp,
            almena__audit__reason="atención en ventanilla",
            almena__audit__rows=1,
        )
        drafts.append(Draft(60 + number * random.uniform(30, 90), "audit", read))
    drafts.append(Draft(random.uniform(120, 280), "windows", _logon(person, 4634)))
    return drafts


def _logon(person: Person, code: int) -> Windows:
    data = {"TargetUserName": person.user, "TargetDomainName": "MICHOACAN", "LogonType": "3", "IpAddress": person.ip}
    return Windows(code, data, CONTROLLER)


def _ticket(person: Person, encryption: str, service: str) -> Windows:
    data = {
        "TargetUserName": f"{person.user}@MICHOACAN.LOCAL",
        "ServiceName": service,
        "TicketEncryptionType": encryption,
        "IpAddress": f"::ffff:{person.ip}",
        "Status": "0x0",
    }
    return Windows(4769, data, CONTROLLER)


def domain_machines(random: Random, cast: Cast) -> list[Draft]:
    """Computers of the domain renew their tickets."""
    agency = random.choice(list(cast.officials))
    person = random.choice(cast.officials[agency])
    machine = person._replace(user=f"PC-{agency.upper()}-{person.ip.rpartition('.')[2]}$")
    return [
        Draft(0, "windows", _ticket(machine, "0x12", "krbtgt")),
        Draft(0.4, "windows", _logon(machine, 4624)),
        Draft(random.uniform(5, 60), "windows", _logon(machine, 4634)),
    ]


def administrator(random: Random, cast: Cast) -> list[Draft]:
    """An administrator enters a server by SSH and runs a command or two through sudo."""
    person = random.choice(cast.officials["cdo"][:4])
    number = random.randrange(len(SERVERS))
    host, source = SERVERS[number], "servers-udp" if number < 2 else "servers-tcp"
    pid, port = random.randrange(1000, 60000), random.randrange(40000, 60000)
    key = f"ED25519 SHA256:{random.getrandbits(120):030x}"
    lines = [
        (0.0, "sshd", f"Accepted publickey for {person.user} from {person.ip} port {port} ssh2: {key}"),
        (
            0.2,
            "sshd",
            f"pam_unix(sshd:session): session opened for user {person.user}(uid=1001) by {person.user}(uid=0)",
        ),
    ]
    at = random.uniform(5, 30)
    for command in random.sample(("systemctl status nginx", "journalctl -u nginx -n 50", "apt-get update", "df -h"), 2):
        said = f"{person.user} : TTY=pts/0 ; PWD=/home/{person.user} ; USER=root ; COMMAND=/usr/bin/{command}"
        lines.append((at, "sudo", said))
        at += random.uniform(5, 40)
    lines.append((at, "sshd", f"Disconnected from user {person.user} {person.ip} port {port}"))
    return [Draft(after, source, Line(host, program, text, pid)) for after, program, text in lines]


def housekeeping(random: Random, cast: Cast) -> list[Draft]:
    """Servers run their scheduled jobs."""
    number = random.randrange(len(SERVERS))
    source = "servers-udp" if number < 2 else "servers-tcp"
    pid = random.randrange(1000, 60000)
    program, text, priority = random.choice(
        (
            ("CRON", "(root) CMD (/usr/lib/sysstat/sa1 1 1)", 78),
            ("systemd", "Started logrotate.service - Rotate log files.", 30),
            ("systemd-timesyncd", "Contacted time server 10.20.1.5:123 (ntp.michoacan.local).", 30),
            ("chronyd", "Selected source 10.20.1.5", 30),
        )
    )
    return [Draft(0, source, Line(SERVERS[number], program, text, pid, priority))]


def background_noise(random: Random, cast: Cast) -> list[Draft]:
    """The internet knocks: a stray SSH attempt, or a page that is not there."""
    address = f"192.0.2.{random.randrange(1, 255)}"
    if random.random() < 0.4:
        text = f"Failed password for root from {address} port {random.randrange(40000, 60000)} ssh2"
        return [Draft(0, "servers-udp", Line(SERVERS[0], "sshd", text, random.randrange(1000, 60000)))]
    target = random.choice(("/robots.txt", "/favicon.ico", "/wp-login.php", "/.well-known/security.txt"))
    return [Draft(0, "portal-nginx", Request(address, target, 404, 153, "Mozilla/5.0 (compatible; bot/1.0)"))]


FILLERS: tuple[tuple[Activity, float], ...] = (
    (portal_visit, 0.46),
    (payment, 0.16),
    (folio_lookup, 0.06),
    (candidate, 0.05),
    (api_calls, 0.11),
    (domain_machines, 0.10),
    (housekeeping, 0.06),
)
"""Activities that grow with the rate, and their shares of it."""

REGULARS: tuple[tuple[Activity, float], ...] = (
    (refund, 2.0),
    (new_clabe, 0.5),
    (deed, 3.0),
    (scoring, 2.0),
    (office_day, 6.0),
    (administrator, 1.5),
    (background_noise, 1.5),
)
"""Activities of so many a minute whatever the rate: officials do not work faster when citizens come."""
