"""The labels in the texts of Windows events, English and Spanish, and the event data that they stand for."""

from __future__ import annotations

_NAMES = """
subject = sujeto / firmante / asunto
creator subject = firmante del creador / sujeto del creador / asunto del creador
target subject = sujeto de destino / firmante de destino / asunto de destino
new logon = nuevo inicio de sesión
logon information = información de inicio de sesión
logon type = tipo de inicio de sesión
account for which logon failed = cuenta con error de inicio de sesión / cuenta para la que falló el inicio de sesión
account whose credentials were used = cuenta cuyas credenciales se usaron / cuenta cuyas credenciales se utilizaron
account that was locked out = cuenta bloqueada / cuenta que se bloqueó
target account = cuenta de destino
new account = nueva cuenta / cuenta nueva
new computer account = nueva cuenta de equipo
computer account that was changed = cuenta de equipo que se cambió / cuenta de equipo modificada
target computer = equipo de destino
account information = información de cuenta / información de la cuenta
service information = información de servicio / información del servicio
user = usuario
member = miembro
group = grupo
new group = nuevo grupo / grupo nuevo
deleted group = grupo eliminado
changed group = grupo modificado
target server = servidor de destino
process information = información de proceso / información del proceso
application information = información de aplicación / información de la aplicación
network information = información de red / información de la red
failure information = información de error / información del error
detailed authentication information = información de autenticación detallada
additional information = información adicional
certificate information = información de certificado
access request information = información de solicitud de acceso
share information = información de recurso compartido / información del recurso compartido
object = objeto
attributes = atributos
changed attributes = atributos modificados / atributos cambiados
filter information = información de filtro / información del filtro
session = sesión
operation = operación
task information = información de tarea
security id = id. de seguridad / identificador de seguridad
account name = nombre de cuenta / nombre de la cuenta
account domain = dominio de cuenta / dominio de la cuenta
logon id = id. de inicio de sesión / identificador de inicio de sesión
logon guid = guid de inicio de sesión
linked logon id = id. de inicio de sesión vinculado / inicio de sesión vinculado
elevated token = token elevado
virtual account = cuenta virtual
restricted admin mode = modo de administrador restringido / modo administrador restringido
impersonation level = nivel de suplantación
network account name = nombre de cuenta de red
network account domain = dominio de cuenta de red
workstation name = nombre de estación de trabajo / nombre de la estación de trabajo
source network address = dirección de red de origen
source address = dirección de origen
source port = puerto de origen
destination address = dirección de destino
destination port = puerto de destino
network address = dirección de red
port = puerto
protocol = protocolo
direction = dirección
client address = dirección de cliente / dirección del cliente
client port = puerto de cliente / puerto del cliente
client name = nombre de cliente / nombre del cliente
session name = nombre de sesión
logon process = proceso de inicio de sesión
authentication package = paquete de autenticación
transited services = servicios transitados
package name (ntlm only) = nombre de paquete (solo ntlm) / nombre de paquete (sólo ntlm)
key length = longitud de clave / longitud de la clave
failure reason = motivo del error / razón del error
status = estado
sub status = subestado / subestado
failure code = código de error
error code = código del error
result code = código de resultado
caller process id = id. de proceso del autor de la llamada / id. de proceso de llamada
caller process name = nombre de proceso del autor de la llamada / nombre de proceso de llamada
process id = id. de proceso / id. del proceso / identificador de proceso
process name = nombre de proceso / nombre del proceso
new process id = id. de nuevo proceso / id. del nuevo proceso / id. de proceso nuevo / nuevo id. de proceso
new process name = nombre de nuevo proceso / nombre del nuevo proceso / nombre de proceso nuevo
creator process id = id. de proceso creador / id. de proceso del creador / id. del proceso creador
creator process name = nombre de proceso creador / nombre de proceso del creador / nombre del proceso creador
process command line = línea de comandos de proceso / línea de comandos del proceso
token elevation type = tipo de elevación de token / tipo de elevación del token
mandatory label = etiqueta obligatoria
exit status = estado de salida
application name = nombre de aplicación / nombre de la aplicación
target server name = nombre de servidor de destino / nombre del servidor de destino
supplied realm name = nombre de dominio kerberos proporcionado / nombre de dominio kerberos suministrado
user id = id. de usuario
service name = nombre de servicio / nombre del servicio
service id = id. de servicio / id. del servicio
service file name = nombre de archivo de servicio / nombre de archivo del servicio
service type = tipo de servicio
service start type = tipo de inicio de servicio / tipo de inicio del servicio
service account = cuenta de servicio / cuenta del servicio
ticket options = opciones de vale / opciones del vale
ticket encryption type = tipo de cifrado de vale / tipo de cifrado del vale
pre-authentication type = tipo de autenticación previa
caller computer name = nombre de equipo del autor de la llamada / nombre de equipo de llamada
logon account = cuenta de inicio de sesión
source workstation = estación de trabajo de origen
group name = nombre de grupo / nombre del grupo
group domain = dominio de grupo / dominio del grupo
privileges = privilegios
user account control = control de cuentas de usuario
old uac value = valor uac anterior
new uac value = nuevo valor uac
sam account name = nombre de cuenta sam
display name = nombre para mostrar
user principal name = nombre principal de usuario
old account name = nombre de cuenta anterior
new account name = nuevo nombre de cuenta / nombre de cuenta nuevo
object server = servidor de objetos / servidor de objeto
object type = tipo de objeto
object name = nombre de objeto / nombre del objeto
object value name = nombre de valor de objeto
handle id = id. de identificador
accesses = accesos
access mask = máscara de acceso
properties = propiedades
share name = nombre de recurso compartido / nombre del recurso compartido
share path = ruta de acceso de recurso compartido / ruta de acceso del recurso compartido
relative target name = nombre de destino relativo
task name = nombre de tarea / nombre de la tarea
task content = contenido de tarea / contenido de la tarea
category = categoría
subcategory = subcategoría
subcategory guid = guid de subcategoría
changes = cambios
filter run-time id = id. de tiempo de ejecución de filtro
layer name = nombre de capa
old value = valor anterior / valor antiguo
new value = valor nuevo / nuevo valor
old value type = tipo de valor anterior
new value type = tipo de valor nuevo
operation type = tipo de operación
requester = solicitante
"""
LABELS: dict[str, str] = {}
"""Labels in lower case, each with the English one that says the same."""
for _line in _NAMES.strip().splitlines():
    _english, _, _spanish = _line.partition(" = ")
    for _each in (_english, *_spanish.split(" / ")):
        LABELS[_each] = _english

ROLES = {
    "subject": "subject",
    "creator subject": "subject",
    "target subject": "target",
    "new logon": "target",
    "account for which logon failed": "target",
    "account whose credentials were used": "target",
    "account that was locked out": "target",
    "target account": "target",
    "new account": "target",
    "new computer account": "target",
    "computer account that was changed": "target",
    "target computer": "target",
    "account information": "target",
    "user": "target",
    "member": "member",
    "group": "group",
    "new group": "group",
    "deleted group": "group",
    "changed group": "group",
    "network information": "network",
    "process information": "process",
    "application information": "process",
    "service information": "service",
    "logon information": "",
    "failure information": "",
    "additional information": "",
    "detailed authentication information": "",
    "certificate information": "",
    "access request information": "",
    "share information": "",
    "filter information": "",
    "changed attributes": "attributes",
    "attributes": "attributes",
    "object": "",
    "session": "",
    "operation": "",
    "task information": "",
    "target server": "",
}
"""Headings, and whose data the labels under them are."""

_DATA = """
subject security id = SubjectUserSid
subject account name = SubjectUserName
subject account domain = SubjectDomainName
subject logon id = SubjectLogonId
target security id = TargetSid
target account name = TargetUserName
target account domain = TargetDomainName
target logon id = TargetLogonId
member security id = MemberSid
member account name = MemberName
group security id = TargetSid
group group name = TargetUserName
group account name = TargetUserName
group group domain = TargetDomainName
group account domain = TargetDomainName
group name = TargetUserName
group domain = TargetDomainName
attributes sam account name = SamAccountName
logon type = LogonType
logon guid = LogonGuid
linked logon id = TargetLinkedLogonId
elevated token = ElevatedToken
virtual account = VirtualAccount
restricted admin mode = RestrictedAdminMode
impersonation level = ImpersonationLevel
workstation name = WorkstationName
source network address = IpAddress
source address = SourceAddress
source port = IpPort
5140 source address = IpAddress
5145 source address = IpAddress
5152 source port = SourcePort
5154 source port = SourcePort
5156 source port = SourcePort
5157 source port = SourcePort
5158 source port = SourcePort
5159 source port = SourcePort
destination address = DestAddress
destination port = DestPort
network address = IpAddress
port = IpPort
protocol = Protocol
direction = Direction
client address = IpAddress
client port = IpPort
4778 client address = ClientAddress
4779 client address = ClientAddress
client name = ClientName
session name = SessionName
4778 account name = AccountName
4779 account name = AccountName
4778 account domain = AccountDomain
4779 account domain = AccountDomain
4778 logon id = LogonID
4779 logon id = LogonID
logon process = LogonProcessName
authentication package = AuthenticationPackageName
4776 authentication package = PackageName
transited services = TransmittedServices
package name (ntlm only) = LmPackageName
key length = KeyLength
failure reason = FailureReason
status = Status
sub status = SubStatus
failure code = Status
error code = Status
result code = Status
caller process id = ProcessId
caller process name = ProcessName
4798 process id = CallerProcessId
4799 process id = CallerProcessId
4798 process name = CallerProcessName
4799 process name = CallerProcessName
process id = ProcessId
process name = ProcessName
new process id = NewProcessId
new process name = NewProcessName
creator process id = ProcessId
creator process name = ParentProcessName
process command line = CommandLine
token elevation type = TokenElevationType
mandatory label = MandatoryLabel
exit status = Status
application name = Application
target server name = TargetServerName
supplied realm name = TargetDomainName
user id = TargetSid
service name = ServiceName
service id = ServiceSid
service file name = ServiceFileName
service type = ServiceType
service start type = ServiceStartType
service account = ServiceAccount
ticket options = TicketOptions
ticket encryption type = TicketEncryptionType
pre-authentication type = PreAuthType
caller computer name = TargetDomainName
logon account = TargetUserName
source workstation = Workstation
privileges = PrivilegeList
user account control = UserAccountControl
old uac value = OldUacValue
new uac value = NewUacValue
display name = DisplayName
user principal name = UserPrincipalName
old account name = OldTargetUserName
new account name = NewTargetUserName
object server = ObjectServer
object type = ObjectType
object name = ObjectName
object value name = ObjectValueName
handle id = HandleId
accesses = AccessList
access mask = AccessMask
properties = Properties
share name = ShareName
share path = ShareLocalPath
relative target name = RelativeTargetName
task name = TaskName
task content = TaskContent
category = CategoryId
subcategory = SubcategoryId
subcategory guid = SubcategoryGuid
changes = AuditPolicyChanges
filter run-time id = FilterRTID
layer name = LayerName
old value = OldValue
new value = NewValue
old value type = OldValueType
new value type = NewValueType
operation type = OperationType
requester = Requester
"""
DATA: dict[str, str] = dict(line.split(" = ", 1) for line in _DATA.strip().splitlines())
"""The name of the datum by the English label, with the event's id or the heading's role before it where they matter."""

FIRST = frozenset(("SubjectUserSid", "SubjectUserName", "SubjectDomainName", "SubjectLogonId", "LogonType", "RuleName"))
FIRST |= {"UtcTime", "ProcessGuid", "ProcessId", "Image", "FileVersion", "Description", "Product", "Company"}
FIRST |= {"OriginalFileName"}
"""What Windows and Sysmon write before anything that a stranger may have chosen."""

LISTS = frozenset(("AccessList", "PrivilegeList", "AuditPolicyChanges", "CommandLine", "TaskContent", "Properties"))
LISTS |= {"UserAccountControl", "ParentCommandLine", "QueryResults", "Details"}
"""Data whose values may hold gaps and lines."""

TRAILERS = (
    "Token Elevation Type indicates",
    "El tipo de elevación de",
    "Tipo de elevación de token indica",
    "This event is generated",
    "This event can be correlated",
    "Este evento se genera",
    "Este evento puede correlacionarse",
    "The subject fields indicate",
    "Certificate information is only provided",
    "La información de certificado solo",
    "La información del certificado solo",
    "Pre-authentication types, ticket options",
    "Ticket options, encryption types",
)
"""How the explanations begin that Windows writes behind the data."""

_SYSMON = """
RuleName UtcTime ProcessGuid ProcessId Image FileVersion Description Product Company OriginalFileName CommandLine
CurrentDirectory User LogonGuid LogonId TerminalSessionId IntegrityLevel Hashes Hash ParentProcessGuid ParentProcessId
ParentImage ParentCommandLine ParentUser TargetFilename CreationUtcTime PreviousCreationUtcTime Protocol Initiated
SourceIsIpv6 SourceIp SourceHostname SourcePort SourcePortName DestinationIsIpv6 DestinationIp DestinationHostname
DestinationPort DestinationPortName ImageLoaded Signed Signature SignatureStatus SourceProcessGuid SourceProcessGUID
SourceProcessId SourceThreadId SourceImage TargetProcessGuid TargetProcessGUID TargetProcessId TargetImage NewThreadId
StartAddress StartModule StartFunction SourceUser TargetUser GrantedAccess CallTrace EventType TargetObject Details
NewName PipeName QueryName QueryStatus QueryResults Operation Name Query Type Destination Consumer Filter Contents
IsExecutable Archived Device Configuration ConfigurationFileHash State Version SchemaVersion ClientInfo Session ID
"""
SYSMON = frozenset(_SYSMON.split())
"""Names of Sysmon's data, which its texts use as they are."""
