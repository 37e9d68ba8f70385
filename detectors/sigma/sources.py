"""Tables of log sources: which Sigma names the channels, event ids, datasets and processes of events stand for."""

from __future__ import annotations

_SERVICES = {
    "security": "Security",
    "application": "Application",
    "system": "System",
    "sysmon": "Microsoft-Windows-Sysmon/Operational",
    "powershell": "Microsoft-Windows-PowerShell/Operational, PowerShellCore/Operational",
    "powershell-classic": "Windows PowerShell",
    "taskscheduler": "Microsoft-Windows-TaskScheduler/Operational",
    "wmi": "Microsoft-Windows-WMI-Activity/Operational",
    "dns-server": "DNS Server",
    "dns-server-audit": "Microsoft-Windows-DNS-Server/Audit, Microsoft-Windows-DNSServer/Audit",
    "dns-server-analytic": "Microsoft-Windows-DNS-Server/Analytical, Microsoft-Windows-DNSServer/Analytical",
    "dns-client": "Microsoft-Windows-DNS Client Events/Operational, Microsoft-Windows-DNS-Client/Operational",
    "driver-framework": "Microsoft-Windows-DriverFrameworks-UserMode/Operational",
    "ntlm": "Microsoft-Windows-NTLM/Operational",
    "dhcp": "Microsoft-Windows-DHCP-Server/Operational",
    "msexchange-management": "MSExchange Management",
    "applocker": "Microsoft-Windows-AppLocker/MSI and Script, Microsoft-Windows-AppLocker/EXE and DLL, "
    "Microsoft-Windows-AppLocker/Packaged app-Deployment, Microsoft-Windows-AppLocker/Packaged app-Execution",
    "printservice-admin": "Microsoft-Windows-PrintService/Admin",
    "printservice-operational": "Microsoft-Windows-PrintService/Operational",
    "codeintegrity-operational": "Microsoft-Windows-CodeIntegrity/Operational",
    "smbclient-security": "Microsoft-Windows-SmbClient/Security",
    "smbclient-connectivity": "Microsoft-Windows-SmbClient/Connectivity",
    "smbserver-connectivity": "Microsoft-Windows-SMBServer/Connectivity",
    "firewall-as": "Microsoft-Windows-Windows Firewall With Advanced Security/Firewall",
    "bits-client": "Microsoft-Windows-Bits-Client/Operational",
    "windefend": "Microsoft-Windows-Windows Defender/Operational",
    "terminalservices-localsessionmanager": "Microsoft-Windows-TerminalServices-LocalSessionManager/Operational",
    "servicebus-client": "Microsoft-ServiceBus-Client/Operational, Microsoft-ServiceBus-Client/Admin",
    "microsoft-servicebus-client": "Microsoft-ServiceBus-Client/Operational, Microsoft-ServiceBus-Client/Admin",
    "ldap": "Microsoft-Windows-LDAP-Client/Debug",
    "ldap_debug": "Microsoft-Windows-LDAP-Client/Debug",
    "security-mitigations": "Microsoft-Windows-Security-Mitigations/Kernel Mode, "
    "Microsoft-Windows-Security-Mitigations/User Mode",
    "diagnosis-scripted": "Microsoft-Windows-Diagnosis-Scripted/Operational",
    "shell-core": "Microsoft-Windows-Shell-Core/Operational",
    "openssh": "OpenSSH/Operational",
    "bitlocker": "Microsoft-Windows-BitLocker/BitLocker Management",
    "vhdmp": "Microsoft-Windows-VHDMP/Operational, Microsoft-Windows-VHDMP-Operational",
    "appxdeployment-server": "Microsoft-Windows-AppXDeploymentServer/Operational",
    "lsa-server": "Microsoft-Windows-LSA/Operational",
    "appxpackaging-om": "Microsoft-Windows-AppxPackaging/Operational",
    "appmodel-runtime": "Microsoft-Windows-AppModel-Runtime/Admin",
    "capi2": "Microsoft-Windows-CAPI2/Operational",
    "certificateservicesclient-lifecycle-system": "Microsoft-Windows-CertificateServicesClient-Lifecycle-System"
    "/Operational",
    "application-experience": "Microsoft-Windows-Application-Experience/Program-Telemetry, "
    "Microsoft-Windows-Application-Experience/Program-Compatibility-Assistant",
    "hyper-v-worker": "Microsoft-Windows-Hyper-V-Worker, Microsoft-Windows-Hyper-V-Worker-Admin",
    "iis-configuration": "Microsoft-IIS-Configuration/Operational",
    "kernel-event-tracing": "Microsoft-Windows-Kernel-EventTracing, Microsoft-Windows-Kernel-EventTracing/Admin",
    "kernel-shimengine": "Microsoft-Windows-Kernel-ShimEngine/Operational, "
    "Microsoft-Windows-Kernel-ShimEngine/Diagnostic",
    "ntfs": "Microsoft-Windows-Ntfs/Operational",
    "sense": "Microsoft-Windows-SENSE/Operational",
}

CHANNELS: dict[str, frozenset[str]] = {}
"""Windows channels in lower case, and the services rules call them."""

for _service, _names in _SERVICES.items():
    for _name in _names.lower().split(", "):
        CHANNELS[_name] = CHANNELS.get(_name, frozenset()) | {_service}

PROVIDERS = {
    "microsoft-windows-sysmon": "sysmon",
    "microsoft-windows-security-auditing": "security",
    "microsoft-windows-powershell": "powershell",
    "powershell": "powershell-classic",
    "service control manager": "system",
}
"""Windows providers in lower case, for records without a channel."""

SYSMON: dict[str, tuple[str, ...]] = {
    "1": ("process_creation",),
    "2": ("file_change",),
    "3": ("network_connection",),
    "4": ("sysmon_status",),
    "5": ("process_termination",),
    "6": ("driver_load",),
    "7": ("image_load",),
    "8": ("create_remote_thread",),
    "9": ("raw_access_thread",),
    "10": ("process_access",),
    "11": ("file_event",),
    "12": ("registry_event", "registry_add", "registry_delete"),
    "13": ("registry_event", "registry_set"),
    "14": ("registry_event", "registry_rename"),
    "15": ("create_stream_hash",),
    "16": ("sysmon_status",),
    "17": ("pipe_created",),
    "18": ("pipe_created",),
    "19": ("wmi_event",),
    "20": ("wmi_event",),
    "21": ("wmi_event",),
    "22": ("dns_query",),
    "23": ("file_delete",),
    "24": ("clipboard_capture",),
    "25": ("process_tampering",),
    "26": ("file_delete", "file_delete_detected"),
    "27": ("file_block", "file_block_executable"),
    "28": ("file_block", "file_block_shredding"),
    "29": ("file_executable_detected",),
    "255": ("sysmon_error",),
}
"""Sysmon's event ids, on Windows and on Linux, and the categories rules call them."""

CATEGORIES: dict[str, dict[str, tuple[str, ...]]] = {
    "sysmon": SYSMON,
    "security": {"4688": ("process_creation",), "4689": ("process_termination",)},
    "powershell": {"4103": ("ps_module",), "4104": ("ps_script",)},
    "powershell-classic": {
        "400": ("ps_classic_start",),
        "600": ("ps_classic_provider_start",),
        "800": ("ps_classic_script",),
    },
    "windefend": {
        str(code): ("antivirus",)
        for code in (1006, 1007, 1008, 1009, 1010, 1011, 1012, 1017, 1018, 1019, 1115, 1116, 1117, 1119)
    },
    "kernel-file": {"12": ("file_access",), "19": ("file_rename",), "26": ("file_delete",), "30": ("file_event",)},
}
"""Windows services, their event ids, and the categories rules call them."""

KERNEL_FILE = "microsoft-windows-kernel-file"
"""The provider of Windows' own file trace."""

PROCESSES = {
    "sshd": "sshd",
    "sshd-session": "sshd",
    "sudo": "sudo",
    "su": "su",
    "cron": "cron",
    "crond": "cron",
    "vsftpd": "vsftpd",
    "clamd": "clamav",
    "freshclam": "clamav",
    "guacd": "guacamole",
    "auditd": "auditd",
    "audisp-syslog": "auditd",
}
"""Unix processes as syslog names them, in lower case, and the services rules call them."""

DATASETS: dict[str, tuple[str, str, str]] = {
    "nginx.access": ("nginx", "webserver", "nginx"),
    "nginx.error": ("nginx", "", "nginx"),
    "apache.access": ("apache", "webserver", "apache access"),
    "apache.error": ("apache", "", "apache error"),
    "iis.access": ("windows", "webserver", "iis"),
    "tomcat.access": ("tomcat", "webserver", "tomcat"),
    "caddy.access": ("caddy", "webserver", "caddy"),
    "network.http": ("network", "proxy webserver", "http"),
    "network.dns": ("network", "dns network", "dns"),
    "network.tls": ("network", "", "tls"),
    "network.flow": ("network", "flow network network_connection", "flow connection"),
    "zeek.http": ("zeek", "proxy webserver", "http"),
    "zeek.dns": ("zeek", "dns network", "dns"),
    "zeek.connection": ("zeek", "flow network network_connection", "conn connection"),
    "zeek.conn": ("zeek", "flow network network_connection", "conn connection"),
    "suricata.eve": ("suricata", "", "eve"),
    "squid.access": ("squid", "proxy", "squid"),
    "squid.log": ("squid", "proxy", "squid"),
    "bluecoat.director": ("bluecoat", "proxy", "proxy"),
    "zscaler_zia.web": ("zscaler", "proxy", "web"),
    "bind.query": ("linux", "dns", "bind"),
    "cisco_umbrella.log": ("cisco", "dns proxy", "umbrella"),
    "cisco.asa": ("cisco", "firewall", "asa"),
    "cisco_asa.log": ("cisco", "firewall", "asa"),
    "cisco.duo": ("cisco", "", "duo"),
    "cisco_duo.auth": ("cisco", "", "duo"),
    "fortinet.firewall": ("fortigate", "firewall", "event traffic"),
    "fortinet_fortigate.log": ("fortigate", "firewall", "event traffic"),
    "panw.panos": ("paloalto", "firewall", "panos"),
    "iptables.log": ("linux", "firewall", "iptables"),
    "pfsense.log": ("pfsense", "firewall", "pfsense"),
    "auditd.log": ("linux", "", "auditd"),
    "auditd_manager.auditd": ("linux", "", "auditd"),
    "system.auth": ("linux", "", "auth"),
    "system.syslog": ("linux", "", "syslog"),
    "aws.cloudtrail": ("aws", "", "cloudtrail"),
    "azure.activitylogs": ("azure", "", "activitylogs"),
    "azure.auditlogs": ("azure", "", "auditlogs"),
    "azure.signinlogs": ("azure", "", "signinlogs"),
    "azure.identity_protection": ("azure", "", "riskdetection"),
    "azure.pim": ("azure", "", "pim"),
    "gcp.audit": ("gcp", "", "gcp.audit"),
    "google_workspace.admin": ("gcp", "", "google_workspace.admin"),
    "google_workspace.login": ("gcp", "", "google_workspace.login"),
    "o365.audit": ("m365", "", "audit exchange threat_detection threat_management"),
    "github.audit": ("github", "", "audit"),
    "atlassian_bitbucket.audit": ("bitbucket", "", "audit"),
    "okta.system": ("okta", "", "okta"),
    "onelogin.events": ("onelogin", "", "onelogin.events"),
    "kubernetes.audit": ("kubernetes", "application", "audit"),
    "kubernetes.audit_logs": ("kubernetes", "application", "audit"),
    "postgresql.log": ("postgresql", "database", "postgresql"),
    "mysql.error": ("mysql", "database", "mysql"),
    "mysql.slowlog": ("mysql", "database", "mysql"),
    "oracle.database_audit": ("oracle", "database", "oracle"),
    "microsoft_sqlserver.audit": ("mssql", "database", "mssql"),
    "modsecurity.auditlog": ("modsecurity", "application", "modsecurity auditlog"),
    "modsecurity.audit": ("modsecurity", "application", "modsecurity auditlog"),
    "clamav.log": ("clamav", "antivirus", "clamav"),
    "eset_protect.event": ("eset", "antivirus", "event"),
    "kaspersky.security_center": ("kaspersky", "antivirus", "security_center"),
    "microsoft_defender_endpoint.log": ("windows", "antivirus", "defender_endpoint"),
    "m365_defender.event": ("windows", "", "m365_defender"),
    "bind.log": ("linux", "dns", "bind"),
    "unbound.log": ("linux", "dns", "unbound"),
    "dnsmasq.log": ("linux", "dns", "dnsmasq"),
    "checkpoint.firewall": ("checkpoint", "firewall", "firewall"),
    "cisco.ftd": ("cisco", "firewall", "ftd"),
    "cisco.ios": ("cisco", "", "ios aaa bgp ldp"),
    "juniper.srx": ("juniper", "firewall", "srx bgp ldp"),
    "sonicwall_firewall.log": ("sonicwall", "firewall", "sonicos"),
    "sophos.xg": ("sophos", "firewall", "xg"),
    "sophos.utm": ("sophos", "firewall proxy", "utm"),
    "watchguard_firebox.log": ("watchguard", "firewall", "firebox"),
    "mikrotik.routeros": ("mikrotik", "firewall", "routeros"),
    "f5.afm": ("f5", "firewall", "afm"),
    "f5.asm": ("f5", "webserver", "asm"),
    "haproxy.log": ("haproxy", "webserver", "haproxy"),
    "mysql.audit": ("mysql", "database", "mysql audit"),
    "mysql.general": ("mysql", "database", "mysql"),
}
"""`event.dataset`, and the product, categories and services rules call it. One that is not here, `x.y`, is
product `x` and service `y`."""

APPLICATIONS = frozenset(
    {"django", "jvm", "kubernetes", "nodejs", "opencanary", "python", "rpc_firewall", "ruby_on_rails"}
    | {"spring", "sql", "velocity"}
)
"""Products whose datasets are of the category `application`."""

PRODUCTS: dict[str, str] = {
    "app": "payments tramites registry posts api identity audit",
    "cisco": "aaa bgp ldp duo",
    "huawei": "bgp ldp",
    "juniper": "bgp ldp",
    "bitbucket": "audit",
    "network": "flow dns tls http",
    "zeek": "conn dce_rpc dns files ftp http kerberos notice ntlm rdp smb_files smb_mapping smtp ssh ssl x509",
}
"""Products and the services that reach rules under their own names, as `product.service`."""

FROM_ECS: dict[tuple[str, str], str] = {
    ("process", "start"): "process_creation",
    ("process", "end"): "process_termination",
    ("file", "creation"): "file_event",
    ("file", "deletion"): "file_delete",
    ("file", "change"): "file_change",
    ("file", "access"): "file_access",
    ("network", "start"): "network_connection",
    ("network", "connection"): "network_connection",
    ("registry", "change"): "registry_set",
    ("registry", "creation"): "registry_add",
    ("registry", "deletion"): "registry_delete",
    ("library", "start"): "image_load",
    ("driver", "start"): "driver_load",
}
"""`event.category` and `event.type` of hosts' own agents, and the categories rules call them."""

SYSTEMS = frozenset({"windows", "linux", "macos"})
"""`host.os.type` of those agents."""
