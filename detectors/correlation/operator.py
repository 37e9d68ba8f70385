"""One correlation at work: hits in order go through the windows of their groups, and alerts and results come out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from almena.alert import Alert
from almena.clock import DAY
from almena.hit import IDENTITY, Hit, split_key
from almena.progress import Progress
from almena.state import State
from detectors.correlation.alerts import about, alert_of, beginning, identity, same_event, value_of
from detectors.correlation.episode import Episode, Values
from detectors.correlation.feeds import Feed, counted, feed_of, outlets_of, result, version_of
from detectors.correlation.groups import LIMIT, SWEEP, Group, Groups
from detectors.correlation.making import window_of
from detectors.correlation.signals import Found, Mark, Reached, Signal, mark_of
from detectors.correlation.window import EXACT
from detectors.sigma.rules import Correlation

LONGEST_EPISODE = DAY
"""The longest an episode may go on, where its timespan is not longer; what follows is a new one."""

MOST_FIELDS_KEPT = 50
"""Hits of one window that keep all their fields; those of a larger window keep what identifies them."""


class CorrelationOperator:
    """The stateful half of one correlation; docs/correlation.md says what it counts."""

    def __init__(
        self,
        rule: Correlation,
        *,
        inner: Mapping[str, Correlation] | None = None,
        readers: Sequence[Correlation] = (),
        alerts: bool = True,
        limit: int = LIMIT,
        longest: int = LONGEST_EPISODE,
        exact: int = EXACT,
    ) -> None:
        """`inner` are the correlations it rests on, `readers` those that rest on it; without `alerts` it only
        feeds them. `limit` bounds the groups per partition, `longest` an episode (microseconds), `exact` what a
        window remembers one by one."""
        self.rule = rule
        self.readers = tuple(readers)
        self._alerts = alerts
        self._window = window_of(rule, exact)
        self._longest = max(longest, rule.timespan)
        self._groups = Groups(self._window, limit, rule.timespan * (2 if self._window.by_match else 1))
        self._outlets: dict[str, list[Feed]] = {}
        for feed in outlets_of(rule, readers):
            self._outlets.setdefault(feed.leaf, []).append(feed)
        self._feeds: dict[tuple[str, str], Feed] = {}
        self._keep = self._kept()
        self._about = about(rule, inner or {})

    @property
    def name(self) -> str:
        """The correlation's id: what `Hit.detector` says."""
        return self.rule.id

    @property
    def version(self) -> str:
        """Changes with the correlation, with every rule it reads, and with the layout of its state."""
        return version_of(self.rule)

    @property
    def depth(self) -> int:
        """How many correlations lie below it in its chain."""
        return self.rule.depth

    def about(self) -> dict[str, Any]:
        """The node of an explanation, without what was found."""
        return self._about

    def observe(self, hits: Sequence[Hit], state: State) -> Iterator[Alert | Hit]:
        """Take hits in (time, id) order."""
        for hit in hits:
            tier, group = self._groups.find(hit.group, state)
            if group is None:
                self._groups.expect(hit.time, state)
                group = Group(hit.time, self._window.open())
            yield from self._close(hit.group, group, hit.time)
            episode = group.episode
            if episode is not None and not self._window.by_match and self._over(episode, hit.time):
                yield from self._end(group, episode)
            yield from self._take(hit, group)
            group.last, group.shadow, group.aside = hit.time, hit.shadow, hit.aside
            self._wake(hit.group, group, state)
            self._groups.keep(hit.group, tier, group, state)

    def advance(self, now: int, due: Sequence[str], state: State) -> Iterator[Alert | Hit]:
        """Decide windows that have closed, end episodes that have had no hit for a timespan, forget what is past."""
        for key in due:
            if key == SWEEP:
                self._groups.sweep(now, state)
                continue
            tier, group = self._groups.find(key, state)
            if group is None:
                continue
            group.wake = None
            yield from self._close(key, group, now)
            episode = group.episode
            if episode is not None and not self._window.by_match and self._over(episode, now):
                yield from self._end(group, episode)
            self._wake(key, group, state)
            self._groups.keep(key, tier, group, state)

    def progress(self, state: State, key: str = "", now: int = 0) -> Iterator[Progress]:
        """How far the groups have come at event time `now` (of their last hits if that is later), those nearest to
        alerting first; of one of them where `key` is its key."""
        for found, group in self._groups.all(state):
            if key in ("", found):
                reached = self._window.reached(group.memory, max(group.last, now))
                if reached is not None or group.episode is not None:
                    yield self._progress(found, group, reached)

    def _progress(self, key: str, group: Group, reached: Reached | None) -> Progress:
        episode = group.episode
        if reached is None:
            reached = Reached(0, 0, group.last, group.last + self.rule.timespan)
        agency, *values = split_key(key)
        return Progress(
            key=key,
            agency=agency,
            group=dict(zip(self.rule.group_by, values, strict=False)),
            value=reached.value if episode is None else value_of(self.rule, episode),
            wanted=self.rule.condition.text() if self.rule.condition is not None else self.rule.expression,
            hits=reached.hits,
            missing=reached.missing,
            first=reached.first,
            last=group.last,
            closes=reached.closes,
            waits=self.rule.closes,
            alert=episode.alert if episode is not None else "",
            nearness=1.0 if episode is not None else self._window.nearness(group.memory),
        )

    def _take(self, hit: Hit, group: Group) -> Iterator[Alert | Hit]:
        signal = self._signal(hit)
        if signal is None:
            return
        found = self._window.feed(group.memory, signal)
        episode = group.episode
        if self._window.by_match:
            if found is not None:
                yield from self._match(group, found, hit, hit.time)
            return
        if episode is None:
            if found is None:
                return
            episode = group.episode = self._begin(hit, found)
            yield from self._tell(group, episode, hit.time)
            yield from self._results(hit, found.marks, episode, hit.time, fresh=True)
            return
        yield from self._go_on(hit, group, signal, episode)
        if found is not None:
            yield from self._results(hit, (), episode, hit.time, fresh=False)

    def _signal(self, hit: Hit) -> Signal | None:
        """The hit on its way through a window; None where it is not counted."""
        leaf = hit.id.rpartition("/")[2]
        feed = self._feeds.get((hit.rule, leaf))
        if feed is None:
            feed = self._feeds[hit.rule, leaf] = feed_of(self.rule, hit.rule, leaf)
        value = None
        if feed.counted:
            value = counted(feed.counted, self.rule.numeric, hit.fields.get)
            if value is None:
                return None
        if not hit.fresh and self.rule.type not in ("temporal", "temporal_ordered"):
            return None
        return Signal(mark_of(hit, self._keep), hit.rule, value, hit.fresh)

    def _begin(self, hit: Hit, found: Found) -> Episode:
        first, leaf = found.first.first, hit.id.rpartition("/")[2]
        return Episode(
            alert=identity(self.rule, hit.group, first, hit.fields),
            root=first.id,
            start=first.time,
            first=beginning(self.rule, first, hit.fields, leaf),
            time=hit.time,
            last=hit.id,
            fields=hit.fields,
            count=found.events(),
            shadow=hit.shadow,
            value=found.value,
            error=found.error,
            total=found.total,
            values=None if found.distinct is None else Values.of(found.distinct),
            occurred=list(found.occurred),
        )

    def _go_on(self, hit: Hit, group: Group, signal: Signal, episode: Episode) -> Iterator[Alert]:
        """The episode with one hit more."""
        before = episode.count
        again = hit.time == episode.time and same_event(hit.id, episode.last)
        episode.time, episode.last, episode.fields = hit.time, hit.id, hit.fields
        if episode.values is not None and signal.value is not None:
            episode.values.add(signal.value)
        if episode.total is not None and signal.value is not None:
            episode.total += signal.value
        if not again:
            episode.count += signal.weight
        if episode.count.bit_length() > before.bit_length():
            yield from self._tell(group, episode, hit.time)

    def _close(self, key: str, group: Group, now: int) -> Iterator[Alert | Hit]:
        """Decide everything that was due before `now`, in the order of time."""
        while (due := self._window.due(group.memory)) is not None and due < now:
            found = self._window.close(group.memory, now)
            if found is not None and found.last is not None:
                last = found.last
                hit = Hit(last.time, last.id, "", key, dict(last.fields or {}), shadow=group.shadow, aside=group.aside)
                yield from self._match(group, found, hit, due + 1)

    def _match(self, group: Group, found: Found, hit: Hit, moment: int) -> Iterator[Alert | Hit]:
        """What held at event time `moment` begins an episode, or belongs to the one that goes on; `hit` is its last."""
        episode, start = group.episode, found.first.time
        if episode is None or start - episode.time > self.rule.timespan or start - episode.start > self._longest:
            episode = group.episode = self._begin(hit, found)
            fresh = True
        else:
            if hit.id != episode.last:  # one hit may hold in several ways, which is no reason to count it again
                episode.count += found.events()
            if hit.time >= episode.time:
                episode.time, episode.last, episode.fields = hit.time, hit.id, hit.fields
            episode.value, episode.error, episode.occurred = found.value, found.error, list(found.occurred)
            fresh = False
        yield from self._tell(group, episode, moment)
        yield from self._results(hit, found.marks, episode, moment, fresh=fresh)

    def _tell(self, group: Group, episode: Episode, moment: int) -> Iterator[Alert]:
        """A revision of the alert."""
        episode.told = episode.last
        if self._alerts:
            measured = self._window.measure(group.memory)
            if measured is not None:
                episode.value, episode.error = measured
            yield alert_of(self.rule, self._about, episode, moment)

    def _results(self, hit: Hit, marks: Iterable[Mark], episode: Episode, moment: int, *, fresh: bool) -> Iterator[Hit]:
        """What the correlations that read this one get: one result for each of their groups among the hits."""
        if not self._outlets:
            return
        made = Hit(
            time=moment,
            id=hit.id,
            detector="",
            group="",
            rule=self.rule.id,
            shadow=hit.shadow,
            first=(episode.start, episode.root, episode.first),
            count=episode.count,
            fresh=fresh,
            aside=hit.aside,
        )
        done: set[tuple[str, str]] = set()
        for ident, fields in ((hit.id, hit.fields), *((mark.id, mark.fields) for mark in reversed(list(marks)))):
            for feed in self._outlets.get(ident.rpartition("/")[2], ()):
                found = result(feed, dict(fields or {}), made, ident)
                if found is not None and (found.detector, found.group) not in done:
                    done.add((found.detector, found.group))
                    yield found

    def _over(self, episode: Episode, now: int) -> bool:
        return now - episode.time > self.rule.timespan or now - episode.start > self._longest

    def _end(self, group: Group, episode: Episode) -> Iterator[Alert]:
        """The final revision, unless the last one said it all; the window starts anew."""
        if episode.told != episode.last:
            yield from self._tell(group, episode, episode.time + self.rule.timespan + 1)
        group.episode, group.memory = None, self._window.open()

    def _wake(self, key: str, group: Group, state: State) -> None:
        """Ask to be woken when something has to be decided or ends, unless that is asked already."""
        wanted = self._window.due(group.memory)
        if group.episode is not None and not self._window.by_match:
            wanted = group.episode.time + self.rule.timespan
        if wanted is not None and (group.wake is None or wanted + 1 < group.wake):
            group.wake = wanted + 1
            state.wake(key, group.wake)

    def _kept(self) -> tuple[str, ...] | None:
        """The fields that marks keep: all of them (None) where marks are few."""
        rule = self.rule
        wanted = 0 if rule.condition is None else rule.condition.smallest
        if self._window.by_match or rule.ways or (not rule.numeric and wanted <= MOST_FIELDS_KEPT):
            return None
        names = {name for feeds in self._outlets.values() for feed in feeds for name in feed.group + feed.counted}
        return (*IDENTITY, "event.dataset", *sorted(names))
