"""An account that signs in from a network it never used, and that hardly any of its colleagues uses either."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from almena.alert import Alert, alert_id
from almena.clock import DAY, Span
from almena.event import Event, strings
from almena.hit import IDENTITY, Hit
from almena.state import State, Table
from almena.words import safe
from detectors._anomaly import (
    Finding,
    Words,
    appended,
    check_level,
    facts,
    model_alert,
    network_of,
    time_of,
)
from detectors._stats import good_turing

RULE: dict[str, Any] = {
    "id": "almena.first_seen_network",
    "name": "Sign-in from a network new to the account",
    "version": "1",
    "tags": ["attack.initial-access", "attack.t1078"],
}

WORDS: Words = {
    "es": {
        "title": "Entrada desde una red nueva para la cuenta",
        "what_happened": "{user} entró desde {source.ip}, de la red {network}, que la cuenta nunca había usado en "
        "{history} entradas. Suele entrar desde {normal}. Compañeros que usan esa red: {peers} de {others}.",
        "why_it_matters": "Una contraseña robada suele usarse desde una red ajena a la persona y a su oficina.",
        "what_to_do": "Pregunte a la persona por otro medio si fue ella. Si no lo fue, cierre sus sesiones, cambie su "
        "contraseña y revise qué hizo la cuenta desde esa red.",
        "false_positives": "Viaje, trabajo desde casa, teléfono como módem, cambio de proveedor de internet.",
    },
    "en": {
        "title": "Sign-in from a network new to the account",
        "what_happened": "{user} signed in from {source.ip}, in network {network}, never used by the account in "
        "{history} sign-ins. It usually signs in from {normal}. Colleagues who use that network: {peers} of {others}.",
        "why_it_matters": "A stolen password is usually used from a network foreign to the person and the office.",
        "what_to_do": "Ask the person by other means whether it was them. If not, end their sessions, change the "
        "password and review what the account did from that network.",
        "false_positives": "Travel, work from home, a phone as modem, a change of internet provider.",
    },
}

FIELDS = (
    *IDENTITY,
    "user.name",
    "user.id",
    "user.domain",
    "source.ip",
    "event.dataset",
    "event.action",
    "event.outcome",
    "event.code",
    "almena.source.name",
    "host.name",
    "service.name",
    "process.name",
    "user_agent.original",
)

SIGN_INS = frozenset({"login", "notary_login"})
"""Actions of the institution's own applications that are sign-ins; their other actions are none."""

NOBODY = frozenset({"", "-", "system", "anonymous logon", "local service", "network service"})
"""Names in Windows' logons that are no person's account."""

FEWEST_PEERS = 2
"""Colleagues that must use a network, beside their share, before it is an ordinary one."""

OPEN = 8
"""Alerts of one account open at a time; sign-ins from still more networks are counted on the newest of them."""

EPISODES = 4_096
"""Alerts open at a time, of all accounts; beyond it the oldest is closed early."""


def network(address: object) -> str | None:
    """The /24 (IPv4) or /48 (IPv6) of an address; None for what is none, or is the machine itself."""
    return network_of(address, 24, 48) if isinstance(address, str) else None


def account(event: Event) -> str:
    """The account that signed in, in lower case, or `` when there is none or it is a machine's own."""
    name = next(iter(strings(event.get("user.name")) or strings(event.get("user.id"))), "").strip().lower()
    return "" if name in NOBODY or name.endswith("$") else safe(name)


def signed_in(event: Event) -> bool:
    """Whether the event is a successful sign-in."""
    if "success" not in strings(event.get("event.outcome")):
        return False
    if str(event.get("event.dataset", "")).startswith("app."):
        return event.get("event.action") in SIGN_INS
    if "end" in strings(event.get("event.type")):
        return False
    return "authentication" in strings(event.get("event.category")) or event.get("event.code") in ("4624", 4624)


@dataclass(kw_only=True)
class FirstSeenNetwork:
    """An account that signs in from a network it never used, and that hardly any of its colleagues uses either.

    Every account learns the networks of its sign-ins. Once it is mature (`logins` and `days`), a sign-in from
    another network alerts when the account's history makes that rare (Good-Turing estimate at most `max_p`) and the
    network is not an ordinary one among the agency's other mature accounts (`peers`). What alerted trains nothing:
    the network becomes known only after it alerted on `trust` separate days, and those sign-ins never count for
    maturity or for colleagues. One alert per account, network and day; its later sign-ins revise it.
    """

    logins: int = 10
    """Successful sign-ins before an account is judged."""
    days: float = 7.0
    """Days of history before an account is judged; 0 judges on the first day."""
    max_p: float = 0.1
    """Highest estimated chance of a new network at the account's next sign-in that still alerts, 0 to 1."""
    peers: float = 0.1
    """Share of the agency's other mature accounts, two at least, from which on a network is ordinary, 0 to 1."""
    trust: int = 3
    """Days that a network may alert for an account before it counts as the account's own."""
    memory: Span = Span(90 * DAY)
    """A network that an account has left for this long is new to it again."""
    citizens: bool = False
    """Also judge accounts of citizens (`almena.actor.kind: citizen`), whose networks change all the time."""
    users: int = 20_000
    """Mature accounts kept per agency; a quarter as many are kept on their way there."""
    networks: int = 32
    """Networks kept per account; the one used longest ago leaves."""
    level: str = "medium"
    """The alerts' level: informational, low, medium, high or critical."""

    def __post_init__(self) -> None:
        """Raises ValueError for settings that cannot work."""
        check_level(self.level)
        if self.logins < 1 or self.users < 4 or self.networks < 1 or self.trust < 1:
            raise ValueError("logins, networks and trust must be at least 1, users at least 4")

    @property
    def depth(self) -> int:
        """Its hits are of events alone."""
        return 0

    @property
    def name(self) -> str:
        """What `Hit.detector` says to reach it."""
        return "first_seen_network"

    @property
    def version(self) -> str:
        """How the state is laid out; new thresholds keep what was learned."""
        return "1"

    def select(self, events: Sequence[Event]) -> Iterator[Hit]:
        """A hit for every successful sign-in with an account and an address, keyed by agency."""
        for event in events:
            if not signed_in(event) or (not self.citizens and event.get("almena.actor.kind") == "citizen"):
                continue
            time = time_of(event)
            if time is not None and account(event) and network(event.get("source.ip")):
                agency = safe(event.get("organization.id", ""), 64)
                yield Hit(time, str(event.get("event.id", "")), self.name, agency, facts(event, FIELDS))

    def observe(self, hits: Sequence[Hit], state: State) -> Iterator[Alert]:
        """Learn the sign-ins of the known, alert on those of the new."""
        for hit in hits:
            user, net = account(hit.fields), network(hit.fields.get("source.ip"))
            if user and net:
                yield from self._sign_in(hit, user, net, _Agency(state, hit.group, self))

    def advance(self, now: int, due: Sequence[str], state: State) -> Iterator[Alert]:
        """Close the alerts whose day is over."""
        for key in due:
            yield from self._close(key, state)

    def _sign_in(self, hit: Hit, user: str, net: str, agency: _Agency) -> Iterator[Alert]:
        record = agency.record(user, hit.time)
        agency.mature(user, record, hit.time)
        judged = self._judge(user, record, net, hit.time, agency)
        if judged is None:
            agency.learn(user, record, net, hit.time)
            return
        key = f"{hit.group}\x1e{user}\x1e{net}"
        if key not in agency.episodes and len(record["open"]) >= OPEN:
            key = record["open"][-1]
        if key in agency.episodes:
            yield from self._again(hit, key, agency.episodes)
        else:
            yield from self._open(hit, key, net, record, judged, agency)

    def ready(self, record: dict[str, Any], time: int) -> bool:
        """Whether the account is mature at `time`."""
        return bool(time - record["first"] >= self.days * DAY) and _history(record) >= self.logins

    def _judge(
        self, user: str, record: dict[str, Any], net: str, time: int, agency: _Agency
    ) -> tuple[float, int, int] | None:
        """None for a sign-in to learn; else the chance of a new network, colleagues on this one, colleagues in all."""
        if net in record["nets"] or not self.ready(record, time) or record["odd"].get(net, 0) >= self.trust:
            return None
        chance = round(good_turing(count for count, _ in record["nets"].values()), 6)
        others = len(agency.settled) - (user in agency.settled)
        using = min(agency.networks.get(net, 0), others)
        ordinary = using >= FEWEST_PEERS and using / others >= self.peers
        return None if chance > self.max_p or ordinary else (chance, using, others)

    def _open(
        self,
        hit: Hit,
        key: str,
        net: str,
        record: dict[str, Any],
        judged: tuple[float, int, int],
        agency: _Agency,
    ) -> Iterator[Alert]:
        oldest = agency.episodes.oldest()
        if len(agency.episodes) >= EPISODES and oldest is not None:
            agency.episodes.evicted += 1
            yield from self._close(oldest, agency.state)
        user = account(hit.fields)
        chance, using, others = judged
        usual = sorted(record["nets"].items(), key=lambda item: (-item[1][0], item[0]))[:3]
        episode = {
            "id": alert_id(hit.time, RULE["id"], hit.group, user, net, hit.id, appended=appended(hit)),
            "user": user,
            "net": net,
            "first": hit.fields,
            "last": hit.fields,
            "moment": hit.time,
            "count": 1,
            "sent": 1,
            "p": chance,
            "using": using,
            "others": others,
            "history": _history(record),
            "usual": ", ".join(f"{name} ×{count}" for name, (count, _) in usual),
        }
        agency.episodes.put(key, episode)
        agency.state.wake(key, hit.time + DAY)
        record["open"].append(key)
        agency.save(user, record)
        yield self._alert(episode)

    def _again(self, hit: Hit, key: str, episodes: Table) -> Iterator[Alert]:
        """Count a sign-in on the open alert; revisions at powers of two, so that a flood stays quiet."""
        episode = episodes.get(key)
        episode |= {"last": hit.fields, "moment": hit.time, "count": episode["count"] + 1}
        tell = episode["count"] & (episode["count"] - 1) == 0
        if tell:
            episode["sent"] = episode["count"]
        episodes.put(key, episode)
        if tell:
            yield self._alert(episode)

    def _close(self, key: str, state: State) -> Iterator[Alert]:
        group, user, net = key.split("\x1e")
        agency = _Agency(state, group, self)
        episode = agency.episodes.get(key)
        if episode is None:
            return
        agency.episodes.delete(key)
        state.sleep(key)
        record = agency.find(user)
        if record is not None:
            record["open"] = [other for other in record["open"] if other != key]
            record["odd"][net] = record["odd"].pop(net, 0) + 1
            if len(record["odd"]) > self.networks:
                del record["odd"][next(iter(record["odd"]))]
            agency.save(user, record)
        if episode["sent"] != episode["count"]:
            yield self._alert(episode)

    def _alert(self, episode: dict[str, Any]) -> Alert:
        others, using = episode["others"], episode["using"]
        share = round(using / others, 6) if others else None
        colleagues = {
            "feature": "colleagues_on_network",
            "observed": f"{using} / {others}",
            "expected": f"≥ {self.peers:.0%}",
        }
        finding = Finding(
            observed=episode["net"],
            expected=episode["usual"],
            p=episode["p"],
            history=episode["history"],
            peers=share,
            contributions=[
                {"feature": "source.network", "observed": episode["net"], "expected": episode["usual"]},
                {"feature": "chance_of_new_network", "observed": episode["p"], "expected": f"> {self.max_p}"},
                colleagues,
            ],
        )
        values = {"user": episode["user"], "network": episode["net"], "normal": episode["usual"]}
        return model_alert(
            finding,
            identity=episode["id"],
            rule=RULE,
            level=self.level,
            words=WORDS,
            values=values | {"history": episode["history"], "peers": str(using), "others": str(others)},
            first=episode["first"],
            last=episode["last"],
            count=episode["count"],
            entity=f"user.name={episode['user']}",
            moment=episode["moment"],
        )


class _Agency:
    """The accounts of one agency and the networks its mature ones use, in three bounded tables.

    Young accounts have a table of their own: a flood of new names pushes out other new names, never a colleague.
    """

    def __init__(self, state: State, agency: str, settings: FirstSeenNetwork) -> None:
        self.state = state
        self._settings = settings
        self._young = state.table(f"young/{agency}", limit=settings.users // 4)
        self.settled = state.table(f"settled/{agency}", limit=settings.users)
        self.networks = state.table(f"networks/{agency}", limit=settings.users * 4)
        self.episodes = state.table("episodes", limit=EPISODES)

    def find(self, user: str) -> dict[str, Any] | None:
        record: dict[str, Any] | None = self.settled.get(user) or self._young.get(user)
        return record

    def record(self, user: str, time: int) -> dict[str, Any]:
        return self.find(user) or {"first": time, "last": time, "nets": {}, "odd": {}, "open": []}

    def save(self, user: str, record: dict[str, Any]) -> None:
        (self.settled if user in self.settled else self._young).put(user, record)

    def mature(self, user: str, record: dict[str, Any], time: int) -> None:
        """Move an account that has become mature among the settled, if there is room; count its networks."""
        if user in self.settled or not self._settings.ready(record, time):
            return
        if len(self.settled) >= self.settled.limit and not self._forget_idle(time):
            self.settled.evicted += 1
            return
        self._young.delete(user)
        self.settled.put(user, record)
        for net in record["nets"]:
            self._use(net, 1)

    def learn(self, user: str, record: dict[str, Any], net: str, time: int) -> None:
        """One more sign-in of the account from `net`; networks it left long ago, or beyond the limit, leave."""
        nets = record["nets"]
        settled = user in self.settled
        if settled and net not in nets:
            self._use(net, 1)
        nets[net] = [nets.get(net, [0, 0])[0] + 1, time]
        record["last"] = time
        record["odd"].pop(net, None)
        recent = sorted(nets, key=lambda other: (-nets[other][1], other))[: self._settings.networks]
        for other in sorted(nets):
            if other in recent and nets[other][1] >= time - self._settings.memory:
                continue
            del nets[other]
            if settled:
                self._use(other, -1)
        self.save(user, record)

    def _forget_idle(self, time: int) -> bool:
        """Make room by one settled account without a sign-in for as long as a network is remembered."""
        user = next(iter(self.settled))
        record = self.settled.get(user)
        if record["last"] >= time - self._settings.memory:
            return False
        self.settled.delete(user)
        for net in record["nets"]:
            self._use(net, -1)
        return True

    def _use(self, net: str, change: int) -> None:
        count = self.networks.get(net, 0) + change
        if count <= 0:
            self.networks.delete(net)
        elif net in self.networks or len(self.networks) < self.networks.limit:
            self.networks.put(net, count)


def _history(record: dict[str, Any]) -> int:
    """Sign-ins that the account's known networks rest on."""
    return sum(count for count, _ in record["nets"].values())
