"""What the important Windows events say, as a table: by data set and event id, the action and where each datum goes."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

Copies: TypeAlias = tuple[tuple[str, str], ...]
"""ECS field and event datum, in pairs."""


class Meaning(NamedTuple):
    """What one event id says."""

    action: str
    category: tuple[str, ...]
    type: tuple[str, ...]
    copies: Copies = ()
    outcome: str | None = None
    """Fixed outcome; None leaves it to the audit keywords or the status."""


_SUBJECT = (("user.name", "SubjectUserName"), ("user.domain", "SubjectDomainName"), ("user.id", "SubjectUserSid"))
_TARGET = (("user.name", "TargetUserName"), ("user.domain", "TargetDomainName"), ("user.id", "TargetUserSid"))
_TARGET_SID = (("user.name", "TargetUserName"), ("user.domain", "TargetDomainName"), ("user.id", "TargetSid"))
_FROM = (("source.ip", "IpAddress"), ("source.port", "IpPort"))
_PROCESS = (("process.executable", "ProcessName"), ("process.pid", "ProcessId"))
_LOGON = (
    *_TARGET,
    *_FROM,
    *_PROCESS,
    ("source.domain", "WorkstationName"),
    ("winlog.logon.id", "TargetLogonId"),
)
_LOGOFF = (*_TARGET, ("winlog.logon.id", "TargetLogonId"))
_MANAGED = (
    *_SUBJECT,
    ("user.target.name", "TargetUserName"),
    ("user.target.domain", "TargetDomainName"),
    ("user.target.id", "TargetSid"),
)
_GROUP = (
    *_SUBJECT,
    ("group.name", "TargetUserName"),
    ("group.domain", "TargetDomainName"),
    ("group.id", "TargetSid"),
    ("user.target.id", "MemberSid"),
)
_TICKET = (*_TARGET_SID, *_FROM, ("service.name", "ServiceName"))
_OBJECT = (*_SUBJECT, *_PROCESS)
_FLOW = (
    ("process.executable", "Application"),
    ("process.pid", "ProcessID"),
    ("process.pid", "ProcessId"),
    ("source.ip", "SourceAddress"),
    ("source.port", "SourcePort"),
    ("destination.ip", "DestAddress"),
    ("destination.port", "DestPort"),
    ("network.iana_number", "Protocol"),
)
_AUTH, _IAM, _CONFIG = ("authentication",), ("iam",), ("configuration",)
_USER_CHANGE, _GROUP_CHANGE = ("user", "change"), ("group", "change")

_SECURITY: dict[str, Meaning] = {
    "1100": Meaning("logging-service-shutdown", ("process",), ("end",)),
    "1102": Meaning("audit-log-cleared", _IAM, ("admin", "change"), _SUBJECT),
    "4616": Meaning("changed-system-time", ("host",), ("change",), _OBJECT),
    "4624": Meaning("logged-in", _AUTH, ("start",), _LOGON, "success"),
    "4625": Meaning("logon-failed", _AUTH, ("start",), _LOGON, "failure"),
    "4634": Meaning("logged-out", _AUTH, ("end",), _LOGOFF),
    "4647": Meaning("logged-out", _AUTH, ("end",), _LOGOFF),
    "4648": Meaning(
        "logged-in-explicit",
        _AUTH,
        ("start",),
        (
            *_SUBJECT,
            *_FROM,
            *_PROCESS,
            ("user.effective.name", "TargetUserName"),
            ("user.effective.domain", "TargetDomainName"),
            ("destination.domain", "TargetServerName"),
            ("winlog.logon.id", "SubjectLogonId"),
        ),
    ),
    "4656": Meaning("requested-object-handle", ("file",), ("access",), _OBJECT),
    "4657": Meaning("set-registry-value", ("configuration", "registry"), ("change",), _OBJECT),
    "4662": Meaning("accessed-directory-object", _IAM, ("info",), (*_SUBJECT, ("winlog.logon.id", "SubjectLogonId"))),
    "4663": Meaning("accessed-object", ("file",), ("access",), _OBJECT),
    "4672": Meaning("logged-in-special", _IAM, ("admin",), (*_SUBJECT, ("winlog.logon.id", "SubjectLogonId"))),
    "4673": Meaning("called-privileged-service", _IAM, ("admin",), _OBJECT),
    "4688": Meaning(
        "created-process",
        ("process",),
        ("start",),
        (
            *_SUBJECT,
            ("user.effective.name", "TargetUserName"),
            ("user.effective.domain", "TargetDomainName"),
            ("process.executable", "NewProcessName"),
            ("process.pid", "NewProcessId"),
            ("process.command_line", "CommandLine"),
            ("process.command_line", "ProcessCommandLine"),
            ("process.parent.executable", "ParentProcessName"),
            ("process.parent.pid", "ProcessId"),
            ("winlog.logon.id", "SubjectLogonId"),
        ),
    ),
    "4689": Meaning("exited-process", ("process",), ("end",), _OBJECT),
    "4697": Meaning(
        "service-installed", ("iam", "configuration"), ("admin", "change"), (*_SUBJECT, ("service.name", "ServiceName"))
    ),
    **{
        code: Meaning(f"scheduled-task-{what}", ("iam", "configuration"), ("admin", "change"), _SUBJECT)
        for code, what in (
            ("4698", "created"),
            ("4699", "deleted"),
            ("4700", "enabled"),
            ("4701", "disabled"),
            ("4702", "updated"),
        )
    },
    "4719": Meaning("changed-audit-config", ("iam", "configuration"), ("admin", "change"), _SUBJECT),
    **{
        code: Meaning(action, _IAM, ("user", kind), _MANAGED)
        for code, action, kind in (
            ("4720", "added-user-account", "creation"),
            ("4722", "enabled-user-account", "change"),
            ("4723", "changed-password", "change"),
            ("4724", "reset-password", "change"),
            ("4725", "disabled-user-account", "change"),
            ("4726", "deleted-user-account", "deletion"),
            ("4738", "modified-user-account", "change"),
            ("4741", "added-computer-account", "creation"),
            ("4742", "changed-computer-account", "change"),
            ("4743", "deleted-computer-account", "deletion"),
            ("4767", "unlocked-user-account", "change"),
            ("4781", "renamed-user-account", "change"),
        )
    },
    "4740": Meaning(
        "locked-out-user-account",
        _IAM,
        _USER_CHANGE,
        (
            *_SUBJECT,
            ("user.target.name", "TargetUserName"),
            ("user.target.id", "TargetSid"),
            ("source.domain", "TargetDomainName"),
        ),
    ),
    **{
        code: Meaning(action, _IAM, ("group", kind), _GROUP)
        for code, action, kind in (
            ("4727", "added-group-account", "creation"),
            ("4728", "added-member-to-group", "change"),
            ("4729", "removed-member-from-group", "change"),
            ("4730", "deleted-group-account", "deletion"),
            ("4731", "added-group-account", "creation"),
            ("4732", "added-member-to-group", "change"),
            ("4733", "removed-member-from-group", "change"),
            ("4734", "deleted-group-account", "deletion"),
            ("4735", "modified-group-account", "change"),
            ("4737", "modified-group-account", "change"),
            ("4754", "added-group-account", "creation"),
            ("4755", "modified-group-account", "change"),
            ("4756", "added-member-to-group", "change"),
            ("4757", "removed-member-from-group", "change"),
            ("4758", "deleted-group-account", "deletion"),
        )
    },
    "4768": Meaning("kerberos-authentication-ticket-requested", _AUTH, ("start",), _TICKET),
    "4769": Meaning("kerberos-service-ticket-requested", _AUTH, ("start",), _TICKET),
    "4770": Meaning("kerberos-service-ticket-renewed", _AUTH, ("start",), _TICKET),
    "4771": Meaning("kerberos-preauth-failed", _AUTH, ("start",), _TICKET, "failure"),
    "4776": Meaning(
        "credential-validated", _AUTH, ("start",), (("user.name", "TargetUserName"), ("source.domain", "Workstation"))
    ),
    "4778": Meaning("session-reconnected", ("authentication", "session"), ("start",)),
    "4779": Meaning("session-disconnected", ("authentication", "session"), ("end",)),
    "4886": Meaning("certificate-requested", _CONFIG, ("creation",)),
    "4887": Meaning("certificate-issued", _CONFIG, ("creation",)),
    "5136": Meaning("modified-directory-object", ("iam", "configuration"), ("change",), _SUBJECT),
    "5140": Meaning("accessed-network-share", ("network", "file"), ("info", "access"), (*_SUBJECT, *_FROM)),
    "5145": Meaning("checked-network-share-access", ("network", "file"), ("info", "access"), (*_SUBJECT, *_FROM)),
    "5156": Meaning("permitted-connection", ("network",), ("connection", "allowed"), _FLOW),
    "5157": Meaning("blocked-connection", ("network",), ("connection", "denied"), _FLOW),
    "5158": Meaning("permitted-bind", ("network",), ("info", "allowed"), _FLOW),
}

_IMAGE = (
    ("process.executable", "Image"),
    ("process.pid", "ProcessId"),
    ("process.entity_id", "ProcessGuid"),
    ("process.command_line", "CommandLine"),
    ("process.parent.executable", "ParentImage"),
    ("process.parent.command_line", "ParentCommandLine"),
)
_SOURCE_IMAGE = (
    ("process.executable", "SourceImage"),
    ("process.pid", "SourceProcessId"),
    ("process.entity_id", "SourceProcessGUID"),
    ("process.entity_id", "SourceProcessGuid"),
)
_PE = (
    ("original_file_name", "OriginalFileName"),
    ("company", "Company"),
    ("description", "Description"),
    ("product", "Product"),
    ("file_version", "FileVersion"),
)
_REGISTRY = (*_IMAGE, ("registry.path", "TargetObject"))
_FILE = (*_IMAGE, ("file.path", "TargetFilename"))

_SYSMON: dict[str, Meaning] = {
    "1": Meaning(
        "created-process",
        ("process",),
        ("start",),
        (
            *_IMAGE,
            ("process.working_directory", "CurrentDirectory"),
            ("process.parent.pid", "ParentProcessId"),
            ("process.parent.entity_id", "ParentProcessGuid"),
            *((f"process.pe.{field}", datum) for field, datum in _PE),
        ),
    ),
    "2": Meaning("changed-file-time", ("file",), ("change",), _FILE),
    "3": Meaning(
        "network-connection",
        ("network",),
        ("connection", "start", "protocol"),
        (
            *_IMAGE,
            ("source.ip", "SourceIp"),
            ("source.port", "SourcePort"),
            ("source.domain", "SourceHostname"),
            ("destination.ip", "DestinationIp"),
            ("destination.port", "DestinationPort"),
            ("destination.domain", "DestinationHostname"),
            ("network.transport", "Protocol"),
            ("network.protocol", "DestinationPortName"),
        ),
    ),
    "5": Meaning("exited-process", ("process",), ("end",), _IMAGE),
    "6": Meaning("loaded-driver", ("driver",), ("start",), (("file.path", "ImageLoaded"),)),
    "7": Meaning(
        "loaded-library",
        ("library",),
        ("start",),
        (*_IMAGE, ("file.path", "ImageLoaded"), *((f"file.pe.{field}", datum) for field, datum in _PE)),
    ),
    "8": Meaning("created-remote-thread", ("process",), ("change",), _SOURCE_IMAGE),
    "9": Meaning("read-raw-disk", ("process",), ("access",), _IMAGE),
    "10": Meaning("accessed-process", ("process",), ("access",), _SOURCE_IMAGE),
    "11": Meaning("created-file", ("file",), ("creation",), _FILE),
    "12": Meaning("changed-registry-object", ("configuration", "registry"), ("change",), _REGISTRY),
    "13": Meaning("set-registry-value", ("configuration", "registry"), ("change",), _REGISTRY),
    "14": Meaning("renamed-registry-object", ("configuration", "registry"), ("change",), _REGISTRY),
    "15": Meaning("created-file-stream", ("file",), ("creation",), _FILE),
    "17": Meaning("created-pipe", ("file",), ("creation",), (*_IMAGE, ("file.name", "PipeName"))),
    "18": Meaning("connected-pipe", ("file",), ("access",), (*_IMAGE, ("file.name", "PipeName"))),
    "22": Meaning(
        "dns-query", ("network",), ("connection", "protocol", "info"), (*_IMAGE, ("dns.question.name", "QueryName"))
    ),
    "23": Meaning("deleted-file", ("file",), ("deletion",), _FILE),
    "25": Meaning("tampered-process", ("process",), ("change",), _IMAGE),
    "26": Meaning("deleted-file", ("file",), ("deletion",), _FILE),
}

_POWERSHELL: dict[str, Meaning] = {
    "400": Meaning("started-engine", ("process",), ("start",)),
    "403": Meaning("stopped-engine", ("process",), ("end",)),
    "600": Meaning("started-provider", ("process",), ("info",)),
    "800": Meaning("executed-pipeline", ("process",), ("info",)),
    "4103": Meaning("executed-pipeline", ("process",), ("info",)),
    "4104": Meaning("executed-script-block", ("process",), ("info",), (("file.path", "Path"),)),
}

_SYSTEM: dict[str, Meaning] = {
    "104": Meaning("audit-log-cleared", _IAM, ("admin", "change"), _SUBJECT),
    "7045": Meaning(
        "service-installed", ("iam", "configuration"), ("admin", "change"), (("service.name", "ServiceName"),)
    ),
}

DEFENDER = "microsoft-windows-windows defender/operational"
"""The last part of the name of Microsoft Defender's data set: its channel."""

_DEFENDER: dict[str, Meaning] = {
    code: Meaning(action, ("malware",), ("info",), (("rule.name", "ThreatName"),))
    for code, action in (
        ("1006", "found-malware"),
        ("1007", "acted-on-malware"),
        ("1008", "failed-to-act-on-malware"),
        ("1015", "found-suspicious-behavior"),
        ("1116", "detected-malware"),
        ("1117", "acted-on-malware"),
        ("1118", "failed-to-act-on-malware"),
        ("1119", "failed-to-act-on-malware"),
    )
}

MEANINGS: dict[str, dict[str, Meaning]] = {
    DEFENDER: _DEFENDER,
    "security": _SECURITY,
    "sysmon": _SYSMON,
    "powershell": _POWERSHELL,
    "system": _SYSTEM,
}
"""What is known, by the last part of the data set's name and the event id."""
