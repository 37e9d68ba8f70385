"""What the events of other channels say: System, PowerShell, Defender, remote desktop, tasks, firewall, DNS, ..."""

from __future__ import annotations

from collectors.parsers.windows_table import Copies, Meaning, table

DEFENDER = "microsoft-windows-windows defender/operational"
DNS_SERVER = "microsoft-windows-dnsserver/analytical"
DNS_AUDIT = "microsoft-windows-dnsserver/audit"
"""The last part of the names of data sets that need more than copies: their channels."""

_SETS: dict[str, Copies] = {
    "none": (),
    "subject": (
        ("user.name", "SubjectUserName"),
        ("user.domain", "SubjectDomainName"),
        ("user.id", "SubjectUserSid"),
    ),
    "service": (("service.name", "ServiceName"), ("service.name", "param1")),
    "installed": (("service.name", "ServiceName"), ("service.type", "ServiceType")),
    "state": (("service.name", "param1"), ("service.state", "param2")),
    "shutdown": (("user.name", "param7"), ("process.executable", "param1"), ("event.reason", "param3")),
    "script": (("file.path", "ScriptName"), ("file.path", "Path")),
    "threat": (
        ("rule.name", "ThreatName"),
        ("threat.indicator.name", "ThreatName"),
        ("user.name", "User"),
        ("user.name", "DetectionUser"),
        ("process.executable", "ProcessName"),
        ("event.reference", "FWLink"),
        ("file.hash.sha256", "Sha256"),
    ),
    "blocked": (
        ("rule.id", "ID"),
        ("user.name", "User"),
        ("process.executable", "ProcessName"),
        ("file.path", "Path"),
        ("process.command_line", "TargetCommandline"),
        ("process.parent.command_line", "ParentCommandline"),
        ("destination.domain", "Destination"),
    ),
    "setting": (("user.name", "User"), ("registry.path", "NewValue")),
    "session": (
        ("user.name", "User"),
        ("user.name", "Param1"),
        ("user.domain", "Param2"),
        ("source.ip", "Address"),
        ("source.ip", "Param3"),
        ("source.ip", "IPString"),
        ("source.ip", "ClientIP"),
    ),
    "task": (
        ("user.name", "UserContext"),
        ("user.name", "UserName"),
        ("process.executable", "Path"),
        ("process.executable", "ActionName"),
        ("process.pid", "ProcessID"),
        ("process.pid", "EnginePID"),
    ),
    "wmi": (("user.name", "User"), ("source.domain", "ClientMachine")),
    "rule": (
        ("rule.id", "RuleId"),
        ("rule.name", "RuleName"),
        ("user.id", "ModifyingUser"),
        ("process.executable", "ModifyingApplication"),
    ),
    "locker": (
        ("file.path", "FilePath"),
        ("file.path", "FullFilePath"),
        ("process.pid", "TargetProcessId"),
        ("user.id", "TargetUser"),
        ("rule.name", "RuleName"),
        ("rule.id", "RuleId"),
        ("file.hash.sha256", "FileHash"),
    ),
    "transfer": (
        ("url.original", "url"),
        ("user.name", "jobOwner"),
        ("user.name", "User"),
        ("process.executable", "processPath"),
        ("process.pid", "processId"),
    ),
    "query": (("dns.question.name", "QueryName"),),
    "record": (
        ("dns.question.name", "QNAME"),
        ("dns.question.name", "NAME"),
        ("dns.id", "XID"),
        ("network.bytes", "BufferSize"),
        ("event.reason", "Reason"),
        ("source.ip", "Source"),
        ("destination.ip", "Destination"),
    ),
    "ntlm": (
        ("user.name", "UserName"),
        ("user.domain", "DomainName"),
        ("user.domain", "UserDomain"),
        ("source.domain", "WorkstationName"),
        ("source.domain", "Workstation"),
        ("destination.domain", "SChannelName"),
        ("destination.domain", "TargetName"),
    ),
    "share": (
        ("user.name", "UserName"),
        ("source.ip", "ClientName"),
        ("source.domain", "ClientName"),
        ("source.domain", "ComputerName"),
        ("destination.domain", "ServerName"),
    ),
    "integrity": (("file.path", "FileNameBuffer"), ("file.path", "FileName"), ("process.executable", "ProcessName")),
    "database": (("user.name", "param1"), ("event.reason", "param2")),
}

_POWERSHELL = """
400 | Engine Lifecycle | process | start | none |
403 | Engine Lifecycle | process | end | none |
600 | Provider Lifecycle | process | info | none |
800 | Pipeline Execution Details | process | info | none |
4103 | Executing Pipeline | process | info | script |
4104 | Execute a Remote Command | process | info | script |
4105 | Starting Command | process | start | none |
4106 | Stopping Command | process | end | none |
40961 40962 | PowerShell Console Startup | process | start | none |
53504 | PowerShell Named Pipe IPC | process | start | none |
"""
_SYSTEM = """
104 | audit-log-cleared | iam | admin change | subject |
1074 | system-shutdown-initiated | host | end | shutdown |
6005 | event-log-started | host | start | none |
6006 | event-log-stopped | host | end | none |
6008 | system-shutdown-unexpected | host | error | none |
7000 7009 7011 7022 7023 7024 7026 | service-failed | process | error | service | failure
7031 7034 | service-crashed | process | end | service | failure
7035 | service-control-sent | process | change | service |
7036 | service-state-changed | process | change | state |
7040 | service-start-type-changed | configuration | change | service |
7045 | service-installed | iam configuration | admin change | installed |
"""
_APPLICATION = """
1000 | application-crashed | process | end | none | failure
1033 11707 | installed-package | package | installation | none |
1034 11724 | removed-package | package | deletion | none |
18453 18454 | database-login | authentication database | start | database | success
18456 | database-login-failed | authentication database | start | database | failure
"""
_DEFENDER = """
1000 | malware-scan-started | malware | start | threat |
1001 | malware-scan-finished | malware | end | threat | success
1002 | malware-scan-cancelled | malware | end | threat |
1003 | malware-scan-paused | malware | info | threat |
1004 | malware-scan-resumed | malware | info | threat |
1005 | malware-scan-failed | malware | error | threat | failure
1006 1116 | malware-detected | malware | info | threat |
1007 1117 | malware-detected | malware | info | threat |
1008 1118 1119 | malware-action-failed | malware | error | threat | failure
1009 | quarantined-item-restored | malware | info | threat |
1010 | quarantined-item-restore-failed | malware | error | threat | failure
1011 | quarantined-item-deleted | malware | info | threat |
1012 | quarantined-item-delete-failed | malware | error | threat | failure
1013 | malware-history-deleted | malware | deletion | threat |
1014 | malware-history-delete-failed | malware | error | threat | failure
1015 | suspicious-behavior-detected | malware | info | threat |
1120 | threat-hashes-logged | malware | info | threat |
1121 | attack-surface-reduction-blocked | intrusion_detection process | denied | blocked |
1122 | attack-surface-reduction-audited | intrusion_detection process | info | blocked |
1123 | controlled-folder-access-blocked | intrusion_detection file | denied | blocked |
1124 | controlled-folder-access-audited | intrusion_detection file | info | blocked |
1125 | network-protection-audited | intrusion_detection network | info | blocked |
1126 | network-protection-blocked | intrusion_detection network | denied | blocked |
1127 | controlled-folder-sector-blocked | intrusion_detection file | denied | blocked |
1128 | controlled-folder-sector-audited | intrusion_detection file | info | blocked |
1129 | attack-surface-reduction-overridden | intrusion_detection process | allowed | blocked |
1131 1132 1133 1134 | device-control | intrusion_detection host | info | blocked |
1150 1151 | antivirus-health | process | info | none |
2000 2002 | antivirus-updated | configuration | change | none | success
2001 2003 2004 2006 2007 2012 | antivirus-update-failed | configuration | error | none | failure
2010 2011 | antivirus-updated-dynamically | configuration | change | none |
2030 2031 2041 2042 | antivirus-support | process | info | none |
2050 | file-uploaded | file | info | blocked |
2051 | file-upload-failed | file | error | blocked | failure
3002 3007 | real-time-protection-failed | process | error | none | failure
5000 | real-time-protection-enabled | configuration | change | none |
5001 | real-time-protection-disabled | configuration | change | none |
5004 | real-time-protection-changed | configuration | change | none |
5007 | antivirus-configuration-changed | configuration | change | none |
5008 | antivirus-engine-failed | process | error | none | failure
5009 | antispyware-scanning-enabled | configuration | change | none |
5010 | antispyware-scanning-disabled | configuration | change | none |
5011 | antivirus-scanning-enabled | configuration | change | none |
5012 | antivirus-scanning-disabled | configuration | change | none |
5013 | tamper-protection-blocked-change | configuration | denied | none |
5100 | antivirus-grace-period | configuration | info | none |
5101 | antivirus-expired | configuration | info | none |
"""
_LOCAL_SESSIONS = """
21 | session-logon | session | start | session | success
22 | session-shell-started | session | start | session |
23 | session-logoff | session | end | session |
24 | session-disconnected | session | end | session |
25 | session-reconnected | session | start | session | success
39 40 | session-disconnected | session | end | session |
"""
_REMOTE_SESSIONS = """
261 | listener-connection | network | connection start | session |
1149 | remote-desktop-authenticated | authentication session | start | session | success
"""
_RDP_CORE = """
98 | remote-desktop-connected | network session | connection start | session |
131 | remote-desktop-connection-accepted | network session | connection start | session |
140 | remote-desktop-logon-failed | authentication session | start | session | failure
"""
_TASKS = """
100 | task-started | process | start | task |
101 103 | task-failed | process | error | task | failure
102 | task-completed | process | end | task | success
106 | scheduled-task-created | iam configuration | creation admin | task |
107 108 109 110 117 118 119 | task-triggered | process | start | task |
129 | task-process-created | process | start | task |
140 | scheduled-task-updated | iam configuration | change admin | task |
141 | scheduled-task-deleted | iam configuration | deletion admin | task |
142 | scheduled-task-disabled | iam configuration | change admin | task |
200 | task-action-started | process | start | task |
201 | task-action-completed | process | end | task |
202 203 | task-action-failed | process | error | task | failure
"""
_WMI = """
5857 | wmi-provider-started | process | start | wmi |
5858 | wmi-query-failed | process | error | wmi | failure
5859 5860 | wmi-temporary-consumer-registered | process | change | wmi |
5861 | wmi-permanent-consumer-registered | process configuration | change | wmi |
"""
_FIREWALL = """
2002 2003 2082 2083 | windows-firewall-setting-changed | configuration | change | rule |
2004 2071 2097 | windows-firewall-rule-added | configuration | creation | rule |
2005 2073 2099 | windows-firewall-rule-modified | configuration | change | rule |
2006 2052 | windows-firewall-rule-deleted | configuration | deletion | rule |
2008 2009 2032 2060 | windows-firewall-settings-restored | configuration | change | rule |
2010 | windows-firewall-profile-changed | configuration | change | rule |
2011 | windows-firewall-blocked-application | network | denied | rule |
2033 2059 | windows-firewall-rules-deleted | configuration | deletion | rule |
"""
_LOCKER = """
8001 | application-control-applied | configuration | change | none |
8002 8005 8020 8023 | application-allowed | process | start | locker | success
8003 8006 8021 8024 | application-would-be-blocked | process | start | locker |
8004 8007 8022 8025 | application-blocked | process | start denied | locker | failure
"""
_BITS = """
3 | transfer-job-created | network file | creation | transfer |
4 | transfer-job-completed | network file | end | transfer | success
5 | transfer-job-cancelled | network file | end | transfer |
59 | transfer-started | network file | start | transfer |
60 61 | transfer-stopped | network file | end | transfer |
16403 | transfer-job-created | network file | creation | transfer |
"""
_DNS_CLIENT = """
3006 3009 3018 3019 3020 | dns-query-sent | network | protocol info | query |
3008 | dns-query-completed | network | protocol info | query |
"""
_DNS_ANALYTICAL = """
256 259 | LOOK_UP | network | protocol | record |
257 258 279 280 | LOOK_UP | network | protocol | record |
260 261 262 | RECURSE_QUERY | network | protocol | record |
263 264 277 278 | DYNAMIC_UPDATE | network | protocol | record |
265 266 267 268 269 270 271 272 273 274 275 276 | ZONE_XFR | network | protocol | record |
"""
_DNS_AUDIT = """
512 | dns-zone-created | configuration | creation | record |
513 | dns-zone-deleted | configuration | deletion | record |
514 | dns-zone-updated | configuration | change | record |
515 519 | dns-record-created | configuration | creation | record |
516 517 518 520 521 | dns-record-deleted | configuration | deletion | record |
522 523 524 | dns-zone-scope-changed | configuration | change | record |
525 526 527 | dns-zone-signing-changed | configuration | change | record |
536 | dns-cache-purged | configuration | deletion | record |
537 | dns-forwarder-reset | configuration | change | record |
540 | dns-root-hints-changed | configuration | change | record |
541 542 543 | dns-server-setting-changed | configuration | change | record |
560 | dns-statistics-cleared | configuration | change | record |
561 | dns-zone-reloaded | configuration | change | record |
577 578 579 580 581 582 | dns-policy-changed | configuration | change | record |
"""
_NTLM = """
4001 4002 4003 | ntlm-blocked | authentication | start | ntlm | failure
8001 8002 8003 8004 | ntlm-audited | authentication | start | ntlm |
"""
_WINRM = """
6 | remote-shell-session-created | session network | start | none |
91 | remote-shell-session-created | session network | start | none |
169 | remote-shell-user-authenticated | authentication | start | none | success
"""
_SHARES = """
551 | smb-session-authentication-failed | authentication network | start | share | failure
1006 | smb-share-denied | network file | access denied | share | failure
31001 | smb-authentication-failed | authentication network | start | share | failure
31010 | smb-share-connection-failed | network | connection denied | share | failure
"""
_INTEGRITY = """
3001 3002 3003 3004 3023 3033 3063 3077 | code-integrity-blocked | driver file | denied | integrity | failure
3034 3064 3065 3066 3076 | code-integrity-audited | driver file | info | integrity |
3099 | code-integrity-policy-activated | configuration | change | none |
"""

_CLIENT_TS = "microsoft-windows-terminalservices-"
_LOCKERS = ("exe and dll", "msi and script", "packaged app-deployment", "packaged app-execution")
CHANNELS: dict[str, dict[str, Meaning]] = {
    name: table(text, _SETS)
    for name, text in (
        ("powershell", _POWERSHELL),
        ("system", _SYSTEM),
        ("application", _APPLICATION),
        (DEFENDER, _DEFENDER),
        (f"{_CLIENT_TS}localsessionmanager/operational", _LOCAL_SESSIONS),
        (f"{_CLIENT_TS}remoteconnectionmanager/operational", _REMOTE_SESSIONS),
        ("microsoft-windows-remotedesktopservices-rdpcorets/operational", _RDP_CORE),
        ("microsoft-windows-taskscheduler/operational", _TASKS),
        ("microsoft-windows-wmi-activity/operational", _WMI),
        ("microsoft-windows-windows firewall with advanced security/firewall", _FIREWALL),
        *((f"microsoft-windows-applocker/{log}", _LOCKER) for log in _LOCKERS),
        ("microsoft-windows-bits-client/operational", _BITS),
        ("microsoft-windows-dns-client/operational", _DNS_CLIENT),
        ("microsoft-windows-dns client events/operational", _DNS_CLIENT),
        (DNS_SERVER, _DNS_ANALYTICAL),
        ("microsoft-windows-dns-server/analytical", _DNS_ANALYTICAL),
        (DNS_AUDIT, _DNS_AUDIT),
        ("microsoft-windows-dns-server/audit", _DNS_AUDIT),
        ("microsoft-windows-ntlm/operational", _NTLM),
        ("microsoft-windows-winrm/operational", _WINRM),
        ("microsoft-windows-smbserver/security", _SHARES),
        ("microsoft-windows-smbclient/security", _SHARES),
        ("microsoft-windows-codeintegrity/operational", _INTEGRITY),
    )
}
"""Meanings by the last part of the data set's name, which is the channel's, and the event id."""
