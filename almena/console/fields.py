"""What fields are called in words, so that nobody has to read schema names at night."""

from __future__ import annotations

import re

from almena.console.i18n import Speak, mark

LABELS = {
    "@timestamp": mark("hora"),
    "almena.account.clabe": mark("CLABE"),
    "almena.account.holder_rfc": mark("RFC del titular"),
    "almena.account.previous_clabe": mark("CLABE anterior"),
    "almena.actor.kind": mark("tipo de usuario"),
    "almena.api.agency_from": mark("dependencia que pide"),
    "almena.api.agency_to": mark("dependencia que responde"),
    "almena.api.client": mark("cliente de API"),
    "almena.api.endpoint": mark("ruta de la API"),
    "almena.api.records": mark("registros leídos"),
    "almena.api.scope": mark("alcance del token"),
    "almena.api.token_id": mark("token"),
    "almena.audit.reason": mark("motivo escrito"),
    "almena.audit.rows": mark("registros exportados"),
    "almena.certificate.not_after": mark("vencimiento del certificado"),
    "almena.certificate.serial": mark("certificado"),
    "almena.certificate.status": mark("estado del certificado"),
    "almena.citizen.curp": mark("CURP"),
    "almena.citizen.rfc": mark("RFC"),
    "almena.folio.after": mark("dato nuevo"),
    "almena.folio.before": mark("dato anterior"),
    "almena.folio.field": mark("parte del folio"),
    "almena.folio.id": mark("folio"),
    "almena.lookup.kind": mark("dato consultado"),
    "almena.lookup.valid": mark("dato válido"),
    "almena.notary.id": mark("notaría"),
    "almena.payment.amount": mark("monto"),
    "almena.payment.approved_by": mark("quien aprobó"),
    "almena.payment.bank": mark("banco"),
    "almena.payment.captured_by": mark("quien capturó"),
    "almena.payment.channel": mark("canal"),
    "almena.payment.concept": mark("concepto"),
    "almena.payment.currency": mark("moneda"),
    "almena.payment.line": mark("línea de pago"),
    "almena.payment.method": mark("forma de pago"),
    "almena.payment.refund_of": mark("línea que se devuelve"),
    "almena.payment.status": mark("estado del pago"),
    "almena.post.call": mark("convocatoria"),
    "almena.post.candidate": mark("aspirante"),
    "almena.post.list": mark("lista de prelación"),
    "almena.post.position": mark("lugar"),
    "almena.post.position.after": mark("lugar nuevo"),
    "almena.post.position.before": mark("lugar anterior"),
    "almena.post.rank": mark("orden"),
    "almena.post.rank.after": mark("orden nuevo"),
    "almena.post.rank.before": mark("orden anterior"),
    "almena.post.score": mark("puntaje"),
    "almena.post.score.after": mark("puntaje nuevo"),
    "almena.post.score.before": mark("puntaje anterior"),
    "almena.procedure.folio": mark("folio del trámite"),
    "almena.procedure.id": mark("trámite"),
    "almena.procedure.stage": mark("etapa del trámite"),
    "almena.procedure.type": mark("tipo de trámite"),
    "almena.session.id": mark("sesión"),
    "almena.source.name": mark("fuente"),
    "destination.bytes": mark("bytes recibidos"),
    "destination.domain": mark("dominio de destino"),
    "destination.ip": mark("destino"),
    "destination.port": mark("puerto de destino"),
    "dns.question.name": mark("nombre consultado"),
    "event.action": mark("acción"),
    "event.code": mark("código del evento"),
    "event.original": mark("registro original"),
    "event.outcome": mark("resultado"),
    "event.reason": mark("motivo"),
    "file.hash.sha256": mark("huella SHA-256"),
    "file.mime_type": mark("tipo de archivo"),
    "file.name": mark("archivo"),
    "file.path": mark("ruta del archivo"),
    "file.size": mark("tamaño del archivo"),
    "group.id": mark("número del grupo"),
    "group.name": mark("grupo"),
    "host.ip": mark("dirección del equipo"),
    "host.name": mark("equipo"),
    "http.request.method": mark("método HTTP"),
    "http.request.referrer": mark("página de procedencia"),
    "http.response.body.bytes": mark("bytes entregados"),
    "http.response.status_code": mark("respuesta HTTP"),
    "message": mark("mensaje"),
    "network.protocol": mark("protocolo"),
    "network.transport": mark("transporte"),
    "organization.id": mark("dependencia"),
    "process.command_line": mark("orden ejecutada"),
    "process.executable": mark("programa"),
    "process.name": mark("proceso"),
    "process.parent.executable": mark("programa padre"),
    "process.parent.name": mark("proceso padre"),
    "process.pid": mark("número de proceso"),
    "process.working_directory": mark("carpeta de trabajo"),
    "registry.path": mark("clave del registro de Windows"),
    "service.name": mark("servicio"),
    "source.bytes": mark("bytes enviados"),
    "source.ip": mark("origen"),
    "source.port": mark("puerto de origen"),
    "url.domain": mark("dominio pedido"),
    "url.original": mark("dirección pedida"),
    "url.path": mark("ruta pedida"),
    "url.query": mark("parámetros pedidos"),
    "user.domain": mark("dominio del usuario"),
    "user.effective.name": mark("usuario con el que actuó"),
    "user.id": mark("número de usuario"),
    "user.name": mark("usuario"),
    "user.roles": mark("roles"),
    "user.target.id": mark("número de la cuenta afectada"),
    "user.target.name": mark("cuenta afectada"),
    "user_agent.original": mark("navegador o programa"),
    "winlog.event_data.ImagePath": mark("programa del servicio"),
    "winlog.event_data.MemberName": mark("cuenta agregada"),
    "winlog.event_data.MemberSid": mark("cuenta agregada (SID)"),
    "winlog.event_data.Properties": mark("permisos usados"),
    "winlog.event_data.ServiceName": mark("servicio de Windows"),
    "winlog.event_data.Status": mark("código de error"),
    "winlog.event_data.SubjectUserName": mark("quien lo hizo"),
    "winlog.event_data.SubjectDomainName": mark("dominio de quien lo hizo"),
    "winlog.event_data.TargetSid": mark("cuenta o grupo (SID)"),
    "winlog.event_data.TargetUserName": mark("cuenta o grupo"),
    "winlog.event_data.TicketEncryptionType": mark("cifrado del boleto"),
}
"""Fields by the word that stands for them inside a sentence."""

FEATURES = {
    "agents": mark("navegadores o programas distintos"),
    "bytes": mark("bytes entregados"),
    "chance_of_new_network": mark("probabilidad de una red nueva"),
    "colleagues_on_network": mark("compañeros en esa red"),
    "error_share": mark("parte de respuestas con error"),
    "errors": mark("respuestas con error"),
    "methods": mark("métodos HTTP distintos"),
    "other_unusual_clients": mark("otros clientes fuera de lo común"),
    "requests": mark("peticiones"),
    "silence": mark("tiempo sin hablar"),
    "source.network": mark("red de origen"),
    "uris": mark("direcciones distintas"),
}
"""What models measure, in words."""

_PLUMBING = re.compile(
    r"""ecs\. | log\. | system\. | source\.address$ | http\.version$ | organization\.id$
      | event\.(?:category|created|dataset|id|ingested|kind|module|provider|sequence|type)$
      | almena\.(?:app|source|misfit)\b
      | winlog\.(?!event_data\.)""",
    re.VERBOSE,
)


def label(name: str, say: Speak) -> str:
    """The word for a field or a model's feature, or nothing when there is none."""
    known = LABELS.get(name) or FEATURES.get(name)
    return say(known) if known else ""


def plumbing(name: str) -> bool:
    """Whether a field says how an event came here rather than what happened."""
    return _PLUMBING.match(name) is not None
