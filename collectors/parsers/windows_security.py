"""What the events of the Security channel say, as a table; actions are named as Winlogbeat names them."""

from __future__ import annotations

from collectors.parsers.windows_table import Copies, Meaning, table

_TARGET: Copies = (("user.name", "TargetUserName"), ("user.domain", "TargetDomainName"))
_SETS: dict[str, Copies] = {
    "subject": (
        ("user.name", "SubjectUserName"),
        ("user.domain", "SubjectDomainName"),
        ("user.id", "SubjectUserSid"),
        ("winlog.logon.id", "SubjectLogonId"),
    ),
    "target": (*_TARGET, ("user.id", "TargetSid"), ("user.id", "TargetUserSid"), ("winlog.logon.id", "TargetLogonId")),
    "managed": (
        ("user.target.name", "TargetUserName"),
        ("user.target.domain", "TargetDomainName"),
        ("user.target.id", "TargetSid"),
        ("user.target.id", "TargetUserSid"),
    ),
    "locked": (
        ("user.target.name", "TargetUserName"),
        ("user.target.id", "TargetSid"),
        ("source.domain", "TargetDomainName"),
    ),
    "renamed": (
        ("user.target.name", "OldTargetUserName"),
        ("user.target.domain", "TargetDomainName"),
        ("user.target.id", "TargetSid"),
        ("user.changes.name", "NewTargetUserName"),
    ),
    "effective": (
        ("user.effective.name", "TargetUserName"),
        ("user.effective.domain", "TargetDomainName"),
        ("user.effective.id", "TargetUserSid"),
    ),
    "group": (
        ("group.name", "TargetUserName"),
        ("group.domain", "TargetDomainName"),
        ("group.id", "TargetSid"),
        ("user.target.id", "MemberSid"),
    ),
    "from": (("source.ip", "IpAddress"), ("source.port", "IpPort"), ("source.domain", "WorkstationName")),
    "process": (("process.executable", "ProcessName"), ("process.pid", "ProcessId")),
    "caller": (("process.executable", "CallerProcessName"), ("process.pid", "CallerProcessId")),
    "created": (
        ("process.executable", "NewProcessName"),
        ("process.pid", "NewProcessId"),
        ("process.command_line", "ProcessCommandLine"),
        ("process.command_line", "CommandLine"),
        ("process.parent.executable", "ParentProcessName"),
        ("process.parent.pid", "ProcessId"),
    ),
    "service": (("service.name", "ServiceName"),),
    "server": (("destination.domain", "TargetServerName"),),
    "workstation": (("source.ip", "Workstation"), ("source.domain", "Workstation")),
    "session": (
        ("user.name", "AccountName"),
        ("user.domain", "AccountDomain"),
        ("winlog.logon.id", "LogonID"),
        ("source.ip", "ClientAddress"),
        ("source.domain", "ClientName"),
    ),
    "flow": (
        ("process.executable", "Application"),
        ("process.pid", "ProcessID"),
        ("process.pid", "ProcessId"),
        ("source.ip", "SourceAddress"),
        ("source.port", "SourcePort"),
        ("destination.ip", "DestAddress"),
        ("destination.port", "DestPort"),
        ("network.iana_number", "Protocol"),
        ("rule.id", "FilterRTID"),
    ),
    "radius": (
        ("source.ip", "CallingStationID"),
        ("rule.name", "NetworkPolicyName"),
        ("event.reason", "Reason"),
    ),
    "requester": (("user.name", "Requester"),),
    "link": (("file.path", "FileName"),),
    "image": (("file.path", "param1"),),
    "remote": (("source.ip", "RemoteIP"), ("source.ip", "RemoteAddress")),
    "changer": (
        ("user.name", "UserName"),
        ("user.id", "UserSid"),
        ("process.pid", "ProcessId"),
    ),
    "rule": (("rule.id", "RuleId"), ("rule.name", "RuleName")),
    "privileges": (("process.executable", "ProcessName"), ("process.pid", "ProcessId")),
    "none": (),
}

_LOG = """
1100 | logging-service-shutdown | process | end | none |
1101 | audit-events-dropped | iam | admin | none |
1102 | audit-log-cleared | iam | admin change | subject |
1104 | logging-full | iam | admin | none |
1105 | auditlog-archieved | iam | admin | none |
1108 | logging-processing-error | iam | admin | none |
4608 | windows-started | host | start | none |
4609 | windows-stopped | host | end | none |
4610 | authentication-package-loaded | configuration | access | none |
4611 | trusted-logon-process-registered | configuration | change | subject |
4612 | audit-events-lost | iam | admin | none |
4614 | notification-package-loaded | configuration | access | none |
4616 | system-time-changed | configuration | change | subject process |
4618 | monitored-event-pattern-occurred | iam | admin | subject |
4621 | system-recovered-from-crash-on-audit-fail | configuration | change | none |
4622 | security-package-loaded | configuration | access | none |
"""
_LOGON = """
4624 | logged-in | authentication | start | target from process | success
4625 | logon-failed | authentication | start | target from process | failure
4626 | user-claims-issued | authentication | info | target |
4627 | group-membership-info | iam | info | target subject effective managed |
4634 4647 | logged-out | authentication | end | target |
4646 | dos-prevention-started | network | start | none |
4648 | logged-in-explicit | authentication | start | subject from process effective server |
4649 | replay-attack-detected | authentication intrusion_detection | info | subject workstation |
4672 | logged-in-special | iam | admin | subject |
4675 | sids-filtered | authentication | info | target effective managed |
4768 | kerberos-authentication-ticket-requested | authentication | start | target from service |
4769 | kerberos-service-ticket-requested | authentication | start | target from service |
4770 | kerberos-service-ticket-renewed | authentication | start | target from service |
4771 | kerberos-preauth-failed | authentication | start | target from service | failure
4772 | kerberos-authentication-ticket-request-failed | authentication | start | target from service | failure
4773 | kerberos-service-ticket-request-failed | authentication | start | target from service | failure
4774 | account-mapped | authentication | info | none |
4775 | account-mapping-failed | authentication | info | none | failure
4776 | credential-validated | authentication | start | target workstation |
4777 | credential-failed | authentication | start | target workstation | failure
4778 | session-reconnected | authentication session | start | session |
4779 | session-disconnected | authentication session | end | session |
4800 | workstation-locked | authentication session | info | target effective managed |
4801 | workstation-unlocked | session | info | target |
4802 | screen-saver-invoked | session | info | target |
4803 | screen-saver-dismissed | session | info | target |
4820 4821 | kerberos-ticket-denied-by-policy | authentication | start | target from service | failure
4822 4823 | ntlm-authentication-denied | authentication | start | target | failure
4824 | kerberos-preauth-failed | authentication | start | target from service | failure
4825 | remote-desktop-denied | authentication session | start | session | failure
4964 | logged-in-special | iam | admin group | target |
5378 | credentials-delegation-disallowed | authentication | info | subject | failure
5632 | wireless-authentication-requested | authentication network | start | subject |
5633 | wired-authentication-requested | authentication network | start | subject |
6272 | network-policy-access-granted | authentication network | start allowed | subject radius | success
6273 | network-policy-access-denied | authentication network | start denied | subject radius | failure
6274 | network-policy-request-discarded | authentication network | start denied | subject radius | failure
6276 | network-policy-user-quarantined | authentication network | start denied | subject radius | failure
6278 | network-policy-full-access-granted | authentication network | start allowed | subject radius | success
6279 | locked-out-user-account | iam authentication | user change | subject radius |
6280 | unlocked-user-account | iam authentication | user change | subject radius |
"""
_OBJECT = """
4656 | requested-object-handle | file | access | subject process |
4657 | registry-value-modified | registry configuration | change | subject process |
4658 | handle-closed-object | iam configuration | change | subject process |
4659 | object-was-requested-with-intent-to-delete | iam configuration | change | subject process |
4660 | object-deleted | file registry | deletion | subject process |
4661 | requested-directory-object-handle | iam | info | subject process |
4662 | object-operation-performed | iam configuration | admin change | subject |
4663 | attempt-made-to-access-object | file | access | subject process |
4664 | create-hard-link | file | creation | subject link |
4665 4666 4667 | application-operation | iam | info | none |
4670 | permissions-changed | iam configuration | admin change | subject process |
4671 | blocked-ordinal-accessed | process | info | subject | failure
4673 | privileged-service-called | iam | admin | subject process |
4674 | privileged-operation | iam | admin | subject process |
4688 | created-process | process | start | subject effective created |
4689 | exited-process | process | end | subject process |
4690 | duplicate-handle-attempt | process | access | subject |
4691 | indirect-object-access-requested | process | access | subject process |
4692 | dpapi-master-key-backup-attempted | configuration | access | subject |
4693 | dpapi-master-key-recovery-attempted | configuration | access | subject |
4694 | auditable-data-protection-attempted | configuration | access | subject |
4695 | auditable-data-unprotection-attempted | configuration | access | subject |
4696 | assigned-primary-token | process | change | subject effective process |
4697 | service-installed | iam configuration | admin change | subject service |
4698 | scheduled-task-created | iam configuration | creation admin | subject |
4699 | scheduled-task-deleted | iam configuration | deletion admin | subject |
4700 | scheduled-task-enabled | iam configuration | change admin | subject |
4701 | scheduled-task-disabled | iam configuration | change admin | subject |
4702 | scheduled-task-updated | iam configuration | change admin | subject |
4703 | adjusted-token-privileges | iam | admin change | subject privileges managed |
4985 | state-of-transaction-has-changed | configuration | change | subject process |
5051 | file-virtualized | file | change | subject process |
5136 | directory-service-object-modified | iam configuration | admin change | subject |
5137 | directory-service-object-created | iam configuration | admin creation | subject |
5138 | directory-service-object-undeleted | iam configuration | creation | subject |
5139 | directory-service-object-moved | iam configuration | change | subject |
5141 | directory-service-object-deleted | iam configuration | admin deletion | subject |
5140 | network-share-object-accessed | network file | info access | subject from |
5142 | network-share-object-added | network file | info creation | subject |
5143 | network-share-object-modified | network file configuration | change | subject |
5144 | network-share-object-deleted | network file configuration | deletion | subject |
5145 | network-share-object-access-checked | network file | info access | subject from |
5168 | spn-check-failed | authentication network | info | subject | failure
5376 | credentials-backed-up | iam | admin | subject |
5377 | credentials-restored | iam | admin | subject |
5379 | credential-manager-credentials-were-read | iam | user info | subject |
5380 | vault-credential-find | iam | user info | subject |
5381 5382 | vault-credentials-were-read | iam | user info | subject |
5058 | key-file-operation | file | change | subject |
5059 | key-migration-operation | file | change | subject process |
5061 | cryptographic-operation | file | access | subject |
6416 | new-external-device-recognized-by-system | process | info | subject |
6419 6420 6421 6422 6423 6424 | device-state-changed | host | change | subject |
"""
_ACCOUNT = """
4720 | added-user-account | iam | user creation | subject managed |
4722 | enabled-user-account | iam | user change | subject managed |
4723 | changed-password | iam | user change | subject managed |
4724 | reset-password | iam | user change | subject managed |
4725 | disabled-user-account | iam | user deletion | subject managed |
4726 | deleted-user-account | iam | user deletion | subject managed |
4727 4731 4754 | added-group-account | iam | group creation | subject group |
4728 4732 4756 | added-member-to-group | iam | group change | subject group |
4729 4733 4757 | removed-member-from-group | iam | group change | subject group |
4730 4734 4758 | deleted-group-account | iam | group deletion | subject group |
4735 4737 4755 | modified-group-account | iam | group change | subject group |
4738 | modified-user-account | iam | user change | subject managed |
4739 | domain-policy-changed | configuration | change | subject |
4740 | locked-out-user-account | iam | user change | subject locked |
4741 | added-computer-account | iam | creation admin | subject managed |
4742 | changed-computer-account | iam | change admin | subject managed |
4743 | deleted-computer-account | iam | deletion admin | subject managed |
4744 4749 4759 | added-distribution-group-account | iam | group creation | subject group |
4745 4750 4760 | changed-distribution-group-account | iam | group change | subject group |
4746 4751 4761 | added-member-to-distribution-group | iam | group change | subject group |
4747 4752 4762 | removed-member-from-distribution-group | iam | group change | subject group |
4748 4753 4763 | deleted-distribution-group-account | iam | group deletion | subject group |
4764 | type-changed-group-account | iam | group change | subject group |
4765 | added-sid-history | iam | user change | subject managed |
4766 | adding-sid-history-failed | iam | user change | subject managed | failure
4767 | unlocked-user-account | iam | user change | subject managed |
4780 | administrators-acl-set | iam | user change | subject managed |
4781 | renamed-user-account | iam | user change | subject renamed |
4782 | accessed-password-hash | iam | user access | subject managed |
4783 4790 | added-application-group-account | iam | group creation | subject group |
4784 4791 | changed-application-group-account | iam | group change | subject group |
4785 4787 | added-member-to-application-group | iam | group change | subject group |
4786 4788 | removed-member-from-application-group | iam | group change | subject group |
4789 4792 | deleted-application-group-account | iam | group deletion | subject group |
4793 | password-policy-checking-api-called | api | info | subject workstation effective managed |
4794 | restore-mode-password-set | iam | user change | subject workstation |
4797 | query-existence-of-blank-password | iam | user info | subject managed workstation |
4798 | group-membership-enumerated | iam | user info | subject managed caller |
4799 | user-member-enumerated | iam | group info | subject group caller |
5030 | windows-firewall-service-failed | process | error | none | failure
"""
_POLICY = """
4704 | user-right-assigned | iam | change user | subject managed |
4705 | user-right-removed | iam | change user | subject managed |
4706 | domain-trust-added | configuration | creation | subject |
4707 | domain-trust-removed | configuration | deletion | subject |
4713 | kerberos-policy-changed | configuration | change | subject |
4714 | encrypted-data-recovery-policy-changed | configuration | change | subject |
4715 | object-audit-policy-changed | configuration | change | subject |
4716 | trusted-domain-information-changed | configuration | change | subject |
4717 | system-security-access-granted | iam configuration | admin change | subject managed |
4718 | system-security-access-removed | iam configuration | admin deletion | subject managed |
4719 | changed-audit-config | iam configuration | admin change | subject |
4817 | object-audit-changed | iam configuration | admin change | subject |
4819 | central-access-policies-changed | configuration | change | subject |
4826 | boot-configuration-loaded | configuration | info | subject |
4864 | namespace-collision-detected | configuration | info | none |
4865 4866 4867 | trusted-forest-information-changed | configuration | change | subject |
4868 | certificate-request-denied-by-manager | configuration | denied | subject |
4869 | certificate-request-resubmitted | configuration | change | subject |
4870 | certificate-revoked | configuration | deletion | subject |
4880 | certificate-services-started | process | start | subject |
4881 | certificate-services-stopped | process | end | subject |
4882 | certificate-services-permissions-changed | iam configuration | admin change | subject |
4885 | certificate-services-audit-filter-changed | configuration | change | subject |
4886 | certificate-requested | configuration | creation | requester |
4887 | certificate-issued | configuration | creation | requester | success
4888 | certificate-request-denied | configuration | denied | requester | failure
4889 | certificate-request-pending | configuration | creation | requester |
4890 | certificate-manager-settings-changed | configuration | change | subject |
4891 4892 | certificate-services-configuration-changed | configuration | change | subject |
4898 | certificate-template-loaded | configuration | info | none |
4899 | certificate-template-updated | configuration | change | none |
4900 | certificate-template-security-updated | iam configuration | admin change | none |
4902 | user-audit-policy-created | iam configuration | admin creation | none |
4904 | security-event-source-added | iam configuration | admin change | subject process |
4905 | security-event-source-removed | iam configuration | admin deletion | subject process |
4906 | crash-on-audit-changed | iam configuration | admin change | none |
4907 | audit-setting-changed | iam configuration | admin change | subject process |
4908 | special-group-table-changed | iam configuration | admin change | none |
4911 | resource-attributes-changed | file | change | subject process |
4912 | per-user-audit-policy-changed | iam configuration | admin change | subject |
4913 | central-access-policy-changed | file | change | subject process |
4928 4929 4930 4934 4935 4936 4937 | directory-replication | iam | info | none |
4931 | active-directory-replica-destination-naming-context-modified | configuration | change | none |
4932 | synchronization-of-replica-of-active-directory-naming-context-begun | iam | info | none |
4933 | synchronization-of-replica-of-active-directory-naming-context-ended | iam | info | none |
"""
_NETWORK = """
4944 | windows-firewall-policy-active | configuration | info | rule |
4945 | rule-listed-when-windows-firewall-started | configuration | info | rule |
4946 | added-rule-to-windows-firewall-exception-list | configuration | creation | rule |
4947 | windows-firewall-rule-modified | configuration | change | rule |
4948 | deleted-rule-from-windows-firewall-exception-list | configuration | deletion | rule |
4949 | windows-firewall-settings-restored | configuration | change | none |
4950 | windows-firewall-setting-changed | configuration | change | none |
4951 4952 4958 | windows-firewall-rule-ignored | configuration | info | rule | failure
4953 | ignored-rule-by-windows-firewall-because-it-could-not-parse-rule | configuration | info | rule | failure
4957 | windows-firewall-did-not-apply-following-rule | configuration | info | rule | failure
4954 | windows-firewall-group-policy-changed | configuration | change | none |
4956 | windows-firewall-profile-changed | configuration | change | none |
4960 4961 | ipsec-dropped-inbound-packet | network | end | remote | failure
4962 | ipsec-dropped-inbound-packet-that-failed-replay-check | network | end | remote | failure
4963 | ipsec-dropped-inbound-clear-text-packet-that-should-have-been-secured | network | end | remote | failure
4965 | ipsec-received-packet-from-remote-computer-wth-incorrect-spi | network | end | remote | failure
5024 | windows-firewall-service-started | process | start | none |
5025 | windows-firewall-service-stopped | process | end | none |
5027 5028 5029 | windows-firewall-service-error | process | error | none | failure
5031 5150 5151 5153 | packet-dropped | network | connection denied | flow |
5152 | windows-firewall-packet-drop | network | connection info denied | flow |
5032 | windows-firewall-notification-failed | process | error | none | failure
5033 | windows-firewall-driver-started | driver | start | none |
5034 | windows-firewall-driver-stopped | driver | end | none |
5035 5037 | windows-firewall-driver-error | driver | end | none | failure
5038 | code-integrity-determined-that-image-hash-of-file-is-not-valid | file | access | image | failure
5154 | permitted-listen | network | info allowed | flow |
5155 | blocked-listen | network | info denied | flow |
5156 | windows-firewall-connection | network | connection info allowed | flow |
5157 | windows-firewall-packet-block | network | connection info denied | flow |
5158 | windows-firewall-bind-local-port | network | info | flow |
5159 | blocked-bind | network | info denied | flow |
5441 | following-filter-present-when-windows-filtering-platform-base-filtering-engine-started \
    | configuration | info | none |
5446 | windows-filtering-platform-callout-changed | configuration | change | changer |
5447 | windows-filtering-platform-filter-changed | configuration | change | changer |
5448 5450 | filtering-platform-changed | configuration | change | changer |
5449 | windows-filtering-platform-provider-context-changed | configuration | change | changer |
6144 | security-policy-in-group-policy-objects-applied-successfully | configuration | info | none |
6145 | one-or-more-errors-occured-while-processing-security-policy-in-group-policy-objects \
    | configuration | change | none |
"""
SECURITY: dict[str, Meaning] = table(_LOG + _LOGON + _OBJECT + _ACCOUNT + _POLICY + _NETWORK, _SETS)
"""Meanings by event id."""
