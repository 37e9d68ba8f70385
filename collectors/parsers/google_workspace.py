"""Google Workspace: activities of the Reports API, such as sign-ins, changes of administrators and shared files.

{"kind": "admin#reports#activity", "id": {"time": "2026-11-22T19:34:00.000Z", "applicationName": "login"},
 "actor": {"email": "ana@example.gob.mx"}, "ipAddress": "203.0.113.9",
 "events": {"type": "login", "name": "login_failure", "parameters": [...]}}
"""

from __future__ import annotations

from typing import Any

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import as_text, epoch, given, instant
from collectors.parsers.format import Format
from collectors.parsers.jsonpath import put, text_at
from collectors.parsers.network import put_end, put_url, put_user

_SUCCESS = frozenset(("login_success", "logout", "login_verification", "2sv_enroll", "password_edit"))
_FAILURE = frozenset(("login_failure", "login_failure_blocked"))
_ALERTS = ("suspicious", "gov_attack", "account_disabled", "risky", "leaked")
_MOST = 64
_KINDS = (
    (("CREATE", "ADD", "UPLOAD"), "creation"),
    (("DELETE", "REMOVE", "TRASH"), "deletion"),
    (("VIEW", "DOWNLOAD", "PREVIEW", "PRINT"), "access"),
)
_TARGETS = ("USER_EMAIL", "affected_email_address", "user_email", "target_user", "target")
_GROUPS = ("GROUP_EMAIL", "group_email")
_REFUSED = frozenset(("failed", "failure", "denied", "blocked", "incorrect answer entered", "challenge failed"))
_FOLDERS = frozenset(("folder", "shared", "shared_drive", "team_drive"))


def fits(document: dict[str, Any]) -> bool:
    """Whether a JSON object is an activity."""
    return "actor" in document and isinstance(document.get("id"), dict) and "applicationName" in document["id"]


def convert(document: dict[str, Any], context: Context) -> Event:
    """The event of one activity; of several in one record the first. Raises ParseError without a time."""
    written = text_at(document, "id.time")
    if written is None:
        raise ParseError("an activity of Google Workspace without a time")
    application = text_at(document, "id.applicationName") or "unknown"
    first = document.get("events")
    if isinstance(first, list):
        first = first[0] if first else {}
    first = first if isinstance(first, dict) else {}
    action = text_at(first, "name") or "unknown"
    event: Event = {
        "@timestamp": format_time(_moment(written)),
        "event.dataset": f"google_workspace.{application.lower()[:64]}",
        "event.action": action,
        "event.provider": application,
        "event.code": text_at(document, "id.uniqueQualifier") or action,
    }
    _actor(document, event)
    put_end(event, "source", text_at(document, "ipAddress"))
    put(event, "organization.name", text_at(document, "ownerDomain"))
    parameters = _parameters(first)
    _classify(event, application, action)
    _outcome(event, parameters)
    _details(event, application, parameters)
    return event


def _moment(written: str) -> int:
    if written.isascii() and written.isdigit() and 10 <= len(written) < 20:
        return epoch(int(written))
    if written[4:5] == "/":  # 2026/11/22 19:34:00 UTC
        written = written.removesuffix(" UTC").removesuffix(" Z").replace("/", "-")
    return instant(written, "UTC")


def _actor(document: dict[str, Any], event: Event) -> None:
    email = text_at(document, "actor.email")
    number = text_at(document, "actor.profileId")
    for name in ("user", "source.user"):
        put_user(event, email, name)
        put(event, f"{name}.email", email)
        put(event, f"{name}.id", number)
    if email is None:
        put(event, "user.name", text_at(document, "actor.key"))


def _parameters(first: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    given_parameters = first.get("parameters")
    for item in given_parameters[:_MOST] if isinstance(given_parameters, list) else ():
        if not isinstance(item, dict) or not isinstance(item.get("name"), str):
            continue
        for key in ("value", "intValue", "boolValue", "multiValue", "multiIntValue"):
            if item.get(key) is not None:
                found[item["name"]] = as_text(item[key])
                break
    return found


def _classify(event: Event, application: str, action: str) -> None:
    if application in ("login", "saml"):
        event["event.category"] = ["authentication"]
        event["event.type"] = ["end"] if action == "logout" else ["start"]
        if action in _FAILURE or "failure" in action:
            event["event.outcome"] = "failure"
        elif action in _SUCCESS or "success" in action:
            event["event.outcome"] = "success"
        else:
            event["event.outcome"] = "unknown"
        if any(word in action for word in _ALERTS):
            event["event.kind"] = "alert"
        return
    upper = action.upper()
    kind = next((kind for words, kind in _KINDS if any(word in upper for word in words)), "change")
    area = {"drive": "file", "admin": "iam", "groups": "iam", "user_accounts": "iam"}.get(application, "configuration")
    event["event.category"] = [area]
    event["event.type"] = [kind]
    event["event.outcome"] = "success"


def _outcome(event: Event, parameters: dict[str, str]) -> None:
    """What the parameters say of the outcome, where the action's name says nothing."""
    said = parameters.get("status") or parameters.get("ACTION_EXECUTION_STATUS")
    challenge = parameters.get("login_challenge_status")
    if said is not None and event["event.dataset"] != "google_workspace.login":
        event["event.outcome"] = "failure" if said.lower() in _REFUSED else event["event.outcome"]
    elif challenge is not None and event["event.outcome"] == "unknown":
        event["event.outcome"] = "success" if challenge.lower() in ("challenge passed", "passed") else "failure"
    failed = parameters.get("BULK_UPLOAD_FAIL_USERS_NUMBER") or parameters.get("GROUP_MEMBER_BULK_UPLOAD_FAILED_NUMBER")
    if failed not in (None, "0"):
        event["event.outcome"] = "failure"


def _first(parameters: dict[str, str], names: tuple[str, ...]) -> str | None:
    return next((found for name in names if (found := given(parameters.get(name))) is not None), None)


def _details(event: Event, application: str, parameters: dict[str, str]) -> None:
    if (target := _first(parameters, _TARGETS)) is not None:
        put_user(event, target, "user.target")
        if "@" in target:
            event["user.target.email"] = target
    if (group := _first(parameters, _GROUPS)) is not None:
        name, _, domain = group.partition("@")
        event["group.name"] = name or group
        put(event, "group.domain", domain)
    put(event, "event.reason", parameters.get("login_failure_type") or parameters.get("failure_type"))
    put(event, "almena.google.login_type", parameters.get("login_type"))
    put(event, "almena.google.challenge", parameters.get("login_challenge_method"))
    put(event, "almena.google.suspicious", parameters.get("is_suspicious"))
    put(event, "almena.google.visibility", parameters.get("visibility"))
    put(event, "almena.google.setting", parameters.get("SETTING_NAME"))
    put(event, "almena.google.new_value", parameters.get("NEW_VALUE"))
    put(event, "almena.google.role", parameters.get("ROLE_NAME"))
    put(event, "almena.google.app", _first(parameters, ("app_name", "application_name", "OAUTH2_APP_NAME")))
    put_url(event, parameters.get("WEB_ADDRESS"))
    if application == "drive":
        put(event, "file.name", parameters.get("doc_title"))
        event["file.type"] = "dir" if parameters.get("doc_type") in _FOLDERS else "file"
        put(event, "file.owner", (parameters.get("owner") or "").partition("@")[0])


FORMAT = Format(name="google_workspace", dataset="google_workspace.unknown", convert=convert, fits=fits)
