"""The alert of a flood: more comes of a source than can be taken, until it ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from almena.alert import Alert, alert_id, build
from almena.clock import format_time, parse_time
from almena.words import render, safe

RULE: dict[str, Any] = {"id": "almena.flood", "name": "Flooded source", "version": "1", "tags": []}

STAGES = {"near": 1, "full": 2, "over": 3}
"""The stages a flood is told in; a later one replaces an earlier one."""

WORDS = {
    "es": {
        "title": "Fuente desbordada",
        "why_it_matters": "Mientras dura, se tarda en ver lo que llega de esa fuente, y si es por UDP se pierde. "
        "Inundar los registros es una manera de esconder un ataque entre ellos; también inunda un equipo descompuesto.",
        "what_to_do": "Vea qué equipo manda más y qué repite. Si es un ataque o un error suyo, deténgalo ahí o en la "
        "red; los demás remitentes conservan su parte. Si es así su tráfico normal, páselo a TCP o RELP, aumente "
        "`backlog` o reparta la fuente entre más procesos.",
        "false_positives": "Un equipo que manda de golpe lo que guardó, pruebas de carga, un bus o un disco lentos.",
    },
    "en": {
        "title": "Flooded source",
        "why_it_matters": "While it lasts, what comes of that source is seen late, and over UDP it is lost. Flooding "
        "the logs is a way to hide an attack among them; a broken machine floods too.",
        "what_to_do": "See which machine sends most and what it repeats. If it is an attack or a fault, stop it there "
        "or in the network; other senders keep their share. If its usual traffic is like this, move it to TCP or "
        "RELP, raise `backlog`, or share the source out among more processes.",
        "false_positives": "A machine that sends at once what it had kept, load tests, a slow bus or disk.",
    },
}

HAPPENED = {
    "es": {
        "near": "Llega de {almena.source.name} más de lo que se alcanza a guardar: lo que espera ocupa nueve décimas "
        "de su lugar. Quien más manda: {sender}.",
        "full": "Llega de {almena.source.name} más de lo que se alcanza a guardar y no queda lugar; hasta "
        "ahora se perdieron {lost} registros. Quien más manda: {sender}.",
        "over": "Terminó a las {until} la inundación de {almena.source.name} que comenzó a las {since}; se perdieron "
        "{lost} registros. Quien más mandaba: {sender}.",
    },
    "en": {
        "near": "More comes of {almena.source.name} than can be stored: what waits takes nine tenths of its room. Who "
        "sends most: {sender}.",
        "full": "More comes of {almena.source.name} than can be stored, and there is no room left; {lost} records "
        "were lost so far. Who sends most: {sender}.",
        "over": "The flood of {almena.source.name} that began at {since} was over at {until}; {lost} records were "
        "lost. Who sent most: {sender}.",
    },
}
"""What happened, by stage."""

_MOST = 2**62


def flood_alert(entry: Mapping[str, Any], appended: int) -> Alert:
    """The alert of a stage, as the ledger's entry tells it; raises LookupError, TypeError and ValueError.

    `appended` is when the entry was put on the ledger, microseconds.
    """
    stage, agency = str(entry["stage"]), str(entry["agency"])
    source, sender = str(entry["source"])[:256], str(entry["sender"])[:64]
    since, moment = parse_time(str(entry["since"])), parse_time(str(entry["time"]))
    lost = min(max(int(entry["lost"]), 0), _MOST)
    first = {
        "@timestamp": format_time(since),
        "event.action": f"source-flood-{stage}",
        "organization.id": agency,
        "almena.source.name": source,
    }
    if sender:
        first["source.address"] = sender
    seen = {"sender": sender or None, "lost": lost, "since": said(since), "until": said(moment)}
    view = {**first, **seen}
    words = {
        language: {**texts, "what_happened": render(HAPPENED[language][stage], view)}
        for language, texts in WORDS.items()
    }
    observed = {"feature": "lost_records", "observed": str(lost), "expected": "0"}
    return build(
        identity=alert_id(since, RULE["id"], agency, source, str(since), appended=appended),
        rule=RULE,
        level="high" if lost else "medium",
        reason=words["es"]["what_happened"],
        words=words,
        first=first,
        last={**first, "@timestamp": format_time(max(since, moment))},
        count=1,
        explanation={"condition": RULE["id"], "root": {"kind": "model", "contributions": [observed]}},
        entity=f"almena.source.name={safe(source)}",
        revision=(STAGES[stage], moment),
    )


def said(moment: int) -> str:
    """A moment as people read it, to the second, in UTC."""
    return format_time(moment)[:19].replace("T", " ") + " UTC"
