"""Pipelines: what SigmaHQ's fields are called in ECS, what stays nameless there and why; and that nothing is lost."""

from __future__ import annotations

import lzma
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from corpora import corpus
from sigma_engines import ENGINES

from almena.ecs import fields
from detectors.sigma.evaluator import Engine
from detectors.sigma.index.engine import IndexEngine
from detectors.sigma.inputs import gather
from detectors.sigma.loader import load_texts
from detectors.sigma.pipelines import Mapping
from detectors.sigma.rules import LogSource, Rule, RuleSet


@pytest.fixture(scope="module")
def mapping() -> Mapping:
    return Mapping(gather([], "ecs").pipelines)


def mapped(mapping: Mapping, source: str, name: str) -> str:
    product, category, service = (part if part != "*" else None for part in source.split("/"))
    return mapping.field(name, LogSource(product, category, service))


@pytest.mark.parametrize(
    ("source", "names"),
    [
        (
            "windows/process_creation/*",
            {
                "Image": "process.executable",
                "CommandLine": "process.command_line",
                "ParentImage": "process.parent.executable",
                "ParentCommandLine": "process.parent.command_line",
                "CurrentDirectory": "process.working_directory",
                "OriginalFileName": "process.pe.original_file_name",
                "Company": "process.pe.company",
                "User": "winlog.event_data.User",
                "Hashes": "winlog.event_data.Hashes",
                "EventID": "event.code",
                "Provider_Name": "winlog.provider_name",
            },
        ),
        (
            "windows/image_load/*",
            {"ImageLoaded": "file.path", "Image": "process.executable", "Product": "file.pe.product"},
        ),
        (
            "windows/network_connection/*",
            {
                "DestinationIp": "destination.ip",
                "DestinationHostname": "destination.domain",
                "Initiated": "network.direction",
                "Protocol": "network.transport",
                "Image": "process.executable",
            },
        ),
        ("windows/process_access/*", {"SourceImage": "process.executable"}),
        ("windows/process_access/*", {"TargetImage": "winlog.event_data.TargetImage"}),
        ("windows/pipe_created/*", {"PipeName": "file.name"}),
        ("windows/registry_set/*", {"TargetObject": "registry.path", "Details": "winlog.event_data.Details"}),
        ("windows/dns_query/*", {"QueryName": "dns.question.name"}),
        ("windows/*/security", {"SubjectUserName": "winlog.event_data.SubjectUserName", "Channel": "winlog.channel"}),
        ("linux/process_creation/*", {"Image": "process.executable", "User": "user.name"}),
        ("linux/network_connection/*", {"DestinationIp": "destination.ip", "Initiated": "network.direction"}),
        ("linux/*/auditd", {"exe": "process.executable", "type": "auditd.log.record_type", "a0": "auditd.log.a0"}),
        ("*/webserver/*", {"cs-method": "http.request.method", "sc-status": "http.response.status_code"}),
        ("*/proxy/*", {"c-uri": "url.original", "c-useragent": "user_agent.original", "cs-host": "url.domain"}),
        ("*/dns/*", {"query": "dns.question.name", "record_type": "dns.question.type"}),
        ("*/firewall/*", {"src_ip": "source.ip", "dst_port": "destination.port", "username": "user.name"}),
        ("*/network/dns", {"dns.question.name": "dns.question.name", "dns.response.code": "dns.response_code"}),
        (
            "zeek/*/conn",
            {"id.orig_h": "source.ip", "conn_state": "almena.zeek.conn_state", "proto": "network.transport"},
        ),
        ("zeek/*/dns", {"query": "dns.question.name", "rejected": "zeek.dns.rejected", "Z": "zeek.dns.Z"}),
        ("zeek/*/http", {"uri": "url.original", "c-uri": "url.original", "post_body": "zeek.http.post_body"}),
        ("zeek/*/ssl", {"server_name": "tls.client.server_name", "ja3": "tls.client.ja3", "cipher": "tls.cipher"}),
        ("zeek/*/files", {"sha256": "file.hash.sha256", "filename": "file.name", "source": "zeek.files.source"}),
        ("zeek/*/smb_files", {"name": "file.name", "path": "file.path"}),
        ("zeek/*/kerberos", {"error_msg": "zeek.kerberos.error_msg"}),
        ("zeek/*/rdp", {"id.orig_h": "source.ip", "cookie": "zeek.rdp.cookie"}),
        ("zeek/*/x509", {"certificate.version": "zeek.x509.certificate.version"}),
        ("zeek/*/dce_rpc", {"rtt": "zeek.dce_rpc.rtt"}),
        (
            "aws/*/cloudtrail",
            {
                "eventName": "event.action",
                "requestParameters.userName": "aws.cloudtrail.flattened.request_parameters.userName",
            },
        ),
        ("azure/*/signinlogs", {"ResultType": "event.code", "userAgent": "user_agent.original"}),
        ("okta/*/okta", {"legacyEventType": "almena.okta.legacy_event_type"}),
        (
            "kubernetes/application/audit",
            {"verb": "kubernetes.audit.verb", "objectRef.name": "kubernetes.audit.objectRef.name"},
        ),
        ("app/*/payments", {"event.action": "event.action", "anything": "anything"}),
    ],
)
def test_fields_have_the_schema_s_names_or_those_of_the_common_shippers(
    mapping: Mapping, source: str, names: dict[str, str]
) -> None:
    assert {name: mapped(mapping, source, name) for name in names} == names


@pytest.mark.parametrize("source", ["windows/process_creation/*", "zeek/*/ssl", "linux/*/auditd", "aws/*/cloudtrail"])
@pytest.mark.parametrize("name", ["event.action", "source.ip", "user.name", "process.executable", "host.name"])
def test_rules_may_be_written_in_ecs(mapping: Mapping, source: str, name: str) -> None:
    assert mapped(mapping, source, name) == name


SHIPPED = (
    "almena.",
    *("winlog.", "zeek.", "auditd.log.", "aws.cloudtrail.", "azure.", "o365.audit.", "okta.", "kubernetes.audit."),
    *("fortinet.firewall.", "bitbucket.audit.", "gcp.audit."),
)
"""Fields beyond the schema, as Winlogbeat, Filebeat and Elastic's integrations call them."""

NAMELESS = {
    "*/firewall/*": "`blocked` is no field of the taxonomy",
    "*/proxy/*": "the schema has no cookies",
    "aws/*/cloudtrail": "`status` is no field of CloudTrail",
    "azure/*/activitylogs": "rules written for Sentinel and for M365, whose fields Azure's own logs lack",
    "azure/*/auditlogs": "rules written for Sentinel; shippers number the targets (`target_resources.0`)",
    "azure/*/signinlogs": "rules written for Sentinel, whose fields Azure's own logs lack",
    "cisco/*/duo": "as Duo sends it",
    "gcp/*/google_workspace.admin": "as Google sends it",
    "gcp/*/google_workspace.login": "as Google sends it",
    "linux/process_creation/*": "Sysmon's `LogonId`, which the schema lacks",
    "m365/*/exchange": "alerts of Cloud App Security, as they are sent",
    "m365/*/threat_detection": "alerts of Cloud App Security, as they are sent",
    "m365/*/threat_management": "alerts of Cloud App Security, as they are sent",
    "onelogin/*/onelogin.events": "as OneLogin sends it",
    "opencanary/application/*": "as OpenCanary writes it",
    "rpc_firewall/application/*": "as RPC Firewall writes it",
}
"""Log sources with fields that keep Sigma's name, since neither the schema nor a shipper has one; and why."""


def test_what_stays_without_a_name_is_known(sigmahq_ecs: RuleSet) -> None:
    nameless: dict[str, set[str]] = {}
    for rule in sigmahq_ecs.rules:
        names = {name for name in rule.fields if name not in fields() and not name.startswith(SHIPPED)}
        if names:
            nameless.setdefault(str(rule.logsource), set()).update(names)
    assert set(nameless) == set(NAMELESS)
    assert sum(map(len, nameless.values())) < 65
    assert not [source for source in nameless if source.startswith(("windows/", "macos/", "zeek/"))]


def test_most_of_sigmahq_s_fields_are_the_schema_s(sigmahq_ecs: RuleSet) -> None:
    asked = Counter(name for rule in sigmahq_ecs.rules for name in rule.fields)
    own = sum(count for name, count in asked.items() if name in fields() and not name.startswith("winlog."))
    assert own / asked.total() > 0.7


# --- nothing is lost between native names and ECS --------------------------------------------------------------------

OF_WINDOWS_ITSELF = {4688, 104, 1102}
"""Process creation of the Security log calls `Image` `NewProcessName` ("Field Usage" of the specification), and some
records say their provider under another name: there ECS sees what native names do not."""


def test_what_fires_on_native_names_fires_through_parser_and_pipelines(sigmahq: RuleSet, sigmahq_ecs: RuleSet) -> None:
    """All of OTRF's events as they are and as the product makes them: a stream of native names needs no pipeline."""
    from collectors.base import Context
    from collectors.parsers.anyjson import parse

    context = Context(received=1_790_000_000_000_000)
    native: list[dict[str, Any]] = []
    through: list[dict[str, Any]] = []
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    with lzma.open(corpus("otrf/events.ndjson.xz")) as file:
        for line in file:
            native.append(decode(line))
            through.append(parse(line, context))
    own = IndexEngine(sigmahq.rules).match_all(native)
    found = IndexEngine(sigmahq_ecs.rules).match_all(through)
    for event, before, after in zip(native, own, found, strict=True):
        ids = {rule.id for rule in before}
        assert ids <= {rule.id for rule in after}, event
        assert len(after) == len(ids) or event["EventID"] in OF_WINDOWS_ITSELF, event
    assert sum(map(len, own)) > 400


@pytest.mark.parametrize("engine", ENGINES)
def test_a_rule_about_any_antivirus_sees_defender_s_findings(engine: Callable[[Sequence[Rule]], Engine]) -> None:
    """`category: antivirus` reads `Signature` and `Filename`; Windows writes `Threat Name` and a `Path` of its own."""
    from collectors.base import Context
    from collectors.parsers.windows import convert

    text = "title: T\nlogsource: {category: antivirus}\n"
    text += r"detection: {s: {Signature|contains: EICAR, Filename|startswith: 'C:\Users\'}, condition: s}"
    system = {"Channel": "Microsoft-Windows-Windows Defender/Operational", "EventID": 1116}
    system |= {"TimeCreated": {"#attributes": {"SystemTime": "2026-11-22T19:34:00Z"}}}
    data = {"Threat Name": "Virus:DOS/EICAR_Test_File", "Path": r"file:_C:\Users\ana\eicar.com"}
    event = convert({"Event": {"System": system, "EventData": data}}, Context(received=1_790_000_000_000_000))
    assert engine(load_texts([("x.yml", text)], "ecs").rules).match(event)


RAW = {
    "cloudtrail": (
        (
            b'{"eventVersion":"1.08","userIdentity":{"type":"Root","arn":"arn:aws:iam::1:root"},"eventTime":'
            b'"2026-11-22T19:34:00Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"us-east-1",'
            b'"sourceIPAddress":"203.0.113.9","userAgent":"x","eventType":"AwsApiCall","eventID":"1","errorCode":"Denied"}'
        ),
        "{product: aws, service: cloudtrail}",
        "{userIdentity.type: Root, eventName: GetObject, errorCode: Denied, eventType: AwsApiCall}",
    ),
    "entra": (
        (
            b'{"time":"2026-11-22T19:34:00Z","category":"SignInLogs","operationName":"Sign-in","resultType":"50126",'
            b'"properties":{"userPrincipalName":"ana@x.example","appId":"a1","ipAddress":"203.0.113.9","clientAppUsed":'
            b'"IMAP4","status":{"errorCode":50126,"failureReason":"Invalid username or password"}}}'
        ),
        "{product: azure, service: signinlogs}",
        "{ResultType: 50126, AppId: a1, ClientApp: IMAP4, ResultDescription|contains: Invalid}",
    ),
    "fortigate": (
        (
            b'date=2026-11-22 time=13:34:00 devname="FG1" devid="FG1" logid="0100044547" type="event" subtype="system" '
            b'level="information" vd="root" user="admin" action="Add" cfgpath="system.admin" cfgobj="x" msg="Add"'
        ),
        "{product: fortigate, service: event}",
        "{action: Add, cfgpath: system.admin}",
    ),
    "zeek": (
        (
            b'{"_path":"dce_rpc","ts":1795376040.0,"uid":"C1","id.orig_h":"10.0.0.5","id.orig_p":1,"id.resp_h":"10.0.0.9",'
            b'"id.resp_p":445,"endpoint":"svcctl","operation":"CreateServiceA"}'
        ),
        "{product: zeek, service: dce_rpc}",
        "{endpoint: svcctl, operation: CreateServiceA, id.orig_h: 10.0.0.5, uid: C1}",
    ),
    "checkpoint": (
        b'[action:"Accept"; src:"10.0.0.5"; dst:"203.0.113.7"; s_port:"4"; service:"21"; product:"Firewall"]',
        "{category: firewall}",
        "{dst_port: 21, src_ip: 10.0.0.5}",
    ),
}
"""Records as their products write them, and what a rule of others asks of them in the products' own names."""


@pytest.mark.parametrize("name", RAW)
def test_a_rule_in_the_product_s_names_fires_on_what_our_own_parser_reads(name: str) -> None:
    from collectors.base import Context
    from collectors.parsers import PARSERS

    record, source, asked = RAW[name]
    event = PARSERS[name](record, Context(received=1_795_376_041_000_000))
    text = f"title: T\nlogsource: {source}\ndetection: {{s: {asked}, condition: s}}"
    for engine in ENGINES:
        assert engine(load_texts([("x.yml", text)], "ecs").rules).match(event), event
