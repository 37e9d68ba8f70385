"""A web client whose minute looks unlike the minutes of the service's other clients: scans, floods, scraping."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from almena.alert import Alert, alert_id
from almena.clock import DAY, MINUTE, SECOND, Span
from almena.event import Event
from almena.hit import Hit
from almena.state import State, Table
from detectors._anomaly import Finding, Words, check_level, length, model_alert, time_of
from detectors._tail_forest import Score, TailForest
from detectors._training import GROUPS, Training
from detectors._web_window import (
    FEATURES,
    FLOORS,
    add,
    client_of,
    event_of,
    features,
    group_of,
    is_request,
    measures,
    request_facts,
    said,
    service_of,
    unlog,
)

RULE: dict[str, Any] = {
    "id": "almena.web_session",
    "name": "Web client unlike the others",
    "version": "1",
    "tags": ["attack.reconnaissance", "attack.t1595"],
}

WORDS: Words = {
    "es": {
        "title": "Cliente web fuera de lo común",
        "what_happened": "{client} hizo {requests} peticiones a {service} en {window}: {uris} direcciones distintas, "
        "{errors} con error, {bytes} bytes. Lo normal en este servicio: {normal.requests} peticiones, {normal.uris} "
        "direcciones, {normal.errors} con error, {normal.bytes} bytes.",
        "why_it_matters": "Así se ve quien busca fallas, prueba contraseñas, copia un padrón o quiere tirar el sitio.",
        "what_to_do": "Revise qué direcciones pidió y si alguna respondió con éxito. Si es un ataque, bloquee al "
        "cliente y busque sus otras huellas.",
        "false_positives": "Buscadores, monitoreo, una oficina entera detrás de una sola dirección.",
    },
    "en": {
        "title": "Web client unlike the others",
        "what_happened": "{client} made {requests} requests to {service} in {window}: {uris} distinct addresses, "
        "{errors} with errors, {bytes} bytes. Normal at this service: {normal.requests} requests, {normal.uris} "
        "addresses, {normal.errors} with errors, {normal.bytes} bytes.",
        "why_it_matters": "This is how someone looks who searches for holes, tries passwords, copies a register or "
        "wants the service down.",
        "what_to_do": "Review which addresses were asked for and whether one succeeded. If it is an attack, block the "
        "client and look for its other traces.",
        "false_positives": "Search engines, monitoring, a whole office behind one address.",
    },
}

EPISODES = 4_096
"""Alerts open at a time; beyond it the oldest is closed early."""

MOST = 20
"""Alerts raised by one window of one service; the strongest, and they say how many clients more there were."""


@dataclass(kw_only=True)
class WebSession:
    """A web client whose minute looks unlike the minutes of the service's other clients.

    When a window ends in event time all clients of a service are scored in one batch against a frozen table of the
    service's past windows (see `_training` and `_tail_forest`). A client alerts when its largest robust z is extreme
    and the isolation forest finds it odd too, or when the z is so extreme that the forest's known blindness for a
    single feature must not hide it. Windows that alert do not train. One alert per client until it has been
    unremarkable for `gap`.
    """

    window: Span = Span(MINUTE)
    """How much of a client's traffic is judged as one."""
    requests: int = 20
    """Requests in a window below which a client never alerts."""
    z: float = 5.0
    """Robust standard deviations from the median, at one feature at least, from which on a window may alert."""
    z_alone: float = 8.0
    """As many standard deviations alert even where the isolation forest finds nothing odd."""
    max_p: float = 0.001
    """Largest share of past windows that were as extreme, 0 to 1; with a shorter history none may have been."""
    forest_p: float = 0.1
    """Largest share of past windows that the isolation forest finds as odd, 0 to 1."""
    minimum: int = 200
    """Windows of clients to learn from before anything is judged."""
    sample: int = 1024
    """Windows of clients kept of each day to learn from, chosen evenly over the day."""
    days: int = 7
    """Days to learn from; the table is renewed at the end of each."""
    clients: int = 5_000
    """Clients of one service counted in one window; beyond twice as many the busiest are kept."""
    gap: Span = Span(10 * MINUTE)
    """How long a client must be unremarkable before its next window is another alert."""
    level: str = "medium"
    """The alerts' level: informational, low, medium, high or critical."""

    def __post_init__(self) -> None:
        """Raises ValueError for settings that cannot work."""
        check_level(self.level)
        if self.window < SECOND:
            raise ValueError("window must be at least 1s")
        if self.minimum < 2 or self.sample < self.minimum:
            raise ValueError("minimum must be at least 2 and at most sample")
        if self.clients < 1 or self.days < 1:
            raise ValueError("clients and days must be at least 1")
        self._models: dict[str, tuple[str, TailForest]] = {}

    @property
    def depth(self) -> int:
        """Its hits are of events alone."""
        return 0

    @property
    def name(self) -> str:
        """What `Hit.detector` says to reach it."""
        return "web_session"

    @property
    def version(self) -> str:
        """How the state is laid out and what a window is; new thresholds keep what was learned."""
        return f"1.{int(self.window)}"

    def select(self, events: Sequence[Event]) -> Iterator[Hit]:
        """A hit for every web request with a client's address, keyed by agency and service."""
        for event in events:
            if is_request(event) and client_of(event) is not None:
                time = time_of(event)
                if time is not None:
                    yield Hit(time, str(event.get("event.id", "")), self.name, group_of(event), request_facts(event))

    def observe(self, hits: Sequence[Hit], state: State) -> Iterator[Alert]:
        """Count requests by client and window; nothing alerts before the window ends."""
        books = _Books(state, self)
        for hit in hits:
            client = client_of(hit.fields)
            if client is not None:
                books.count(hit, client)
        return iter(())

    def advance(self, now: int, due: Sequence[str], state: State) -> Iterator[Alert]:
        """Judge the windows that end, and close the alerts whose client has calmed down."""
        books = _Books(state, self)
        for key in due:
            kind, _, rest = key.partition("\x1e")
            if kind == "episode":
                books.episodes.delete(rest)
            else:
                group, _, start = rest.rpartition("\x1e")
                yield from self._judge(group, int(start), books)

    def _judge(self, group: str, start: int, books: _Books) -> Iterator[Alert]:
        """Score all clients of one service and window in one batch; teach the unremarkable ones."""
        windows = books.close(group, start)
        rows = {client: features(window) for client, window in windows.items()}
        training = books.training(group)
        table = training.table()
        if table is not None:
            model = self._model(group, table.digest, table.rows)
            scores = dict(zip(rows, model.score(list(rows.values())), strict=True))
            unusual = [client for client in rows if self._alerts(scores[client], windows[client], model.rows)]
            unusual.sort(key=lambda client: (-scores[client].z, client))
            for client in unusual[:MOST]:
                crowd = (len(unusual), len(rows))
                yield self._raise(group, start, client, windows[client], scores[client], model, crowd, books)
            for client in unusual:
                del rows[client]
        training.learn(start, rows.items())

    def _alerts(self, score: Score, window: Mapping[str, Any], rows: int) -> bool:
        if window["requests"] < self.requests or score.z < self.z:
            return False
        rare = score.p <= max(self.max_p, 1 / (rows + 1))
        return rare and (score.forest_p <= self.forest_p or score.z >= self.z_alone)

    def _model(self, group: str, digest: str, rows: Sequence[Sequence[float]]) -> TailForest:
        """The model of a frozen table; fitted again after a restart, which gives the same one."""
        known = self._models.pop(group, None)
        if known is None or known[0] != digest:
            known = (digest, TailForest(rows, FLOORS, self.z_alone))
        self._models[group] = known
        if len(self._models) > GROUPS:
            del self._models[next(iter(self._models))]
        return known[1]

    def _raise(
        self,
        group: str,
        start: int,
        client: str,
        window: dict[str, Any],
        score: Score,
        model: TailForest,
        crowd: tuple[int, int],
        books: _Books,
    ) -> Alert:
        """Open or revise the client's alert; it shows the most extreme of its windows so far."""
        unusual, clients = crowd
        key = f"{group}\x1e{client}"
        episode = books.episodes.get(key)
        if episode is None:
            identity = alert_id(start, RULE["id"], group, client, str(start), appended=window["appended"])
            episode = {"id": identity, "first": event_of(window["first"]), "count": 0, "z": 0.0}
        if score.z > episode["z"]:
            peers = round((unusual - 1) / (clients - 1), 6) if clients > 1 else None
            episode |= {"z": score.z, "p": score.p, "history": model.rows, "peers": peers}
            episode |= _shown(window, score, model, unusual - 1)
        episode |= {"count": episode["count"] + window["requests"], "last": event_of(window["last"])}
        books.keep(key, episode, until=start + self.window + self.gap)
        return self._alert(client, episode, start + self.window)

    def _alert(self, client: str, episode: dict[str, Any], moment: int) -> Alert:
        observed, expected = episode["observed"], episode["expected"]
        finding = Finding(
            observed=", ".join(f"{name} {observed[name]}" for name in FEATURES),
            expected=", ".join(f"{name} {expected[name]}" for name in FEATURES),
            p=episode["p"],
            history=episode["history"],
            peers=episode["peers"],
            contributions=episode["top"],
        )
        values = {"client": client, "service": service_of(episode["first"]), "window": length(self.window)}
        return model_alert(
            finding,
            identity=episode["id"],
            rule=RULE,
            level=self.level,
            words=WORDS,
            values={**observed, **{f"normal.{name}": value for name, value in expected.items()}, **values},
            first=episode["first"],
            last=episode["last"],
            count=episode["count"],
            entity=f"source.ip={client}",
            moment=moment,
        )


def _shown(window: Mapping[str, Any], score: Score, model: TailForest, others: int) -> dict[str, Any]:
    """What an alert shows of a window: every feature seen and expected, and the three that stand out most."""
    observed = {name: said(name, value) for name, value in measures(window).items()}
    expected = {name: unlog(name, model.centre(column)) for column, name in enumerate(FEATURES)}
    order = sorted(range(len(FEATURES)), key=lambda column: (-score.zs[column], column))[:3]
    names = [FEATURES[column] for column in order]
    top = [{"feature": name, "observed": observed[name], "expected": expected[name]} for name in names]
    if others >= MOST:
        top[2] = {"feature": "other_unusual_clients", "observed": others, "expected": 0}
    return {"observed": observed, "expected": expected, "top": top}


class _Books:
    """The bounded tables of one partition: clients' open windows by service, and open alerts."""

    def __init__(self, state: State, settings: WebSession) -> None:
        self._state = state
        self._settings = settings
        self._groups = state.table("groups", limit=GROUPS)
        self.episodes = state.table("episodes", limit=EPISODES)

    def count(self, hit: Hit, client: str) -> None:
        """Count one request; the first of a window asks to be woken at its end."""
        start = hit.time - hit.time % self._settings.window
        if self._groups.get(hit.group) != start:
            if hit.group not in self._groups and not self._make_room(start):
                self._groups.evicted += 1
                return
            self._groups.put(hit.group, start)
            self._state.wake(f"window\x1e{hit.group}\x1e{start}", start + self._settings.window)
        windows = self._windows(hit.group)
        key = f"{start:020d}|{client}"
        windows.put(key, add(windows.get(key), hit))
        if len(windows) >= windows.limit:
            self._prune(windows)

    def close(self, group: str, start: int) -> dict[str, dict[str, Any]]:
        """Take the windows that began at `start` out, by client, in the order of their text."""
        windows = self._windows(group)
        prefix = f"{start:020d}|"
        found = {}
        for key in sorted(windows):
            if key.startswith(prefix):
                found[key[len(prefix) :]] = windows.get(key)
                windows.delete(key)
        return found

    def training(self, group: str) -> Training:
        """What the group's clients taught."""
        chosen = self._settings
        return Training(self._state, group, sample=chosen.sample, days=chosen.days, minimum=chosen.minimum)

    def keep(self, key: str, episode: dict[str, Any], until: int) -> None:
        """Keep an open alert until its client has been unremarkable for long enough."""
        oldest = self.episodes.oldest()
        if key not in self.episodes and len(self.episodes) >= EPISODES and oldest is not None:
            self.episodes.delete(oldest)
            self.episodes.evicted += 1
            self._state.sleep(f"episode\x1e{oldest}")
        self.episodes.put(key, episode)
        self._state.wake(f"episode\x1e{key}", until)

    def _windows(self, group: str) -> Table:
        return self._state.table(f"windows/{group}", limit=2 * self._settings.clients)

    def _prune(self, windows: Table) -> None:
        """Keep the busiest clients: a flood of others' single requests never hides the one that scans."""
        ranked = sorted(windows, key=lambda key: (-windows.get(key)["requests"], key))
        for key in ranked[self._settings.clients :]:
            windows.delete(key)
            windows.evicted += 1

    def _make_room(self, start: int) -> bool:
        """Whether there is room for one more service; one that has been silent for long gives way."""
        if len(self._groups) < GROUPS:
            return True
        idle = min(self._groups, key=lambda group: (self._groups.get(group), group))
        if self._groups.get(idle) > start - self._settings.days * DAY:
            return False
        self.training(idle).forget()
        self._groups.delete(idle)
        return True
