"""The simulation in time order: ordinary activities at their rates, scenes in between, a few unreadable records."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from almena.clock import MINUTE, SECOND
from almena.demo.cast import Cast, rng
from almena.demo.scenes import SCENES, Scene
from almena.demo.traffic import FILLERS, REGULARS, Activity
from almena.demo.wire import Body, Draft, render

WARM_UP = 5 * MINUTE
"""How long before the start citizens begin: the first second is as busy as the others."""

DISTANT = 2**62

_OFFICIAL = frozenset(activity for activity, _ in REGULARS)

_GARBAGE: tuple[tuple[str, bytes], ...] = (
    ("portal-nginx", b"198.51.100.7 - - [22/Nov/2026:13:3"),
    ("payments", b'{"event.dataset": "app.payments", "event.action": "line_pai'),
    ("tramites", b"<html><body>502 Bad Gateway</body></html>"),
    ("windows", b'{"winlog": {"event_id": "4624", "event_data": [}'),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Timed:
    """One record on its way."""

    time: int
    """When it happens, microseconds since 1970 UTC."""
    source: str
    """The source that tells of it, by its name in the configuration of the demo."""
    data: bytes
    """What goes over the wire, without line break."""
    id: str = ""
    """The id inside it, for formats that have one."""
    scene: str = ""
    """The scene it belongs to."""
    broken: bool = False
    """True when no parser can read it: a dead letter is expected."""


@dataclass(frozen=True, kw_only=True)
class Played:
    """One playing of a scene."""

    scene: Scene
    start: int
    entity: str


@dataclass(kw_only=True)
class Simulation:
    """Everything that happens from `start`, in time order; the same arguments give the same bytes.

    Iterating goes on for ever unless `seconds` says when to stop. `played` grows as scenes begin.
    """

    seed: int
    """Who lives in the simulation and what they do."""
    start: int
    """When it begins, microseconds since 1970 UTC."""
    seconds: float | None = None
    """How long it lasts; None never ends."""
    rate: float = 60.0
    """Records of ordinary traffic a second, roughly."""
    scenes: Sequence[Scene] = SCENES
    """The scenes to play; none leaves ordinary traffic alone."""
    first: float = 1.0
    """Seconds from the start to the first scene."""
    gap: float = 12.0
    """Seconds from the beginning of a scene to that of the next, once the first four have begun."""
    rush: float = 0.8
    """The same among the first four, so that a newcomer sees alerts at once."""
    loop: bool = True
    """Whether the scenes begin anew when all were played."""
    garbage: float = 90.0
    """Seconds between records that nobody can read; 0 for none."""
    played: list[Played] = field(default_factory=list, init=False)

    def __iter__(self) -> Iterator[Timed]:
        self.played.clear()
        cast = Cast(self.seed)
        stop = DISTANT if self.seconds is None else self.start + round(self.seconds * SECOND)
        numbers = itertools.count(1)
        streams = [self._activity(cast, activity, per_second) for activity, per_second in self._rates(cast)]
        streams += [self._scenes(cast, stop), self._garbage()]
        for time, source, body, scene, broken in _ordered(streams, stop):
            if time >= self.start:
                data, identity = render(body, source, time, next(numbers))
                yield Timed(time=time, source=source, data=data, id=identity, scene=scene, broken=broken)

    def _rates(self, cast: Cast) -> list[tuple[Activity, float]]:
        """Every activity and how often it begins, a second."""
        sizes = {activity: _mean_size(activity, cast) for activity, _ in (*FILLERS, *REGULARS)}
        regular = [(activity, per_minute / 60) for activity, per_minute in REGULARS]
        rest = max(self.rate - sum(often * sizes[activity] for activity, often in regular), self.rate * 0.1)
        return [(activity, rest * share / sizes[activity]) for activity, share in FILLERS] + regular

    def _activity(self, cast: Cast, activity: Activity, per_second: float) -> _Stream:
        random = rng(self.seed, activity.__name__)
        # What officials do is seen from its first step: a payout whose approval nobody saw would be a fraud.
        time = self.start - (0 if activity in _OFFICIAL else WARM_UP)
        while True:
            time += round(random.expovariate(per_second) * SECOND)
            for draft in activity(random, cast):
                yield _moment(time, draft)
            yield time, None

    def _scenes(self, cast: Cast, stop: int) -> _Stream:
        at = self.first
        for number in itertools.count():
            turn, index = divmod(number, len(self.scenes) or 1)
            if not self.scenes or (turn and not self.loop):
                yield DISTANT, None
                return
            start = self.start + round(at * SECOND)
            yield start, None
            scene = self.scenes[index]
            drafts, entity = scene.tell(rng(self.seed, scene.name, turn), cast)
            if start + round(max(draft.after for draft in drafts) * SECOND) < stop:
                self.played.append(Played(scene=scene, start=start, entity=entity))
                for draft in drafts:
                    yield _moment(start, draft, scene.name)
            at += self.rush if number < 4 and self.gap > self.rush else self.gap

    def _garbage(self) -> _Stream:
        random = rng(self.seed, "garbage")
        time = self.start + round(self.garbage / 2 * SECOND)
        while self.garbage > 0:
            source, data = random.choice(_GARBAGE)
            yield _moment(time, Draft(0, source, data), "", True)
            time += round(self.garbage * SECOND)
            yield time, None
        yield DISTANT, None


_Moment = tuple[int, tuple[str, Body, str, bool] | None]
"""What happens at a time; None only says that nothing of this stream comes before that time."""

_Stream = Iterator[_Moment]


def _moment(start: int, draft: Draft, scene: str = "", broken: bool = False) -> _Moment:
    return start + round(draft.after * SECOND), (draft.source, draft.body, scene, broken)


def _mean_size(activity: Activity, cast: Cast) -> float:
    random: Random = rng("size", activity.__name__)
    return sum(len(activity(random, cast)) for _ in range(60)) / 60


def _ordered(streams: Sequence[_Stream], stop: int) -> Iterator[tuple[int, str, Body, str, bool]]:
    """Everything of all streams in time order, before `stop`."""
    serial = itertools.count()
    waiting: list[tuple[int, int, tuple[str, Body, str, bool]]] = []
    promises = [(-DISTANT, number) for number in range(len(streams))]
    heapq.heapify(promises)
    while promises:
        promise, number = promises[0]
        while waiting and waiting[0][0] < min(promise, stop):
            time, _, (source, body, scene, broken) = heapq.heappop(waiting)
            yield time, source, body, scene, broken
        if promise >= stop:
            return
        for time, what in streams[number]:
            if what is None:
                heapq.heapreplace(promises, (time, number))
                break
            heapq.heappush(waiting, (time, next(serial), what))
        else:
            heapq.heappop(promises)
