"""What Almena says on a terminal, in Spanish and English; `language` of the configuration chooses."""

from __future__ import annotations

TEXTS: dict[str, dict[str, str]] = {
    "es": {
        "console": "consola en {url}",
        "once_password": "usuario {user}, contraseña de un solo uso {password}",
        "own_password": "usuario {user}, con la contraseña que usted eligió",
        "simulated": "tráfico simulado; horas de {zone}; Ctrl-C detiene todo",
        "events": "eventos {count}",
        "rate": "eventos {count} ({rate}/s)",
        "alerts": "alertas {count}",
        "rules": "reglas {count}",
        "dead_letters": "sin entender {count}",
        "drops": "perdidos {count}",
        "restarts": "reinicios {count}",
        "no_alerts": "todavía no hay alertas; la primera tarda unos segundos",
        "stopped": "Todo se detuvo en orden.",
        "scene": "escena",
        "alerts_column": "alertas",
        "sum": "enviados {sent} = guardados {kept} + sin entender {dead} + perdidos {lost}",
        "missing": "faltan {count}",
        "broken": "{count} enviados debían quedar sin entender",
        "took": "alertas {count} · enviado en {sent:.1f} s · terminado en {whole:.1f} s",
        "scene_missed": "escena sin alerta: {scene} ({rule})",
        "none_missed": "ninguna escena quedó sin alerta",
        "guess_sum": "{file}: {records} registros, entendidos {share}",
        "guess_format": "formato",
        "guess_records": "registros",
        "guess_none": "(ninguno)",
        "guess_field": "campo",
        "guess_unknown": "lo que ningún formato entiende, por su plantilla",
        "guess_write": 'En la configuración de su fuente: parser = "{parser}"',
        "source": "fuente",
        "agency": "dependencia",
        "last_seen": "última vez",
        "events_column": "eventos",
        "late_column": "tardíos",
        "dead_column": "sin entender",
        "drops_column": "perdidos",
        "topic": "tema",
        "group": "lo lee",
        "unread": "por leer",
        "delay": "espera",
        "heard": "última señal",
        "outbox": "avisos por salir {waiting} · no entregados {failed}",
        "spool": "en disco a que vuelva el bus {count} ({share})",
        "no_sources": "todavía no ha llegado nada de ninguna fuente",
        "good": "todo bien",
        "move_progress": "{kind}: {done} de {whole}",
        "move_kind": "{kind}: {moved} llevados · {there} ya estaban · {only} solo en el destino",
        "move_different": "falta en el destino o es distinto",
        "move_refused": "el destino no lo acepta",
        "move_good": "Los dos almacenes tienen lo mismo.",
        "move_bad": "{count} clases no quedaron iguales. Lo distinto del destino no se tocó: bórrelo allí o "
        "empiece con un destino vacío, y repita la orden.",
        "move_bad_live": "{count} clases no quedaron iguales: el origen cambiaba mientras tanto. Detenga los roles y "
        "repita la orden sin `--live`.",
    },
    "en": {
        "console": "console at {url}",
        "once_password": "user {user}, one-time password {password}",
        "own_password": "user {user}, with the password you chose",
        "simulated": "simulated traffic; times in {zone}; Ctrl-C stops everything",
        "events": "events {count}",
        "rate": "events {count} ({rate}/s)",
        "alerts": "alerts {count}",
        "rules": "rules {count}",
        "dead_letters": "not understood {count}",
        "drops": "lost {count}",
        "restarts": "restarts {count}",
        "no_alerts": "no alerts yet; the first takes a few seconds",
        "stopped": "Everything stopped in good order.",
        "scene": "scene",
        "alerts_column": "alerts",
        "sum": "sent {sent} = kept {kept} + not understood {dead} + lost {lost}",
        "missing": "{count} missing",
        "broken": "{count} sent should not have been understood",
        "took": "alerts {count} · sent in {sent:.1f} s · done in {whole:.1f} s",
        "scene_missed": "scene without an alert: {scene} ({rule})",
        "none_missed": "no scene went without an alert",
        "guess_sum": "{file}: {records} records, understood {share}",
        "guess_format": "format",
        "guess_records": "records",
        "guess_none": "(none)",
        "guess_field": "field",
        "guess_unknown": "what no format understands, by its template",
        "guess_write": 'In the configuration of its source: parser = "{parser}"',
        "source": "source",
        "agency": "agency",
        "last_seen": "last seen",
        "events_column": "events",
        "late_column": "late",
        "dead_column": "not understood",
        "drops_column": "lost",
        "topic": "topic",
        "group": "read by",
        "unread": "unread",
        "delay": "waiting",
        "heard": "last heard",
        "outbox": "notifications to go {waiting} · not delivered {failed}",
        "spool": "on disk until the bus is back {count} ({share})",
        "no_sources": "nothing has come from any source yet",
        "good": "all is well",
        "move_progress": "{kind}: {done} of {whole}",
        "move_kind": "{kind}: {moved} moved · {there} there already · {only} only in the target",
        "move_different": "missing in the target, or different",
        "move_refused": "the target does not take it",
        "move_good": "Both stores hold the same.",
        "move_bad": "{count} kinds are not the same. What differs in the target was not touched: delete it there or "
        "begin with an empty target, and give the command again.",
        "move_bad_live": "{count} kinds are not the same: the source changed meanwhile. Stop the roles and give the "
        "command again without `--live`.",
    },
}
"""By language and name; what stands in braces is filled in."""

SCENES: dict[str, dict[str, str]] = {
    "es": {
        "self_approved_refund": "una misma persona captura y aprueba una devolución",
        "folio_without_procedure": "un folio real cambia sin trámite",
        "sql_injection": "inyección SQL en el portal",
        "web_shell": "programa intruso en el servidor web",
        "ssh_break_in": "contraseñas probadas por SSH hasta entrar",
        "credential_stuffing": "contraseñas robadas probadas en el portal",
        "clabe_switched": "CLABE cambiada antes de una devolución",
        "curp_enumeration": "CURP adivinadas en serie",
        "score_changed": "puntajes y lista cambiados tras el cierre",
        "domain_raid": "asalto al dominio de Windows",
        "api_copy": "copia de datos por la API",
        "identity_abuse": "abuso de permisos y de e.firma",
        "refund_ring": "devoluciones de muchos a una sola CLABE",
        "clabe_there_and_back": "CLABE cambiada para un pago y luego devuelta a su lugar",
        "stolen_account": "cuenta robada que consulta a mucha gente",
        "sliced_copy": "padrón copiado en partes por la API",
        "portal_robot": "un programa recorre el portal",
        "stranger_network": "entrada desde una red desconocida",
    },
    "en": {
        "self_approved_refund": "one person captures and approves a refund",
        "folio_without_procedure": "a property folio changes without a procedure",
        "sql_injection": "SQL injection on the portal",
        "web_shell": "an intruder's program on the web server",
        "ssh_break_in": "passwords tried by SSH until one opens",
        "credential_stuffing": "stolen passwords tried on the portal",
        "clabe_switched": "a CLABE changed before a refund",
        "curp_enumeration": "CURPs guessed in series",
        "score_changed": "scores and list changed after the close",
        "domain_raid": "raid on the Windows domain",
        "api_copy": "data copied through the API",
        "identity_abuse": "abuse of permissions and of e.firma",
        "refund_ring": "refunds of many to one CLABE",
        "clabe_there_and_back": "a CLABE changed for one payment and put back",
        "stolen_account": "a stolen account looks many people up",
        "sliced_copy": "a register copied in slices through the API",
        "portal_robot": "a program walks the portal",
        "stranger_network": "a sign-in from an unknown network",
    },
}
"""The demo's scenes by language and name."""


class Texts:
    """The texts of one language.

    >>> Texts("en")("alerts", count=3)
    'alerts 3'
    """

    def __init__(self, language: str) -> None:
        """`language` is `es` or `en`."""
        self._texts, self._scenes = TEXTS[language], SCENES[language]

    def __call__(self, name: str, **values: object) -> str:
        """The text of that name, filled in."""
        return self._texts[name].format(**values)

    def scene(self, name: str) -> str:
        """What a scene of the demo is called."""
        return self._scenes.get(name, name)
