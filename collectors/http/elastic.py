"""What shippers that believe they speak to Elasticsearch are told, so that they send.

Beats, Elastic Agent, Logstash, Fluent Bit, Vector, rsyslog, syslog-ng and Elasticsearch's own clients ask who is
there, look at its licence and its health, see to templates and policies of the index they mean to write, and send
bulks. Here is no index: questions about one are answered as if it were as they want it, and what they set up is
acknowledged and forgotten. Everything needs the same proof of who asks as events do.
"""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from collectors.http import bulk
from collectors.http.answers import Refusal, answer
from collectors.http.desk import Desk, Visit

_HEADERS = {"X-Elastic-Product": "Elasticsearch"}
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="almena" charset="UTF-8", Bearer, ApiKey'}
_TYPES = {400: "illegal_argument_exception", 401: "security_exception", 408: "process_timeout_exception"}
_TYPES |= {404: "resource_not_found_exception", 413: "content_too_long_exception"}
_TYPES |= {429: "es_rejected_execution_exception", 503: "unavailable_shards_exception"}
_AGAIN = (408, 429, 503)
"""What means that the same is to be sent again. rsyslog 8 forgets a bulk that is answered so, and only keeps it when
the connection ends instead; alone among shippers it does not say who it is."""

_AUTHORITY = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}")
_LONGEST_NAME = 255
_YEAR_2020 = 1_577_836_800_000

Shape = Callable[[str], object]
"""What is told of a thing of that name."""

Names = Sequence[str]
"""What stands in a path where its pattern has `*` (anything) or `+` (what does not begin with an underscore)."""

Tell = Callable[[Request, Names], object]
"""Tells something; a text goes out as it is, all else as JSON."""

Act = Callable[[Request, Visit, Names], Awaitable[Response]]
"""Does something with what was sent."""

_SETTINGS: dict[str, Shape] = {
    "_index_template": lambda name: {"index_templates": [{"name": name, "index_template": {"index_patterns": []}}]},
    "_component_template": lambda name: {
        "component_templates": [{"name": name, "component_template": {"template": {}}}]
    },
    "_template": lambda name: {name: {"order": 0, "index_patterns": [], "settings": {}, "mappings": {}, "aliases": {}}},
    "_ilm/policy": lambda name: {name: {"version": 1, "policy": {"phases": {}}}},
    "_ingest/pipeline": lambda name: {name: {"processors": []}},
    "_alias": lambda name: {f"{name}-000001": {"aliases": {name: {"is_write_index": True}}}},
    "_data_stream": lambda name: {
        "data_streams": [
            {
                "name": name,
                "timestamp_field": {"name": "@timestamp"},
                "indices": [],
                "generation": 1,
                "status": "GREEN",
                "template": name,
            }
        ]
    },
}
"""What shippers make sure of before they send, by its path."""


class Elastic:
    """Answers shippers."""

    def __init__(self, desk: Desk, version: str, name: str) -> None:
        """`version` is that of Elasticsearch which is told, `name` the collector's."""
        self._desk = desk
        self._version = version
        self._uuid = base64.urlsafe_b64encode(hashlib.sha256(name.encode()).digest()[:16]).decode().rstrip("=")

        settings = [f"/{path}/*" for path in _SETTINGS]
        told: dict[str, Tell] = {
            "/": self._root,
            "/_license": self._license,
            "/_xpack": self._xpack,
            "/_xpack/license": self._license,
            "/_cluster/health": self._health,
            "/_cluster/health/*": self._health,
            "/_cat/health": self._health,
            "/_nodes": self._nodes,
            "/_nodes/*": self._nodes,
            "/_nodes/*/*": self._nodes,
            "/_cat/templates/*": lambda request, names: f"{names[0]} [] 0 \n",
        }
        told |= {path: _shaped(shape) for path, shape in zip(settings, _SETTINGS.values(), strict=True)}
        acts: list[tuple[str, Act, tuple[str, ...]]] = [
            *((path, _telling(tell), ("GET", "HEAD")) for path, tell in told.items()),
            *((path, self._bulk, ("POST", "PUT")) for path in ("/_bulk", "/+/_bulk", "/+/+/_bulk")),
            *((path, self._one, ("POST", "PUT")) for path in ("/+/_doc", "/+/_doc/*", "/+/_create/*")),
            *((path, self._agree, ("PUT", "POST", "HEAD")) for path in (*settings, "/+", "/+/_alias/*")),
        ]
        self._acts = [(_split(path), methods, act) for path, act, methods in acts]

    def routes(self) -> list[Route]:
        """One that takes everything: what stands between two slashes may have been a slash itself."""
        everything = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
        return [Route("/{path:path}", self._answer, methods=everything)]

    async def _answer(self, request: Request) -> Response:
        try:
            async with self._desk.visit(request) as visit:
                act, names = self._act(request)
                response = await act(request, visit, names)
        except Refusal as refusal:
            response = _refused(refusal)
            if refusal.status in _AGAIN and "user-agent" not in request.headers:
                request.state.hang_up()
        response.headers.update(_HEADERS)
        return response

    def _act(self, request: Request) -> tuple[Act, Names]:
        path = [unquote(each) for each in _split(request.scope["raw_path"].decode("ascii", "replace"))]
        for pattern, methods, act in self._acts:
            if request.method in methods and _fits(pattern, path):
                return act, [each[:_LONGEST_NAME] for part, each in zip(pattern, path, strict=True) if part in "*+"]
        raise Refusal(404, "events are taken here as Elasticsearch takes them (POST /_bulk), and nothing else is")

    async def _bulk(self, request: Request, visit: Visit, names: Names) -> Response:
        began = time.monotonic()
        found = bulk.items(visit.body, names[0] if names else "", self._desk.limits.max_records)
        lane = await self._store(visit, found)
        brief = "filter_path" in request.query_params
        return answer(200, bulk.told(found, lane, int(1000 * (time.monotonic() - began)), brief=brief))

    async def _one(self, request: Request, visit: Visit, names: Names) -> Response:
        """A single document, as clients send that know no bulks."""
        document = visit.body.strip()
        if not document:
            raise Refusal(400, "the request holds no document")
        found = [bulk.Item("index", names[0], names[1] if names[1:] else "", document)]
        lane = await self._store(visit, found)
        return answer(201, bulk.told(found, lane, 0, brief=False)["items"][0]["index"])

    async def _store(self, visit: Visit, found: list[bulk.Item]) -> str:
        frames = bulk.frames(found)
        lane = f"b.{visit.batch}" if visit.batch is not None else bulk.lane(found)
        return (await self._desk.append(visit, frames, lane))[1] if frames else ""

    async def _agree(self, request: Request, visit: Visit, names: Names) -> Response:
        """It is there, or now it is: shippers set up what only an index needs."""
        return answer(200, {"acknowledged": True, "shards_acknowledged": True, "index": names[0]})

    def _root(self, request: Request, names: Names) -> object:
        return {
            "name": "almena",
            "cluster_name": "almena",
            "cluster_uuid": self._uuid,
            "version": {
                "number": self._version,
                "build_flavor": "default",
                "build_type": "tar",
                "build_hash": "0" * 40,
                "build_date": "2020-01-01T00:00:00.000000000Z",
                "build_snapshot": False,
                "lucene_version": "9.12.2",
                "minimum_wire_compatibility_version": "7.17.0",
                "minimum_index_compatibility_version": "7.0.0",
            },
            "tagline": "You Know, for Search",
        }

    def _license(self, request: Request, names: Names) -> object:
        about = {"issue_date_in_millis": _YEAR_2020, "start_date_in_millis": -1, "max_nodes": 1000}
        kind = {"status": "active", "uid": self._uuid, "type": "basic", "mode": "basic"}
        return {"license": kind | about | {"issued_to": "almena", "issuer": "elasticsearch"}}

    def _xpack(self, request: Request, names: Names) -> object:
        license_of = {"uid": self._uuid, "type": "basic", "mode": "basic", "status": "active"}
        features = {name: {"available": True, "enabled": True} for name in ("ilm", "security", "monitoring")}
        return {"build": {"hash": "0" * 40}, "license": license_of, "features": features}

    def _health(self, request: Request, names: Names) -> object:
        counts = dict.fromkeys(("relocating", "initializing", "unassigned", "delayed_unassigned"), 0)
        return {
            "cluster_name": "almena",
            "status": "green",
            "timed_out": False,
            "number_of_nodes": 1,
            "number_of_data_nodes": 1,
            "active_primary_shards": 1,
            "active_shards": 1,
            **{f"{name}_shards": count for name, count in counts.items()},
            "number_of_pending_tasks": 0,
            "number_of_in_flight_fetch": 0,
            "task_max_waiting_in_queue_millis": 0,
            "active_shards_percent_as_number": 100.0,
        }

    def _nodes(self, request: Request, names: Names) -> object:
        """One node, at the address by which it was reached."""
        host = request.headers.get("host", "")
        place = host if _AUTHORITY.fullmatch(host) else "127.0.0.1:9200"
        processors = [{"type": name} for name in ("date", "geoip", "grok", "json", "pipeline", "rename", "user_agent")]
        node = {
            "name": "almena",
            "version": self._version,
            "roles": ["data", "ingest", "master"],
            "http": {"bound_address": [place], "publish_address": place, "max_content_length_in_bytes": 100 << 20},
            "ingest": {"processors": processors},
            "plugins": [],
        }
        return {"_nodes": {"total": 1, "successful": 1, "failed": 0}, "cluster_name": "almena", "nodes": {"1": node}}


def _split(path: str) -> list[str]:
    return [each for each in path.split("/") if each]


def _fits(pattern: Sequence[str], path: Sequence[str]) -> bool:
    return len(pattern) == len(path) and all(
        part in ("*", each) or (part == "+" and each[0] != "_") for part, each in zip(pattern, path, strict=True)
    )


def _shaped(shape: Shape) -> Tell:
    return lambda request, names: shape(names[0])


def _telling(tell: Tell) -> Act:
    async def told(request: Request, visit: Visit, names: Names) -> Response:
        content = tell(request, names)
        return PlainTextResponse(content) if isinstance(content, str) else answer(200, content)

    return told


def _refused(refusal: Refusal) -> Response:
    """A refusal as Elasticsearch words it."""
    cause = {"type": _TYPES.get(refusal.status, "exception"), "reason": refusal.reason}
    headers = refusal.headers() | (_CHALLENGE if refusal.status == 401 else {})
    return answer(refusal.status, {"error": {"root_cause": [cause], **cause}, "status": refusal.status}, headers)
