"""What the audit of SQL Server records, by the letters it writes: the action, its types and categories.

Where nothing else stands the category is `database`; whether it succeeded, the record itself says but for logins.
"""

from __future__ import annotations

from typing import NamedTuple

_TABLE = """
LGIS login-succeeded start authentication
LGSD user-login-succeeded start authentication
DBAS database-authentication-succeeded start authentication
DAGS principal-login-to-contained-database-successful start authentication
LGIF login-failed start authentication
LGFL principal-login-failed start authentication
DAGF principal-login-failed start authentication
DBAF database-authentication-failed start authentication
AUTH authenticate info
LGO logout end session
LO user-logout-succeeded end session
DBL database-logout end session
DAGL contained-database-user-logout end session
LGB service-broker-transport-security-event info
LGBG service-broker-transport-security-event info
LGM database-mirroring-transport-security-event info
LGMG database-mirroring-transport-security-event info
LGG global-transactions-login info
LGGG global-transactions-login info
LGS storage-login info
LGSG storage-login info
SL select access
IN insert info
UP update change
DL delete change
EX execute-stored-proc-or-function info
RF references info
VW view info
VWCT view-change-tracking info
AS access-object access
OP open access
RC retrieve-message-from-queue access
SN send-message-to-queue access
ACDO database-object-accessed access
ACO schema-object-permission-checked access
CR create info
AL alter-object change
DR drop-object change
TRO data-transfer info
MNDB database-created-altered-or-dropped change
MNDO database-object-created-altered-or-dropped change
MNO schema-object-create-alter-or-dropped change
MNSO server-object-create-alter-or-dropped change
MNDP principals-created-altered-or-dropped change iam
MNSP server-principal-create-alter-or-dropped change iam
G grant-permission-to-principal info iam
GWG grant-with-grant-issued-to-principal info iam
R remove-granted-or-denied-permission change iam
RWC revoke-granted-or-denied-permission-with-cascade change iam
RWG revoke-with-grant change iam
D permission-denied-to-principal info iam
DWC permission-denied-with-cascade change iam
GRDB grant-revoke-or-deny-permission change iam
GRDO grant-revoke-or-deny-permission-on-schema-or-assemblies change iam
GRO grant-revoke-or-deny-permission-on-schema-objects change iam
GRSO grant-revoke-or-deny-permission-on-server-objects change iam
GRSV grant-revoke-or-deny-permission-issued-in-server-scope change iam
APRL add-member change iam
DPRL drop-security-account-from-role info iam
ADDP login-changed-from-database-role admin,change,user iam
ADSP login-changed-from-server-role admin,change,user iam
PWAR password-changed-for-application-role change iam
PWC password-changed-for-application-role change iam
PWCG login-password-changed-via-alter-or-sp-password change iam
PWCS change-own-password change iam
PWEX password-expired info iam
PWMC must-change-password info iam
PWPL password-policy info iam
PWR reset-password change iam
PWRS reset-own-password change iam
PWU unlock-sql-server-login-account change iam
UCGP password-of-contained-database-user-changed change iam
USTC password-copied info iam
USAF change-users-login-auto change iam
USLG change-users-login change iam
LGEA enable info
LGDA disable change
LGDB change-default-database change
LGLG change-default-language change
LGNM name-change change
CCLG change-login-credential change iam
CMLG credential-mapped-to-sql-server-login change iam
NMLG no-credential-map-to-login error iam
IMP database-user-impersonation-occurred info iam
IMDP database-user-impersonation-occurred info iam
IMSP server-login-impersonation-occurred user iam
TO take-ownership info
TODB permission-check-performed-to-change-database-owner change
TODO database-object-owner-changed change
TOO permission-check-performed-to-change-schema-object info
TOSO server-scoped-object-owner-changed change
BA database-backup-executed info
BAL transaction-log-backup-executed info
BRDB backup-or-restore-command-issued admin
RS restore-database-backup change
ADBO bulk-admin-operation change
DABO database-bulk-admin change
DBCC principal-issued-dbcc-command change configuration
DBCG principal-issued-dbcc-command change configuration
CP checkpoint-created info
CO connect info
OPDB db-checkpoint-or-subscribe-query-notification-executed info
OPSV alter-settings-resources-or-external-access change
SUQN subscribe-query-notification info
ALCN alter-connection change,connection network
ALRS alter-resources change
ALSS alter-server-state change
ALST alter-settings change configuration
ALTR alter-trace change
TRCG permission-checked-for-alter-trace info
AUSC audit-session-changed change configuration
CNAU audit-or-audit-spec-changed change configuration
AUSF audit-write-failed-database-shutdown error configuration
C2ON c2-audit-mode-server-config-on info configuration
C2OF c2-audit-mode-server-config-off change configuration
TASA trace-audit-start info configuration
TASP trace-audit-stop info configuration
STSV server-service-state-changed info
SVSR server-service-state-changed-to-start change
SVSD server-service-state-changed-to-shutdown change
SVPD server-service-state-changed-to-paused change
SVCN server-service-state-changed-to-continue change
BCM transact-sql-batch-completed info
BCMG batch-text-stored-proc-or-txn-mgmt-op-ended info
BST transact-sql-batch-started info
BSTG batch-text-stored-proc-txn-mgmt-op-started info
RCM rpc-completed end network
RST rpc-started start network
SPLN show-plan info
VDST view-database-state info
VSST view-server-state info
FT fulltext-event-occurred info
FTG fulltext-event-occurred info
ADFR add-feature-restriction info
DRFR drop-feature-restriction change
FRCG feature-restriction-changed change
ADSC add-sensitivity-classification-to-db-columns change
DRSC drop-sensitivity-classification-from-db-columns change
SCCG sensitivity-classification-changed change
UDAU user-defined-audit-event-sp-audit-write info
UDAG user-defined-audit-event-sp-audit-write info
UNDO statement-rollback info
UNDG statement-rollback-group info
TX transaction-event-occurred info
TXBG transaction-begin info
TXGG transaction-begin-group-event info
TXCM transaction-commit info
TXCG transaction-commit-group-event info
TXRB transaction-rollback info
TXRG transaction-rollback-group info
TRBS transaction-begin-starting info
TRBC transaction-begin-completed info
TRCS transaction-commit-starting info
TRCC transaction-commit-completed info
TRRS transaction-rollback-starting info
TRRC transaction-rollback-completed info
TRSS transaction-savepoint-starting info
TRSC transaction-savepoint-completed info
XA external-access-assembly access network
XU unsafe-assembly access
"""


class Action(NamedTuple):
    """What one code says."""

    name: str
    category: tuple[str, ...]
    type: tuple[str, ...]


def _read(line: str) -> tuple[str, Action]:
    code, name, kinds, *more = line.split()
    return code, Action(name, (*more, "database"), tuple(kinds.split(",")))


ACTIONS: dict[str, Action] = dict(map(_read, _TABLE.strip().splitlines()))
"""Actions by their code."""


def action_of(code: str) -> Action:
    """What a code says; one that is not known is named after its letters."""
    return ACTIONS.get(code) or Action(f"unknown-{code.lower()}", ("database",), ("info",))
