"""HTTP proxies before a real Elasticsearch node: one that has faults when told, one that asks who is there.

A fault is a function of a request and the proxy; it may pass the request on, before, after, in part, or not at all:

    with FaultyProxy(elasticsearch) as proxy:
        proxy.fail(too_many, times=2)
        proxy.fail(refuse_items(429, count=3), path="_bulk", times=1)
        ...  # the client uses proxy.url
        assert proxy.failed == 3
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
from forwarding import Proxy, Reply, Request

from deploy.dev.tls import Authority

PRODUCT = {"X-elastic-product": "Elasticsearch"}

Fault = Callable[[Request, "FaultyProxy"], Reply | None]
"""What happens instead; None ends the connection without an answer."""


@dataclass
class _Order:
    fault: Fault
    path: str
    method: str
    times: int | None


class FaultyProxy(Proxy):
    """Passes on what it is not told to spoil; `failed` counts what it spoiled."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.failed = 0
        self.healed = threading.Event()
        self._orders: list[_Order] = []
        self._lock = threading.Lock()

    def fail(self, fault: Fault, *, times: int | None = None, path: str = "", method: str = "") -> None:
        """Spoil the next `times` requests (all until `heal` when None) whose path contains `path`, if no earlier
        order takes them."""
        with self._lock:
            self.healed.clear()
            self._orders.append(_Order(fault, path, method, times))

    def heal(self) -> None:
        """Spoil nothing from now on, and let go what hangs."""
        with self._lock:
            self._orders.clear()
            self.healed.set()

    def answer(self, request: Request) -> Reply | None:
        order = self._take(request)
        return self.forward(request) if order is None else order.fault(request, self)

    def _take(self, request: Request) -> _Order | None:
        with self._lock:
            for order in self._orders:
                fits = order.path in request.path and order.method in ("", request.method)
                if fits and order.times != 0:
                    order.times = None if order.times is None else order.times - 1
                    self.failed += 1
                    return order
        return None


def error(status: int, kind: str, reason: str) -> Reply:
    """An error as Elasticsearch words it."""
    cause = {"type": kind, "reason": reason}
    return _json(status, {"error": {"root_cause": [cause], **cause}, "status": status})


def too_many(request: Request, proxy: FaultyProxy) -> Reply:
    """429 for the whole request: its queues are full."""
    return error(429, "es_rejected_execution_exception", "rejected execution of TimedRunnable: queue capacity reached")


def unavailable(request: Request, proxy: FaultyProxy) -> Reply:
    """503 for the whole request: no master."""
    return error(503, "cluster_block_exception", "blocked by: [SERVICE_UNAVAILABLE/2/no master];")


def read_only(request: Request, proxy: FaultyProxy) -> Reply:
    """403 for what writes: somebody set the cluster read-only. What reads passes."""
    if request.method in ("GET", "HEAD") or "_search" in request.path or "_pit" in request.path:
        return proxy.forward(request)
    return error(403, "cluster_block_exception", "blocked by: [FORBIDDEN/6/cluster read-only (api)];")


def hang(request: Request, proxy: FaultyProxy) -> Reply | None:
    """No answer, until `heal` or the end; then none either."""
    while not (proxy.healed.wait(0.05) or proxy.closing.is_set()):
        pass
    return None


def lose_answer(request: Request, proxy: FaultyProxy) -> Reply:
    """The node does what was asked; the connection is reset in the middle of its answer."""
    return replace(proxy.forward(request), cut=True)


def drop(request: Request, proxy: FaultyProxy) -> Reply | None:
    """The connection ends; the node never heard of the request."""
    return None


def refuse_items(status: int = 429, count: int | None = None, ids: Iterable[str] = ()) -> Fault:
    """A bulk request of which the first `count` items, those of `ids`, or all (neither given) are not done.

    They come back with `status`, as Elasticsearch refuses items: 429 or 503 (full queue, shard not there), 400 (a
    document against the mapping), 403 (a block). The others are done by the real node.
    """
    wanted = set(ids)

    def fault(request: Request, proxy: FaultyProxy) -> Reply:
        items = list(_items(request.body))
        refused = [
            identifier in wanted if wanted else count is None or number < count
            for number, (identifier, _, _) in enumerate(items)
        ]
        rest = b"".join(lines for (_, lines, _), no in zip(items, refused, strict=True) if not no)
        if rest:
            reply = proxy.forward(replace(request, body=rest))
            if reply.status != 200:
                return reply
            answer = msgspec.json.decode(reply.body)
        else:
            answer = {"took": 0, "errors": True, "items": []}
        done = iter(answer["items"])
        answer["items"] = [
            _refusal(action, status) if no else next(done) for (_, _, action), no in zip(items, refused, strict=True)
        ]
        answer["errors"] = answer["errors"] or any(refused)
        return _json(200, answer)

    return fault


REFUSALS = {
    400: ("document_parsing_exception", "[1:2] failed to parse field [x] of type [long] in document"),
    403: ("cluster_block_exception", "index blocked by: [FORBIDDEN/8/index write (api)];"),
    429: ("es_rejected_execution_exception", "rejected execution of primary operation: coordinating bytes too high"),
    503: ("unavailable_shards_exception", "primary shard is not active Timeout: [1m]"),
}
"""Type and reason by status, as the server words them."""


def _refusal(action: Mapping[str, Mapping[str, Any]], status: int) -> dict[str, Any]:
    (name, target), *_ = action.items()
    kind, reason = REFUSALS[status]
    refused = {"_index": target.get("_index"), "_id": target.get("_id"), "status": status}
    return {name: {**refused, "error": {"type": kind, "reason": reason}}}


def _items(body: bytes) -> Iterator[tuple[str, bytes, dict[str, dict[str, Any]]]]:
    """(id, lines, action) of each item of a bulk request."""
    lines = iter(body.splitlines(keepends=True))
    for line in lines:
        if not line.strip():
            continue
        action = msgspec.json.decode(line)
        (name, target), *_ = action.items()
        yield target.get("_id", ""), line if name == "delete" else line + next(lines), action


class CheckingProxy(Proxy):
    """TLS with a certificate of an authority of its own; who has no right to enter is told 401.

    It answers `GET /`, which the development node lacks, with `version`; nothing else is changed.
    """

    def __init__(self, target: str, folder: Path, *, users: Mapping[str, str] | None = None) -> None:
        """`users`: passwords by name; `folder` takes the certificates."""
        authority = Authority.make()
        self.ca = folder / "ca.pem"
        """The authority that signed the certificate, as PEM."""
        self.ca.write_bytes(authority.certificate)
        pem = folder / "proxy.pem"
        pem.write_bytes(authority.issue())
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(pem)
        super().__init__(target, tls)
        self.certificate = pem
        """The proxy's key and certificate, as PEM."""
        self.users = dict(users or {})
        self.keys: set[str] = set()
        """API keys as Elasticsearch encodes them: base64 of ID:SECRET."""
        self.version = "8.19.21"
        """What `GET /` says."""
        self.product = True
        """Whether answers carry Elasticsearch's product header."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the proxy's certificate, in hexadecimal."""
        _, begin, rest = self.certificate.read_bytes().partition(b"-----BEGIN CERTIFICATE")
        return _fingerprint(begin + rest)

    @property
    def ca_fingerprint(self) -> str:
        """SHA-256 of the authority's certificate, in hexadecimal."""
        return _fingerprint(self.ca.read_bytes())

    def answer(self, request: Request) -> Reply | None:
        reply = self._answer(request)
        if self.product:
            return reply
        kept = {name: value for name, value in reply.headers.items() if name.lower() != "x-elastic-product"}
        return replace(reply, headers=kept)

    def _answer(self, request: Request) -> Reply:
        given = request.headers.get("authorization", "")
        if not self._may_enter(given):
            reason = "unable to authenticate" if given else "missing authentication credentials for REST request"
            refused = error(401, "security_exception", f"{reason} [{request.path}]")
            return replace(refused, headers={**refused.headers, "WWW-Authenticate": 'Basic realm="security"'})
        if request.path.partition("?")[0] == "/":
            return _json(200, self._root())
        own = {name: value for name, value in request.headers.items() if name != "authorization"}
        return self.forward(replace(request, headers=own))

    def _may_enter(self, given: str) -> bool:
        scheme, _, value = given.partition(" ")
        known = (
            [base64.b64encode(f"{user}:{password}".encode()).decode() for user, password in self.users.items()]
            if scheme.lower() == "basic"
            else self.keys
            if scheme.lower() == "apikey"
            else []
        )
        return any(hmac.compare_digest(value.encode(), each.encode()) for each in known)

    def _root(self) -> dict[str, Any]:
        version = {"number": self.version, "build_flavor": "default", "lucene_version": "9.12.2"}
        return {
            "name": "dev", "cluster_name": "almena-dev", "version": version, "tagline": "You Know, for Search"
        }  # fmt: skip


def _fingerprint(pem: bytes) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.decode())).hexdigest()


def _json(status: int, document: Any) -> Reply:
    headers = {"Content-Type": "application/vnd.elasticsearch+json;compatible-with=8", **PRODUCT}
    return Reply(status, msgspec.json.encode(document), headers)
