"""The line to Elasticsearch: checked servers, bounded patience with what passes, and errors in words."""

from __future__ import annotations

import base64
import ipaddress
import logging
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar
from urllib.parse import SplitResult, urlsplit

import msgspec
from elastic_transport import (
    ConnectionTimeout,
    JsonSerializer,
    ObjectApiResponse,
    SerializationError,
    TlsError,
    TransportError,
)
from elasticsearch import ApiError, Elasticsearch, UnsupportedProductError

from almena.errors import ConfigError, StoreError
from almena.store.settings import ElasticsearchSettings

log = logging.getLogger("almena.store")

OLDEST, NEWEST = (8, 11), 9
"""The first version and the last major version of servers that are spoken to."""

REQUEST_SECONDS = 15.0
"""How long one request may take."""

PATIENCE_SECONDS = 20.0
"""How long a request that failed in passing is tried again."""

_BUSY = (429, 502, 503, 504)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 3.0

T = TypeVar("T")


class Item(NamedTuple):
    """What became of one operation of a bulk request."""

    status: int
    reason: str
    """The kind of error and its text; empty when it was done."""
    seq: int
    term: int
    unsure: bool
    """Whether an earlier try may have been done, although its answer was lost."""


class _Json(JsonSerializer):
    """JSON by msgspec, which also reads numbers exactly."""

    mimetype = "application/vnd.elasticsearch+json"

    def json_dumps(self, data: Any) -> bytes:
        return msgspec.json.encode(data)

    def json_loads(self, data: bytes) -> Any:
        return msgspec.json.decode(data)


class Client:
    """Requests to the servers of one store, each tried again for a bounded time."""

    def __init__(
        self,
        url: str,
        settings: ElasticsearchSettings,
        *,
        request: float = REQUEST_SECONDS,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        """Connects and checks the servers' version; raises ConfigError or StoreError saying what is wrong."""
        logging.getLogger("elastic_transport").setLevel(logging.ERROR)  # every request is a line there
        self.hosts = hosts_of(url)
        self._patience = patience
        user, secret = settings.secret()
        _guard(self.hosts, settings, secret)
        tls: dict[str, Any] = {}
        if settings.fingerprint:
            tls["ssl_assert_fingerprint"] = settings.fingerprint.replace(":", "").lower()
        elif settings.ca:
            tls["ca_certs"] = settings.ca
        try:
            self._client = Elasticsearch(
                self.hosts,
                headers=_authorization(user, secret),
                request_timeout=request,
                max_retries=0,
                retry_on_timeout=False,
                serializers={_Json.mimetype: _Json()},
                **tls,
            )
        except (ValueError, OSError) as error:
            raise ConfigError(f"elasticsearch: {error}; check ca, fingerprint and the addresses") from None
        try:
            self._check_version()
        except BaseException:
            self._client.close()
            raise

    def ask(self, what: str, action: Callable[[Elasticsearch], T], failed: Callable[[T], str] = lambda answer: "") -> T:
        """The answer to a request that may be repeated; raises StoreError, in which `what` says what it was for.

        `failed` says why an answer is none and the request is made again; an empty text when it is one.
        """
        pause = _Pause(self._patience)
        while True:
            try:
                answer = action(self._client)
                reason = failed(answer) if failed is not None else ""
                if not reason:
                    return answer
                if not pause.wait():
                    raise StoreError(f"{self._where()}: {what}: {reason}")
            except (ApiError, TransportError) as error:
                if not _passes(error) or not pause.wait():
                    raise self.explained(what, error) from error

    def search(self, what: str, body: Mapping[str, Any], *, index: str = "") -> Mapping[str, Any]:
        """The whole answer to a search in all indices that `index` names (in the body's point in time without it)."""
        where: dict[str, Any] = {"index": index, "ignore_unavailable": True, "allow_no_indices": True} if index else {}

        def search(client: Elasticsearch) -> ObjectApiResponse[Any]:
            return client.search(body=dict(body), allow_partial_search_results=False, **where)

        found: Mapping[str, Any] = self.ask(what, search).body
        return found

    def release(self, moment: str) -> None:
        """Let go of a point in time; one that cannot be reached ends by itself."""
        with suppress(ApiError, TransportError):
            self._client.close_point_in_time(id=moment)

    def bulk(self, what: str, operations: Sequence[bytes]) -> list[Item]:
        """Do all operations (each a line or two of JSON), those that fail in passing again; their outcomes in order."""
        done: dict[int, Item] = {}
        waiting = list(range(len(operations)))
        unsure = False
        pause = _Pause(self._patience)
        while waiting:
            try:
                lines: Sequence[Any] = [operations[number] for number in waiting]  # the library forwards bytes
                answer = self._client.bulk(operations=lines)
            except (ApiError, TransportError) as error:
                if isinstance(error, ApiError) and error.meta.status == 413:
                    return self._halves(what, operations, error)
                if not _passes(error) or not pause.wait():
                    raise self.explained(what, error) from error
                unsure = True
                continue
            for number, (outcome,) in zip(waiting, (item.values() for item in answer["items"]), strict=True):
                done[number] = _item(outcome, unsure)
            waiting = [number for number in waiting if done[number].status in _BUSY]
            if waiting and not pause.wait():
                raise StoreError(f"{self._where()}: {what}: too busy: {done[waiting[0]].reason}")
        return [done[number] for number in range(len(operations))]

    def explained(self, what: str, error: ApiError | TransportError) -> StoreError:
        """The error in words: where, what, and what to do."""
        if isinstance(error, ApiError):
            node = error.meta.node
            where = f"{node.scheme}://{node.host}:{node.port}"
            return self.refused(what, error.meta.status, _reason(error.body) or error.message, where)
        if isinstance(error, TlsError):
            advice = "check [elasticsearch] ca (who signed the server's certificate), fingerprint and the host's name"
            return StoreError(f"{self._where()}: {what}: no trusted connection: {_cause(error)}; {advice}")
        if isinstance(error, ConnectionTimeout):
            return StoreError(f"{self._where()}: {what}: no answer in time; check that Elasticsearch is well")
        if isinstance(error, SerializationError):
            return StoreError(f"{self._where()}: {what}: the answer is no JSON; is a proxy in between?")
        return StoreError(f"{self._where()}: {what}: {_cause(error)}; check the address and that Elasticsearch runs")

    def refused(self, what: str, status: int, reason: str, where: str = "") -> StoreError:
        """What a server's refusal means."""
        advice = ""
        if status == 401:
            advice = "; check [elasticsearch] api_key_file, or user and password_file"
        elif "cluster_block_exception" in reason:
            advice = "; the index takes no writes, mostly since a disk is nearly full: make room or lift the block"
        elif status == 403:
            advice = "; the key or user lacks this right: see the roles in deploy/elasticsearch"
        return StoreError(f"{where or self._where()}: {what}: {status} {reason[:500]}{advice}")

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _halves(self, what: str, operations: Sequence[bytes], error: ApiError) -> list[Item]:
        """A request that is too large for the server, or for a proxy before it, in two."""
        middle = len(operations) // 2
        if not middle:
            return [Item(413, _reason(error.body) or "the document is larger than the server takes", -1, -1, False)]
        return self.bulk(what, operations[:middle]) + self.bulk(what, operations[middle:])

    def _check_version(self) -> None:
        """Refuse what is no Elasticsearch, or one that this client does not speak with."""
        wanted = f"Almena speaks with Elasticsearch {OLDEST[0]}.{OLDEST[1]} to {NEWEST}.x"
        try:
            answer = self.ask(
                "asking for its version", lambda client: client.nodes.info(metric="http", filter_path="nodes.*.version")
            )
        except StoreError as error:
            if isinstance(error.__cause__, UnsupportedProductError):
                raise ConfigError(f"{self._where()}: is no Elasticsearch; {wanted}") from None
            raise
        versions = {str(node.get("version", "")) for node in (answer.body or {}).get("nodes", {}).values()}
        for found in sorted(versions) or ["unknown"]:
            number = re.match(r"(\d+)\.(\d+)", found)
            if number is None or not OLDEST <= (int(number[1]), int(number[2])) < (NEWEST + 1, 0):
                raise ConfigError(f"{self._where()}: runs version {found}; {wanted}")

    def _where(self) -> str:
        return ", ".join(self.hosts)


class _Pause:
    """Pauses that grow, with jitter, until patience ends."""

    def __init__(self, patience: float) -> None:
        self._end = time.monotonic() + patience
        self._next = _FIRST_PAUSE

    def wait(self) -> bool:
        """Pause; False when patience has ended."""
        seconds = self._next * random.uniform(0.5, 1.0)  # noqa: S311 (spreads load, keeps no secret)
        if time.monotonic() + seconds > self._end:
            return False
        time.sleep(seconds)
        self._next = min(2 * self._next, _LONGEST_PAUSE)
        return True


def hosts_of(url: str) -> list[str]:
    """The addresses in `https://HOST:9200,HOST2:9200`; raises ConfigError when one is none."""
    scheme, _, rest = url.partition("://")
    found: list[str] = []
    for host in rest.split(","):
        address = _split(f"{scheme}://{host.strip().rstrip('/')}")
        if address is None:
            raise ConfigError(f"store: {host!r} is no address; write https://HOST:9200,HOST2:9200 and nothing else")
        name = f"[{address.hostname}]" if ":" in str(address.hostname) else address.hostname
        found.append(f"{scheme}://{name}:{address.port or 9200}")
    return found


def _split(text: str) -> SplitResult | None:
    try:
        address = urlsplit(text)
        plain = address.hostname and not (address.username or address.path or address.query or address.fragment)
        return address if plain and address.port != 0 else None
    except ValueError:
        return None


def _guard(hosts: Sequence[str], settings: ElasticsearchSettings, secret: str) -> None:
    """Refuse settings that would give a secret away or not be held."""
    if settings.ca and settings.fingerprint:
        raise ConfigError("elasticsearch: give ca or fingerprint, not both; a fingerprint is checked alone")
    if hosts[0].startswith("http://"):
        if settings.ca or settings.fingerprint:
            raise ConfigError("elasticsearch: ca and fingerprint need https:// addresses")
        if secret and not all(_is_loopback(str(urlsplit(host).hostname)) for host in hosts):
            raise ConfigError("elasticsearch: the key or password would travel in clear text; use https://")


def _authorization(user: str, secret: str) -> dict[str, str]:
    """The header that says who asks; written here since the library takes no password beyond ASCII."""
    if user:
        return {"authorization": f"Basic {base64.b64encode(f'{user}:{secret}'.encode()).decode()}"}
    if not secret.isascii() or not secret.isprintable():
        raise ConfigError(
            "elasticsearch: the API key has characters that no key has; write it as Elasticsearch gave it"
        )
    return {"authorization": f"ApiKey {secret}"} if secret else {}


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _passes(error: ApiError | TransportError) -> bool:
    """Whether trying again can help."""
    if isinstance(error, ApiError):
        return error.meta.status in _BUSY
    return not isinstance(error, (TlsError, SerializationError))


def _item(outcome: dict[str, Any], unsure: bool) -> Item:
    reason = _reason(outcome) if outcome.get("error") else ""
    seq, term = outcome.get("_seq_no", -1), outcome.get("_primary_term", -1)
    return Item(int(outcome["status"]), reason, seq, term, unsure)


def _reason(body: Any) -> str:
    """Kind and text of the error in an answer, with its innermost cause."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return str(error or "")
    causes = error.get("root_cause") or [error]
    cause = causes[0]
    while isinstance(cause.get("caused_by"), dict):
        cause = cause["caused_by"]
    inner = f": {cause.get('reason')}" if cause.get("reason") not in (None, error.get("reason")) else ""
    return f"{error.get('type')}: {error.get('reason')}{inner}"


def _cause(error: TransportError) -> str:
    return str(error.errors[0] if error.errors else error.message)[:300]
