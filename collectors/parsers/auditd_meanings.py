"""What records of the Linux audit system say happened: actions as Auditbeat names them, with category and type."""

from __future__ import annotations

from typing import NamedTuple


class Meaning(NamedTuple):
    """What one system call, or one type of record, says."""

    action: str
    category: tuple[str, ...]
    type: tuple[str, ...]


_CALLS = """
opened-file | file | creation | creat
opened-file | file | change | fallocate truncate ftruncate
opened-file | file | info | open openat openat2 readlink readlinkat
read-file | file | info | read pread64 readv preadv
wrote-to-file | file | change | write pwrite64 writev pwritev
changed-file-attributes-of | file | change | setxattr fsetxattr lsetxattr removexattr fremovexattr lremovexattr
changed-file-permissions-of | file | change | chmod fchmod fchmodat fchmodat2
changed-file-ownership-of | file | change | chown fchown fchownat lchown chown32
loaded-kernel-module | driver | start | finit_module init_module
unloaded-kernel-module | driver | end | delete_module
created-directory | file | creation | mkdir mkdirat
mounted | file | creation | mount
renamed | file | change | rename renameat renameat2
checked-metadata-of | file | info | access faccessat faccessat2 fstatat fstatat64 newfstatat stat stat64 fstat lstat
checked-metadata-of | file | info | statx getxattr lgetxattr fgetxattr
checked-filesystem-metadata-of | file | info | statfs fstatfs
symlinked | file | creation | symlink symlinkat
linked | file | creation | link linkat
unmounted | file | deletion | umount umount2
deleted | file | deletion | rmdir unlink unlinkat
changed-timestamp-of | file | info | utime utimes futimesat futimens utimensat
executed | process | start | execve execveat
listen-for-connections | network | start | listen
accepted-connection-from | network | connection start | accept accept4
bound-socket | network | start | bind
connected-to | network | connection start | connect
received-from | network | connection info | recv recvfrom recvmsg recvmmsg
sent-to | network | connection info | send sendto sendmsg sendmmsg
killed-pid | process | end | kill tkill tgkill
changed-identity-of | process | change | setuid seteuid setfsuid setreuid setgid setegid setfsgid setregid setresuid
changed-identity-of | process | change | setresgid
changed-system-time | host | change | settimeofday clock_settime stime adjtimex
make-device | file | creation | mknod mknodat
changed-system-name | host | change | sethostname setdomainname
allocated-memory | process | info | mmap mmap2 brk
adjusted-scheduling-policy-of | process | change | sched_setparam sched_setscheduler sched_setattr
"""
_RECORDS = """
locked-account | iam | user info | ACCT_LOCK
unlocked-account | iam | user info | ACCT_UNLOCK
added-group-account-to | iam | group creation | ADD_GROUP
added-user-account | iam | user creation | ADD_USER
deleted-group-account-from | iam | group deletion | DEL_GROUP
deleted-user-account | iam | user deletion | DEL_USER
modified-group-account | iam | group change | GRP_MGMT
assigned-user-role-to | iam | user change | ROLE_ASSIGN
modified-role | iam | change | ROLE_MODIFY
removed-user-role-from | iam | user change | ROLE_REMOVE
modified-user-account | iam | user change | USER_MGMT
changed-password | iam | user change | USER_CHAUTHTOK
changed-group-password | iam | group change | GRP_CHAUTHTOK
acquired-credentials | authentication | info | CRED_ACQ
disposed-credentials | authentication | info | CRED_DISP
refreshed-credentials | authentication | info | CRED_REFR
authenticated-to-group | authentication | info | GRP_AUTH
changed-login-id-to | authentication | start | LOGIN
was-authorized | authentication | info | USER_ACCT
authenticated | authentication | info | USER_AUTH
ended-session | session | end | USER_END
error | authentication | info | USER_ERR
logged-in | authentication | start | USER_LOGIN
logged-out | authentication | end | USER_LOGOUT
changed-role-to | iam | user change | USER_ROLE_CHANGE
started-session | session | start | USER_START
issued-vm-control | host | info | VIRT_CONTROL
created-vm-image | host | info | VIRT_CREATE
deleted-vm-image | host | info | VIRT_DESTROY
checked-integrity-of | host | info | VIRT_INTEGRITY_CHECK
assigned-vm-id | host | creation | VIRT_MACHINE_ID
migrated-vm-from | host | info | VIRT_MIGRATE_IN
migrated-vm-to | host | info | VIRT_MIGRATE_OUT
assigned-vm-resource | host | info | VIRT_RESOURCE
changed-group | process | change | CHGRP_ID
changed-user-id | process | change | CHUSER_ID
sent-test | process | info | TEST
ran-command | process | start | USER_CMD
booted-system | host | start | SYSTEM_BOOT
changed-to-runlevel | host | change | SYSTEM_RUNLEVEL
shutdown-system | host | end | SYSTEM_SHUTDOWN
started-service | process | start | SERVICE_START
stopped-service | process | end | SERVICE_STOP
installed-software | package | installation | SOFTWARE_UPDATE
changed-audit-configuration | process configuration | change | CONFIG_CHANGE
aborted-auditd-startup | process | end | DAEMON_ABORT
remote-audit-connected | network | connection start | DAEMON_ACCEPT
remote-audit-disconnected | network | connection end | DAEMON_CLOSE
changed-auditd-configuration | process configuration | change | DAEMON_CONFIG
shutdown-audit | process | end | DAEMON_END
audit-error | process | error | DAEMON_ERR
reconfigured-auditd | process configuration | info | DAEMON_RECONFIG
resumed-audit-logging | process | change | DAEMON_RESUME
rotated-audit-logs | process | change | DAEMON_ROTATE
started-audit | process | start | DAEMON_START
initialized-audit-subsystem | process | info | KERNEL
changed-configuration | configuration | change | USYS_CONFIG
loaded-firewall-rule-to | configuration | change | NETFILTER_CFG
changed-audit-feature | configuration | change | FEATURE_CHANGE
typed | process | info | TTY USER_TTY
loaded-kernel-module | driver | start | KERN_MODULE
relabeled-filesystem | configuration | change | FS_RELABEL
modified-level-of | configuration | change | LABEL_LEVEL_CHANGE
overrode-label-of | configuration | change | LABEL_OVERRIDE
mac-permission | process | info | MAC_CHECK
changed-selinux-boolean | configuration | change | MAC_CONFIG_CHANGE
loaded-selinux-policy | configuration | access | MAC_POLICY_LOAD
changed-selinux-enforcement | configuration | change | MAC_STATUS
access-permission | process | info | USER_AVC
changed-mac-configuration | configuration | change | USER_MAC_CONFIG_CHANGE
loaded-mac-policy | configuration | access | USER_MAC_POLICY_LOAD
access-error | process | error | USER_SELINUX_ERR
violated-seccomp-policy | process | denied | SECCOMP
caused-mac-policy-error | process | error | SELINUX_ERR
negotiated-crypto-key | process | info | CRYPTO_KEY_USER
crypto-officer-logged-in | authentication | start | CRYPTO_LOGIN
crypto-officer-logged-out | authentication | end | CRYPTO_LOGOUT
started-crypto-session | process | info | CRYPTO_SESSION
access-result | process | info | DAC_CHECK
crashed-program | process | end | ANOM_ABEND
attempted-execution-of-forbidden-program | process | start | ANOM_EXEC
used-suspicious-link | file | info | ANOM_LINK
failed-log-in-too-many-times-to | authentication | info | ANOM_LOGIN_FAILURES
attempted-log-in-from-unusual-place-to | authentication | info | ANOM_LOGIN_LOCATION
opened-too-many-sessions-to | authentication | info | ANOM_LOGIN_SESSIONS
attempted-log-in-during-unusual-hour-to | authentication | info | ANOM_LOGIN_TIME
changed-promiscuous-mode-on-device | network | change | ANOM_PROMISCUOUS
tested-file-system-integrity-of | file | info | ANOM_RBAC_INTEGRITY_FAIL
sent-message | process | info | USER
"""


def _table(text: str) -> dict[str, Meaning]:
    found: dict[str, Meaning] = {}
    for line in text.strip().splitlines():
        action, category, kind, names = (part.strip() for part in line.split("|"))
        meaning = Meaning(action, tuple(category.split()), tuple(kind.split()))
        for name in names.split():
            found[name] = meaning
    return found


CALLS = _table(_CALLS)
"""Meanings by the name of the system call."""
RECORDS = _table(_RECORDS)
"""Meanings by the type of record."""
