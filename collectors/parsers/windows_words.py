"""What Windows writes as numbers, in words: kinds of logon, status codes, Kerberos results, access rights, flags."""

from __future__ import annotations

import re
from functools import lru_cache

from collectors.parsers.common import number

LOGON_TYPES = {
    "0": "System",
    "2": "Interactive",
    "3": "Network",
    "4": "Batch",
    "5": "Service",
    "7": "Unlock",
    "8": "NetworkCleartext",
    "9": "NewCredentials",
    "10": "RemoteInteractive",
    "11": "CachedInteractive",
    "12": "CachedRemoteInteractive",
    "13": "CachedUnlock",
}

STATUS = {
    0x0: "Status OK.",
    0xC0000001: "The operation failed",
    0xC0000005: "Access violation",
    0xC000000D: "An invalid parameter was passed",
    0xC0000022: "Access denied",
    0xC000005E: "There are currently no logon servers available to service the logon request.",
    0xC0000064: "User logon with misspelled or bad user account",
    0xC000006A: "User logon with misspelled or bad password",
    0xC000006C: "The password does not meet the password policy",
    0xC000006D: "This is either due to a bad username or authentication information",
    0xC000006E: "Unknown user name or bad password.",
    0xC000006F: "User logon outside authorized hours",
    0xC0000070: "User logon from unauthorized workstation",
    0xC0000071: "User logon with expired password",
    0xC0000072: "User logon to account disabled by administrator",
    0xC000009A: "Insufficient system resources",
    0xC00000DC: "Indicates the Sam Server was in the wrong state to perform the desired operation.",
    0xC0000133: "Clocks between DC and other computer too far out of sync",
    0xC000015B: "The user has not been granted the requested logon type (aka logon right) at this machine",
    0xC0000166: "The server does not accept this kind of request",
    0xC000018A: "The trust secret of this workstation is missing",
    0xC000018B: "The security database has no computer account for this workstation",
    0xC000018C: (
        "The logon request failed because the trust relationship between the primary domain and the trusted domain "
        "failed."
    ),
    0xC000018D: "The trust relationship between this workstation and the domain failed",
    0xC0000192: "An attempt was made to logon, but the Netlogon service was not started.",
    0xC0000193: "User logon with expired account",
    0xC0000194: "The server cannot serve the session request now",
    0xC0000199: "The account is a trust account of a workstation",
    0xC0000224: "User is required to change password at next logon",
    0xC0000225: "Evidently a bug in Windows and not a risk",
    0xC0000234: "User logon with account locked",
    0xC00002EE: "Failure Reason: An Error occurred during Logon",
    0xC0000320: "The account's certificate needs a smart card",
    0xC0000371: "The local account store does not contain secret material for the specified account",
    0xC0000388: "The target's authentication was downgraded, which may be an attack",
    0xC0000413: (
        "Logon Failure: The machine you are logging onto is protected by an authentication firewall. The specified "
        "account is not allowed to authenticate to the machine."
    ),
    0xC0000418: "NTLM authentication is blocked",
    0x80090302: "The requested function is not supported",
    0x80090308: "The token supplied is invalid",
    0x8009030C: "The logon attempt failed",
    0x8009030E: "No credentials are available",
    0x80090311: "No authority could be contacted",
    0x80090325: "The certificate chain was issued by an untrusted authority",
    0x8009035E: "The encryption type is not available to the KDC",
    0xC000040A: "The smart card is locked",
    0xC0000380: "A wrong PIN was given to the smart card",
}
"""NTSTATUS of logons; words that other pipelines use are theirs."""

_KDC = (
    "NONE NAME_EXP SERVICE_EXP BAD_PVNO C_OLD_MAST_KVNO S_OLD_MAST_KVNO C_PRINCIPAL_UNKNOWN S_PRINCIPAL_UNKNOWN "
    "PRINCIPAL_NOT_UNIQUE NULL_KEY CANNOT_POSTDATE NEVER_VALID POLICY BADOPTION ETYPE_NOTSUPP SUMTYPE_NOSUPP "
    "PADATA_TYPE_NOSUPP TRTYPE_NO_SUPP CLIENT_REVOKED SERVICE_REVOKED TGT_REVOKED CLIENT_NOTYET SERVICE_NOTYET "
    "KEY_EXPIRED PREAUTH_FAILED PREAUTH_REQUIRED SERVER_NOMATCH MUST_USE_USER2USER PATH_NOT_ACCEPTED SVC_UNAVAILABLE"
)
_AP = (
    "BAD_INTEGRITY TKT_EXPIRED TKT_NYV REPEAT NOT_US BADMATCH SKEW BADADDR BADVERSION MSG_TYPE MODIFIED BADORDER "
    "ILL_CR_TKT BADKEYVER NOKEY MUT_FAIL BADDIRECTION METHOD BADSEQ INAPP_CKSUM"
)
KERBEROS = (
    {code: f"KDC_ERR_{name}" for code, name in enumerate(_KDC.split())}
    | {0x1F + code: f"KRB_AP_ERR_{name}" for code, name in enumerate(_AP.split())}
    | {
        0x33: "KRB_AP_PATH_NOT_ACCEPTED",
        0x34: "KRB_ERR_RESPONSE_TOO_BIG",
        0x3C: "KRB_ERR_GENERIC",
        0x3D: "KRB_ERR_FIELD_TOOLONG",
        0x3E: "KDC_ERR_CLIENT_NOT_TRUSTED",
        0x3F: "KDC_ERR_KDC_NOT_TRUSTED",
        0x40: "KDC_ERR_INVALID_SIG",
        0x41: "KDC_ERR_KEY_TOO_WEAK",
        0x42: "KRB_AP_ERR_USER_TO_USER_REQUIRED",
        0x43: "KRB_AP_ERR_NO_TGT",
        0x44: "KDC_ERR_WRONG_REALM",
    }
)
"""Results of Kerberos requests, RFC 4120."""

ENCRYPTION = {
    0x1: "DES-CBC-CRC",
    0x3: "DES-CBC-MD5",
    0x11: "AES128-CTS-HMAC-SHA1-96",
    0x12: "AES256-CTS-HMAC-SHA1-96",
    0x13: "AES128-CTS-HMAC-SHA256-128",
    0x14: "AES256-CTS-HMAC-SHA384-192",
    0x17: "RC4-HMAC",
    0x18: "RC4-HMAC-EXP",
    0xFFFFFFFF: "FAIL",
}

TICKET_OPTIONS = {
    0x40000000: "Forwardable",
    0x20000000: "Forwarded",
    0x10000000: "Proxiable",
    0x08000000: "Proxy",
    0x04000000: "Allow-postdate",
    0x02000000: "Postdated",
    0x01000000: "Invalid",
    0x00800000: "Renewable",
    0x00400000: "Initial",
    0x00200000: "Pre-authent",
    0x00100000: "Opt-hardware-auth",
    0x00080000: "Transited-policy-checked",
    0x00040000: "Ok-as-delegate",
    0x00020000: "Request-anonymous",
    0x00010000: "Name-canonicalize",
    0x00000020: "Disable-transited-check",
    0x00000010: "Renewable-ok",
    0x00000008: "Enc-tkt-in-skey",
    0x00000002: "Renew",
    0x00000001: "Validate",
}

ACCOUNT_FLAGS = {
    0x1: "SCRIPT",
    0x2: "ACCOUNTDISABLE",
    0x8: "HOMEDIR_REQUIRED",
    0x10: "LOCKOUT",
    0x20: "PASSWD_NOTREQD",
    0x40: "PASSWD_CANT_CHANGE",
    0x80: "ENCRYPTED_TEXT_PWD_ALLOWED",
    0x100: "TEMP_DUPLICATE_ACCOUNT",
    0x200: "NORMAL_ACCOUNT",
    0x800: "INTERDOMAIN_TRUST_ACCOUNT",
    0x1000: "WORKSTATION_TRUST_ACCOUNT",
    0x2000: "SERVER_TRUST_ACCOUNT",
    0x10000: "DONT_EXPIRE_PASSWORD",
    0x20000: "MNS_LOGON_ACCOUNT",
    0x40000: "SMARTCARD_REQUIRED",
    0x80000: "TRUSTED_FOR_DELEGATION",
    0x100000: "NOT_DELEGATED",
    0x200000: "USE_DES_KEY_ONLY",
    0x400000: "DONT_REQ_PREAUTH",
    0x800000: "PASSWORD_EXPIRED",
    0x1000000: "TRUSTED_TO_AUTH_FOR_DELEGATION",
    0x4000000: "PARTIAL_SECRETS_ACCOUNT",
}
"""Flags of an account in the directory (`userAccountControl`)."""

ACCESS = {
    0x1: "Create Child",
    0x2: "Delete Child",
    0x4: "List Contents",
    0x8: "SELF",
    0x10: "Read Property",
    0x20: "Write Property",
    0x40: "Delete Tree",
    0x80: "List Object",
    0x100: "Control Access",
    0x10000: "DELETE",
    0x20000: "READ_CONTROL",
    0x40000: "WRITE_DAC",
    0x80000: "WRITE_OWNER",
    0x100000: "SYNCHRONIZE",
    0x1000000: "ADS_RIGHT_ACCESS_SYSTEM_SECURITY",
    0x10000000: "ADS_RIGHT_GENERIC_ALL",
    0x20000000: "ADS_RIGHT_GENERIC_EXECUTE",
    0x40000000: "ADS_RIGHT_GENERIC_WRITE",
    0x80000000: "ADS_RIGHT_GENERIC_READ",
}
"""Rights on an object of the directory."""

SERVICE_TYPES = {
    0x1: "Kernel Driver",
    0x2: "File System Driver",
    0x4: "Adapter",
    0x8: "Recognizer Driver",
    0x10: "Win32 Own Process",
    0x20: "Win32 Share Process",
    0x50: "User Own Process",
    0x60: "User Share Process",
    0x110: "Interactive Own Process",
    0x120: "Interactive Share Process",
}

START_TYPES = {0: "Boot", 1: "System", 2: "Automatic", 3: "Manual", 4: "Disabled"}

TRUST_TYPES = {
    "1": "TRUST_TYPE_DOWNLEVEL",
    "2": "TRUST_TYPE_UPLEVEL",
    "3": "TRUST_TYPE_MIT",
    "4": "TRUST_TYPE_DCE",
}
TRUST_DIRECTIONS = {
    "0": "TRUST_DIRECTION_DISABLED",
    "1": "TRUST_DIRECTION_INBOUND",
    "2": "TRUST_DIRECTION_OUTBOUND",
    "3": "TRUST_DIRECTION_BIDIRECTIONAL",
}

_BLOCKS = """
1537 DELETE|READ_CONTROL|WRITE_DAC|WRITE_OWNER|SYNCHRONIZE|ACCESS_SYS_SEC|MAX_ALLOWED
1792 <value changed>|<value not set>|<never>|Enabled|Disabled|All|None
1801 Granted by|Denied by|Denied by Integrity Policy check|Granted by Ownership|Not granted
1832 Identification|Impersonation
1840 Delegation|Denied by Process Trust Label ACE|Yes|No|System|Not Available
1872 REG_NONE|REG_SZ|REG_EXPAND_SZ|REG_BINARY|REG_DWORD|REG_DWORD_BIG_ENDIAN|REG_LINK|REG_MULTI_SZ
1880 REG_RESOURCE_LIST|REG_FULL_RESOURCE_DESCRIPTOR|REG_RESOURCE_REQUIREMENTS_LIST|REG_QWORD
1904 New registry value created|Existing registry value modified|Registry value deleted
1936 TokenElevationTypeDefault (1)|TokenElevationTypeFull (2)|TokenElevationTypeLimited (3)
2304 An Error occured during Logon.|The specified user account has expired.|The NetLogon component is not active.
2307 Account locked out.|The user has not been granted the requested logon type at this machine.
2309 The specified account's password has expired.|Account currently disabled.
2311 Account logon time restriction violation.|User not allowed to logon at this computer.
2313 Unknown user name or bad password.|Domain sid inconsistent.|Smartcard logon is required and was not used.
2480 Open Key.|Create Key.|Delete Key.|Encrypt.|Decrypt.|Sign hash.|Secret agreement.
4416 ReadData (or ListDirectory)|WriteData (or AddFile)|AppendData (or AddSubdirectory or CreatePipeInstance)
4419 ReadEA|WriteEA|Execute/Traverse|DeleteChild|ReadAttributes|WriteAttributes
4432 Query key value|Set key value|Create sub-key|Enumerate sub-keys|Notify about changes to keys|Create Link
4480 Force process termination|Create new thread in process|Set process session ID|Perform virtual memory operation
4484 Read from process memory|Write to process memory|Duplicate handle into or out of process
4487 Create a subprocess of process|Set process quotas|Set process information|Query process information
4491 Set process termination port
4592 AssignAsPrimary|Duplicate|Impersonate|Query|QuerySource|AdjustPrivileges|AdjustGroups|AdjustDefaultDacl
5376 ConnectToServer|ShutdownServer|InitializeServer|CreateDomain|EnumerateDomains|LookupDomain
5392 ReadPasswordParameters|WritePasswordParameters|ReadOtherParameters|WriteOtherParameters|CreateUser
5397 CreateGlobalGroup|CreateLocalGroup|GetLocalGroupMembership|ListAccounts|LookupIDs|AdministerServer
5424 AddMember|RemoveMember|ListMembers|ReadInformation|WriteAccount
5440 ReadGeneralInformation|ReadPreferences|WritePreferences|ReadLogon|ReadAccount|WriteAccount
5446 ChangePassword (with knowledge of old password)|SetPassword (without knowledge of old password)
5448 ListGroups|ReadGroupMembership|ChangeGroupMembership
7168 Connect to service controller|Create a new service|Enumerate services
7171 Lock service database for exclusive access|Query service database lock state
7173 Set last-known-good state of service database
7184 Query service configuration information|Set service configuration information|Query status of service
7187 Enumerate dependencies of service|Start the service|Stop the service|Pause or continue the service
7191 Query information from service|Issue service-specific control commands
7680 Create Child|Delete Child|List Contents|Write Self|Read Property|Write Property|Delete Tree|List Object
7688 Control Access
8272 System|Logon/Logoff|Object Access|Privilege Use|Detailed Tracking|Policy Change|Account Management
8279 DS Access|Account Logon
8448 Success removed|Success Added|Failure removed|Failure Added
12288 Security State Change|Security System Extension|System Integrity|IPsec Driver|Other System Events
12544 Logon|Logoff|Account Lockout|IPsec Main Mode|Special Logon|IPsec Quick Mode|IPsec Extended Mode
12551 Other Logon/Logoff Events|Network Policy Server|User / Device Claims|Group Membership
12800 File System|Registry|Kernel Object|SAM|Other Object Access Events|Certification Services
12806 Application Generated|Handle Manipulation|File Share|Filtering Platform Packet Drop
12810 Filtering Platform Connection|Detailed File Share|Removable Storage|Central Policy Staging
13056 Sensitive Privilege Use|Non Sensitive Privilege Use|Other Privilege Use Events
13312 Process Creation|Process Termination|DPAPI Activity|RPC Events|Plug and Play Events|Token Right Adjusted Events
13568 Audit Policy Change|Authentication Policy Change|Authorization Policy Change
13571 MPSSVC Rule-Level Policy Change|Filtering Platform Policy Change|Other Policy Change Events
13824 User Account Management|Computer Account Management|Security Group Management
13827 Distribution Group Management|Application Group Management|Other Account Management Events
14080 Directory Service Access|Directory Service Changes|Directory Service Replication
14083 Detailed Directory Service Replication
14336 Credential Validation|Kerberos Service Ticket Operations|Other Account Logon Events
14339 Kerberos Authentication Service
14592 Inbound|Outbound|Forward|Bidirectional
14608 Resource Assignment|Listen|Receive/Accept|Connect|Flow Established
14674 Value Added|Value Deleted|Active Directory Domain Services
"""
"""Number of the first, and the texts that follow each other."""
_FLAGS = """
Account Enabled|Home Directory Required|Password Not Required|Temp Duplicate Account|Normal Account|MNS Logon Account
Interdomain Trust Account|Workstation Trust Account|Server Trust Account|Don't Expire Password|Account Unlocked
Encrypted Text Password Allowed|Smartcard Required|Trusted For Delegation|Not Delegated|Use DES Key Only
Don't Require Preauth|Password Expired|Trusted To Authenticate For Delegation|Exclude Authorization Information
"""
MESSAGES = {
    int(base) + place: text
    for base, _, texts in (line.partition(" ") for line in _BLOCKS.strip().splitlines())
    for place, text in enumerate(texts.split("|"))
}
"""Texts that the Security channel writes as `%%` and a number."""
for _base, _state in ((2048, "Disabled"), (2080, "Enabled")):
    for _place, _name in enumerate(_FLAGS.strip().replace("\n", "|").split("|")):
        MESSAGES[_base + _place] = _name if _name.startswith("Account ") else f"'{_name}' - {_state}"
MESSAGES |= {2080: "Account Disabled", 2090: "Account Locked"}

_REFERENCE = re.compile(r"%%(\d{1,5})", re.ASCII)


@lru_cache(maxsize=4_096)
def referred(text: str) -> tuple[str, ...]:
    """The texts that `%%1537 %%4416` refers to; numbers that are not known are left out."""
    return tuple(MESSAGES[int(code)] for code in _REFERENCE.findall(text[:2_048]) if int(code) in MESSAGES)


def phrase(text: str) -> str:
    """What `%%2313` stands for; any other text as it is."""
    found = referred(text) if text[:2] == "%%" else ()
    return found[0] if found else text


@lru_cache(maxsize=4_096)
def flags(text: str, table: str) -> tuple[str, ...]:
    """The names of the bits set in a number such as `0x40810010`; `table` names one of this module's."""
    bits = number(text.strip())
    if bits is None or bits < 0:
        return ()
    return tuple(name for bit, name in _TABLES[table].items() if bits & bit)


_TABLES = {"ticket": TICKET_OPTIONS, "account": ACCOUNT_FLAGS, "access": ACCESS}


@lru_cache(maxsize=4_096)
def coded(text: str, table: str) -> str | None:
    """The words of a code such as `0xC000006D`; None when it is not known. `table` is one of this module's."""
    code = number(text.strip())
    return None if code is None else _CODES[table].get(code & 0xFFFFFFFF)


_CODES = {
    "status": STATUS,
    "kerberos": KERBEROS,
    "encryption": ENCRYPTION,
    "service": SERVICE_TYPES,
    "start": START_TYPES,
}
