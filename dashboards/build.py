"""Writes the Grafana dashboards from a short description of their panels: `python dashboards/build.py`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

FOLDER = Path(__file__).parent / "grafana"

_SOURCE = {"type": "prometheus", "uid": "${prometheus}"}
_COLUMNS = 24


@dataclass(frozen=True)
class Panel:
    """One panel: what it is called, what it asks, and how wide it is."""

    title: str
    about: str
    queries: tuple[tuple[str, str], ...]
    """(PromQL, legend) pairs."""
    kind: str = "timeseries"
    """`timeseries`, `stat` or `table`."""
    unit: str = "short"
    width: int = 8
    """Columns of 24."""
    limits: tuple[float, ...] = ()
    """From the first on amber, from the second on red."""
    stack: bool = False


Row = tuple[str, list[Panel]]

_BY_SOURCE = '{source=~"$source"}'

OPERATION: list[Row] = [
    (
        "Estado",
        [
            Panel(
                "Latido de los roles",
                "Segundos desde el último paso de cada rol. Más de un minuto: el rol está detenido.",
                (("stage:almena_heartbeat_timestamp_seconds:age", "{{stage}}"),),
                kind="stat",
                unit="s",
                width=6,
                limits=(30, 60),
            ),
            Panel(
                "Alertas en la última hora",
                "Alertas guardadas, por nivel.",
                (("level:almena_alerts:increase1h", "{{level}}"),),
                kind="stat",
                width=6,
            ),
            Panel(
                "Reglas en uso",
                "Reglas de detección cargadas.",
                (("max(almena_rules_loaded)", "en uso"),),
                kind="stat",
                width=4,
            ),
            Panel(
                "Reglas rechazadas",
                "Reglas que no se pudieron cargar; el motivo está en la consola y en `almena rules check`.",
                (("max(almena_rules_rejected)", "rechazadas"),),
                kind="stat",
                width=4,
                limits=(1,),
            ),
            Panel(
                "Reglas en sombra por su costo",
                "Reglas que costaron más de lo permitido: lo que encuentran no avisa a nadie.",
                (('max(almena_rules_shadow{why="budget"})', "en sombra"),),
                kind="stat",
                width=4,
                limits=(1,),
            ),
        ],
    ),
    (
        "Entrada",
        [
            Panel(
                "Registros por segundo, por fuente",
                "Registros recibidos antes de interpretarse.",
                ((f"source:almena_events_received:rate5m{_BY_SOURCE}", "{{source}}"),),
                unit="reqps",
                width=12,
            ),
            Panel(
                "Registros perdidos, por fuente y motivo",
                "Registros que se perdieron para siempre. Lo normal es cero.",
                (
                    (
                        f"sum by (source, reason) (rate(almena_events_dropped_total{_BY_SOURCE}[$__rate_interval]))",
                        "{{source}}: {{reason}}",
                    ),
                ),
                unit="reqps",
                width=12,
            ),
            Panel(
                "Retraso al entrar",
                "Del momento del evento al momento en que quedó guardado en el bus.",
                (
                    ("almena:almena_event_delay_seconds:p50_rate5m", "mediana"),
                    ("almena:almena_event_delay_seconds:p99_rate5m", "99 %"),
                ),
                unit="s",
            ),
            Panel(
                "Desde el último evento de cada fuente",
                "Cuánto hace que cada fuente habló por última vez.",
                (
                    (
                        f"time() - max by (source, agency) (almena_source_last_event_timestamp_seconds{_BY_SOURCE})",
                        "{{source}} ({{agency}})",
                    ),
                ),
                kind="table",
                unit="s",
            ),
            Panel(
                "Cartas muertas, por fuente e intérprete",
                "Registros que no se entendieron. Están sellados y se pueden volver a pasar: `almena dead`.",
                (
                    (
                        f"sum by (source, parser) (rate(almena_events_parse_errors_total{_BY_SOURCE}[5m]))",
                        "{{source}}: {{parser}}",
                    ),
                ),
                unit="reqps",
            ),
            Panel(
                "Tardíos, repetidos y del futuro",
                "Tardíos: no cuentan en ventanas. Repetidos: ya se habían visto. Del futuro: reloj adelantado.",
                (
                    ("sum(rate(almena_events_late_total[$__rate_interval]))", "tardíos"),
                    ("sum(rate(almena_events_repeated_total[$__rate_interval]))", "repetidos"),
                    ("sum(rate(almena_events_future_total[$__rate_interval]))", "del futuro"),
                ),
                unit="reqps",
            ),
            Panel(
                "Cartas muertas guardadas",
                "Cartas muertas que llegaron al almacén en las últimas 24 horas.",
                (("sum by (stage) (increase(almena_dead_letters_total[24h]))", "{{stage}}"),),
                kind="stat",
                limits=(1, 1000),
            ),
            Panel(
                "Recortados antes de leerse",
                "Registros que el bus olvidó antes de que alguien los leyera. Lo normal es cero.",
                (("sum by (topic) (increase(almena_bus_gap_records_total[24h]))", "{{topic}}"),),
                kind="stat",
                limits=(1, 1),
            ),
        ],
    ),
    (
        "Camino",
        [
            Panel(
                "Rezago del bus",
                "Registros que cada rol tiene por leer.",
                (("topic_group:almena_bus_lag_records:sum", "{{topic}} → {{group}}"),),
                width=12,
            ),
            Panel(
                "Espera del bus",
                "Desde hace cuánto espera lo más viejo que cada rol no ha leído.",
                (("max by (topic, group) (almena_bus_delay_seconds)", "{{topic}} → {{group}}"),),
                unit="s",
                width=12,
            ),
            Panel(
                "Bus y almacén",
                "1 mientras responden.",
                (("max(almena_bus_up)", "bus"), ("max(almena_store_up)", "almacén")),
                width=12,
            ),
            Panel(
                "En disco a que vuelva el bus",
                "Lo que los recolectores guardan mientras el bus no recibe, y el lugar que tienen.",
                (("sum(almena_spool_bytes)", "ocupado"), ("sum(almena_spool_limit_bytes)", "lugar")),
                unit="bytes",
                width=12,
            ),
            Panel(
                "Atraso de la marca de agua",
                "Cuánto va el tiempo de los eventos detrás del reloj; incluye la tardanza permitida.",
                (("max by (partition) (almena_watermark_delay_seconds)", "partición {{partition}}"),),
                unit="s",
                width=12,
            ),
            Panel(
                "Duración de un paso (99 %)",
                "Un paso lee, trabaja y confirma.",
                (("stage:almena_step_duration_seconds:p99_rate5m", "{{stage}}"),),
                unit="s",
            ),
            Panel(
                "Reinicios de roles",
                "Roles que murieron y el supervisor volvió a iniciar.",
                (("sum by (stage) (increase(almena_role_restarts_total[1h]))", "{{stage}}"),),
            ),
            Panel(
                "Fallas del almacén",
                "Escrituras que el almacén rechazó o perdió. Lo normal es cero.",
                (("sum(increase(almena_store_write_failures_total[1h]))", "fallas"),),
                limits=(1, 1),
            ),
        ],
    ),
    (
        "Alertas y avisos",
        [
            Panel(
                "Alertas por nivel",
                "Alertas guardadas por hora.",
                (('sum by (level) (increase(almena_alerts_total{agency=~"$agency"}[1h]))', "{{level}}"),),
                stack=True,
            ),
            Panel(
                "Alertas calladas",
                "Alertas guardadas sin aviso, por motivo.",
                (("sum by (reason) (increase(almena_alerts_suppressed_total[1h]))", "{{reason}}"),),
                stack=True,
            ),
            Panel(
                "Avisos por canal",
                "Intentos de avisar, por canal y resultado.",
                (
                    (
                        "sum by (channel, outcome) (increase(almena_notification_attempts_total[1h]))",
                        "{{channel}}: {{outcome}}",
                    ),
                ),
            ),
            Panel(
                "Avisos pendientes",
                "Avisos que esperan entrega. Si no baja, nadie se está enterando.",
                (("max(almena_outbox_depth)", "pendientes"),),
                width=24,
            ),
        ],
    ),
]

DETECTION: list[Row] = [
    (
        "Reglas",
        [
            Panel(
                "Reglas que más coinciden",
                "Eventos que coincidieron en la última hora, las veinte reglas primeras.",
                (("topk(20, sum by (rule_id, level) (increase(almena_rule_matches_total[1h])))", "{{rule_id}}"),),
                kind="table",
                width=12,
            ),
            Panel(
                "Coincidencias por nivel",
                "Eventos que coincidieron con alguna regla, por segundo.",
                (("sum by (level) (rate(almena_rule_matches_total[$__rate_interval]))", "{{level}}"),),
                unit="reqps",
                width=12,
            ),
            Panel(
                "Reglas que más cuestan",
                "Segundos de detect por segundo que se van en cada regla, por muestreo, las veinte primeras.",
                (("topk(20, sum by (rule_id) (rate(almena_rule_seconds_total[$__rate_interval])))", "{{rule_id}}"),),
                unit="s",
                width=12,
            ),
            Panel(
                "Reglas más preguntadas",
                "Eventos en que hubo que evaluar la regla en la última hora, por muestreo, las veinte primeras.",
                (("topk(20, sum by (rule_id) (increase(almena_rule_candidates_total[1h])))", "{{rule_id}}"),),
                kind="table",
                width=12,
            ),
            Panel(
                "Reglas en sombra",
                "Según la configuración, según la propia regla, por su costo, o porque se apoyan en otra.",
                (("max by (why) (almena_rules_shadow)", "{{why}}"),),
            ),
            Panel(
                "Cuáles están en sombra",
                "Buscan, pero lo que encuentran no avisa a nadie; el motivo está en la consola.",
                (("max by (rule_id) (almena_rule_shadow) == 1", "{{rule_id}}"),),
                kind="table",
            ),
            Panel(
                "Conjunto de reglas",
                "Procesos de detect que corren cada conjunto. Más de un conjunto: unos no se han actualizado.",
                (("sum by (hash) (almena_rules_info)", "{{hash}}"),),
                kind="table",
            ),
        ],
    ),
    (
        "Motor",
        [
            Panel(
                "Tiempo por evento",
                "Lo que tarda detect con un evento, medias por lote.",
                (
                    ("almena:almena_detector_event_duration_seconds:p50_rate5m", "mediana"),
                    ("almena:almena_detector_event_duration_seconds:p99_rate5m", "99 %"),
                ),
                unit="s",
            ),
            Panel(
                "Fallas de detectores",
                "Lotes en que un detector falló. Lo normal es cero.",
                (("sum by (detector) (increase(almena_detector_errors_total[1h]))", "{{detector}}"),),
                limits=(1, 1),
            ),
        ],
    ),
    (
        "Memoria de correlación",
        [
            Panel(
                "Tamaño",
                "Lo que ocupan las ventanas y las líneas base de todos los procesos de correlate.",
                (("sum(almena_correlation_state_bytes)", "bytes"),),
                unit="bytes",
            ),
            Panel(
                "Valores guardados",
                "Grupos y líneas base que se recuerdan.",
                (("sum(almena_correlation_state_entries)", "valores"),),
            ),
            Panel(
                "En espera de su hora",
                "Hechos que esperan a que el tiempo de los eventos los pase. Si crecen, una fuente o detect se atrasa.",
                (("max by (partition) (almena_correlation_pending_hits)", "partición {{partition}}"),),
            ),
            Panel(
                "Olvidos por falta de lugar",
                "Valores que salieron de la memoria para hacer lugar. Si no es cero, puede faltar una alerta.",
                (("sum by (detector) (increase(almena_correlation_evictions_total[1h]))", "{{detector}}"),),
                width=12,
                limits=(1, 1),
            ),
            Panel(
                "Daños en lo guardado",
                "Valores guardados que no se pudieron leer y se olvidaron. Lo normal es cero.",
                (("sum by (detector) (increase(almena_state_damaged_total[1h]))", "{{detector}}"),),
                width=12,
                limits=(1, 1),
            ),
            Panel(
                "Coincidencias que no se pudieron contar",
                "Por correlación: faltó un campo por el que se agrupa (group), o el que se cuenta (field).",
                (
                    (
                        "topk(20, sum by (rule_id, reason) (increase(almena_correlation_skipped_total[1h])))",
                        "{{rule_id}}: {{reason}}",
                    ),
                ),
                kind="table",
                width=12,
            ),
            Panel(
                "Tardíos por fuente",
                "Parte de los eventos que llega más tarde de lo permitido y no cuenta en correlaciones.",
                (("source:almena_events_late:ratio_rate5m", "{{source}}"),),
                unit="percentunit",
                width=12,
                limits=(0.01, 0.05),
            ),
            Panel(
                "Cambios de reglas rechazados",
                "Cambios que un proceso no aceptó: sigue con las reglas de antes.",
                (("sum by (stage) (increase(almena_rules_reload_failures_total[24h]))", "{{stage}}"),),
                kind="stat",
                width=24,
                limits=(1, 1),
            ),
        ],
    ),
]


def dashboard(uid: str, title: str, rows: list[Row]) -> dict[str, Any]:
    """A dashboard as Grafana imports it; panels fill rows from left to right."""
    panels: list[dict[str, Any]] = []
    top = 0
    for name, members in rows:
        place = {"h": 1, "w": _COLUMNS, "x": 0, "y": top}
        panels.append({"id": len(panels) + 1, "type": "row", "title": name, "gridPos": place, "collapsed": False})
        top += 1
        left = height = 0
        for panel in members:
            if left + panel.width > _COLUMNS:
                top, left, height = top + height, 0, 0
            tall = 4 if panel.kind == "stat" else 8
            panels.append(_panel(panel, len(panels) + 1, {"h": tall, "w": panel.width, "x": left, "y": top}))
            left, height = left + panel.width, max(height, tall)
        top += height
    return {
        "uid": uid,
        "title": title,
        "tags": ["almena"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": _variables()},
        "panels": panels,
    }


def _variables() -> list[dict[str, Any]]:
    chosen = {"text": ["Todas"], "value": ["$__all"]}
    listed = [
        {
            "name": label,
            "label": text,
            "type": "query",
            "datasource": _SOURCE,
            "query": {"query": f"label_values(almena_events_received_total, {label})", "refId": label},
            "includeAll": True,
            "allValue": ".*",
            "multi": True,
            "current": chosen,
            "refresh": 2,
            "sort": 1,
        }
        for label, text in (("agency", "Dependencia"), ("source", "Fuente"))
    ]
    return [{"name": "prometheus", "label": "Prometheus", "type": "datasource", "query": "prometheus"}, *listed]


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    colours = ("orange", "red") if len(panel.limits) > 1 else ("orange",)
    steps += [{"color": colour, "value": limit} for colour, limit in zip(colours, panel.limits, strict=False)]
    defaults: dict[str, Any] = {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}, "min": 0}
    if panel.kind == "timeseries":
        defaults["custom"] = {"fillOpacity": 10, "stacking": {"mode": "normal" if panel.stack else "none"}}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _options(panel.kind),
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _SOURCE,
                "expr": expression,
                "legendFormat": legend,
                "range": panel.kind == "timeseries",
                "instant": panel.kind != "timeseries",
                "format": "table" if panel.kind == "table" else "time_series",
            }
            for index, (expression, legend) in enumerate(panel.queries)
        ],
    }


def _options(kind: str) -> dict[str, Any]:
    match kind:
        case "stat":
            return {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "textMode": "auto"}
        case "table":
            return {"showHeader": True, "sortBy": [{"displayName": "Value", "desc": True}]}
        case _:
            return {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}


def texts() -> dict[str, str]:
    """Every dashboard's JSON by file name."""
    made = {
        "operacion.json": dashboard("almena-operacion", "Almena — Operación", OPERATION),
        "deteccion.json": dashboard("almena-deteccion", "Almena — Detección", DETECTION),
    }
    return {
        name: msgspec.json.format(msgspec.json.encode(board), indent=2).decode() + "\n" for name, board in made.items()
    }


def main() -> int:
    """Write the files; returns the exit code."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in texts().items():
        (FOLDER / name).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
