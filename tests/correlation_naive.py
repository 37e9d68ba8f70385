"""Correlations by brute force: docs/correlation.md read a second time, with every hit at hand and nothing forgotten.

It shares with the product what reads YAML and numbers, and neither windows nor the way conditions are taken apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import product

from almena.clock import DAY
from detectors.sigma.rules import Correlation

Way = tuple[tuple[str, ...], tuple[str, ...], tuple[tuple[str, bool], ...]]
"""Rules that occur, rules that must not, and all of them in order."""


@dataclass(frozen=True)
class One:
    """A hit of one group."""

    time: int
    id: str
    rule: str
    value: Fraction | str = ""
    weight: int = 1
    fresh: bool = True
    first: tuple[int, str] = (0, "")
    group: str = ""
    """The group it has in the correlation that reads what this one finds."""

    @property
    def event(self) -> str:
        return self.id.rpartition("/")[0]

    @property
    def adds(self) -> int:
        """How many events more it is."""
        return self.weight if self.fresh else 1

    @property
    def begins(self) -> tuple[int, str]:
        return self.first if self.first[1] else (self.time, self.id)


@dataclass
class Episode:
    """One alert."""

    first: tuple[int, str]
    last: One
    count: int
    value: Fraction | int
    values: set[Fraction | str] = field(default_factory=set)


@dataclass(frozen=True)
class Match:
    """Something held."""

    moment: int
    start: int
    first: One
    last: One
    count: int
    value: Fraction | int


def alerts(rule: Correlation, hits: Sequence[One]) -> tuple[list[Episode], list[One]]:
    """The episodes of one group, and the results for whoever reads them; `hits` in (time, id) order."""
    counted = [hit for hit in hits if hit.fresh or rule.type.startswith("temporal")]
    if rule.condition is not None and any(name not in ("gt", "gte") for name, _ in rule.condition.bounds):
        return _matches(rule, list(_closing(rule, counted)))
    ways = _ways(rule)
    if any(absent for _, absent, _ in ways):
        return _matches(rule, _absences(rule, ways, counted))
    return _sliding(rule, ways, counted)


def _sliding(rule: Correlation, ways: Sequence[Way], hits: Sequence[One]) -> tuple[list[Episode], list[One]]:
    episodes: list[Episode] = []
    results: list[One] = []
    longest, cut, running = max(DAY, rule.timespan), 0, False
    for place, hit in enumerate(hits):
        if running:
            episode = episodes[-1]
            if hit.time - episode.last.time > rule.timespan or hit.time - episode.first[0] > longest:
                running, cut = False, place
        window = [one for one in hits[cut : place + 1] if one.time >= hit.time - rule.timespan]
        held = _holds(rule, ways, window)
        if running:
            _extend(rule, episodes[-1], hit, window)
        elif held is not None:
            running = True
            episodes.append(_begun(rule, hit, window, held))
            results += _results(rule, hit, episodes[-1], held, hit.time)
            continue
        if running and held is not None:
            results += _results(rule, hit, episodes[-1], [], hit.time)
    return episodes, results


def _results(rule: Correlation, hit: One, episode: Episode, rests: Sequence[One], moment: int) -> Iterator[One]:
    fresh = bool(rests)
    groups = {hit.group: hit} | {one.group: one for one in rests if one.group != hit.group}
    for group, one in groups.items():
        yield One(moment, one.id, rule.id, weight=episode.count, fresh=fresh, first=episode.first, group=group)


def _begun(rule: Correlation, hit: One, window: Sequence[One], rests: Sequence[One]) -> Episode:
    values = {one.value for one in rests} if rule.type == "value_count" else set()
    count = sum(one.weight for one in rests)
    episode = Episode(rests[0].begins, hit, count, 0, values)
    if rule.type == "value_sum":
        episode.value = sum((_number(one) for one in window), Fraction(0))
    _measure(rule, episode, window, len(rests))
    return episode


def _extend(rule: Correlation, episode: Episode, hit: One, window: Sequence[One]) -> None:
    if (hit.time, hit.event) != (episode.last.time, episode.last.event):
        episode.count += hit.adds
    episode.last = hit
    episode.values.add(hit.value)
    if rule.type == "value_sum":
        episode.value += _number(hit)
    _measure(rule, episode, window, None)


def _measure(rule: Correlation, episode: Episode, window: Sequence[One], met: int | None) -> None:
    match rule.type:
        case "event_count":
            episode.value = episode.count
        case "value_count":
            episode.value = len(episode.values)
        case "temporal" | "temporal_ordered":
            episode.value = episode.value if met is None else met
        case "value_avg" | "value_median" | "value_percentile":
            episode.value = _measured(rule, window)


def _holds(rule: Correlation, ways: Sequence[Way], window: Sequence[One]) -> list[One] | None:
    """The hits that the condition rests on, the first of the alert first; None where it does not hold."""
    if rule.condition is None or rule.type == "temporal_ordered":
        return _shortest(rule, ways, window)
    fulfils: Callable[[Fraction | int], bool] = lambda number: _fulfils(rule, number)  # noqa: E731
    if rule.type == "event_count":
        events = list({(one.time, one.event): one for one in reversed(window)}.values())[::-1]
        return events if fulfils(len(events)) else None
    if rule.type in ("value_count", "temporal"):
        latest = {(one.rule if rule.type == "temporal" else one.value): one for one in window}
        newest = sorted(latest.values(), key=window.index)
        fewest = next((number for number in range(1, len(newest) + 1) if fulfils(number)), None)
        return newest[-fewest:] if fewest is not None else None
    return list(window) if fulfils(_measured(rule, window)) else None


def _shortest(rule: Correlation, ways: Sequence[Way], window: Sequence[One]) -> list[One] | None:
    """The shortest span, or chain, that ends with the last hit, over all ways."""
    best: list[One] | None = None
    for occur, _, order in ways:
        if rule.type == "temporal":
            latest = {one.rule: one for one in window}
            found = sorted((latest[name] for name in occur), key=window.index) if set(occur) <= set(latest) else None
            if window[-1].rule not in occur:
                found = None
        else:
            found = _chain(order, window)
        if found is not None and (best is None or found[0].time > best[0].time):
            best = found
    return best


def _chain(order: Sequence[tuple[str, bool]], window: Sequence[One]) -> list[One] | None:
    """The chain in order that ends with the last hit and starts latest; between its hits none of what must not be."""
    wanted = [place for place, (_, occurs) in enumerate(order) if occurs]

    def back(step: int, end: int) -> list[int] | None:
        if step < 0:
            return []
        barred = {name for name, _ in order[wanted[step] + 1 : wanted[step + 1]]}
        best: list[int] | None = None
        for place in range(end - 1, -1, -1):
            if window[place].rule == order[wanted[step]][0]:
                before = back(step - 1, place)
                if before is not None and (best is None or [*before, place][0] > best[0]):
                    best = [*before, place]
            if window[place].rule in barred:
                break
        return best

    if window[-1].rule != order[wanted[-1]][0]:
        return None
    found = back(len(wanted) - 2, len(window) - 1)
    return None if found is None else [window[place] for place in [*found, len(window) - 1]]


def _closing(rule: Correlation, hits: Sequence[One]) -> Iterator[Match]:
    left = list(hits)
    while left:
        end = left[0].time + rule.timespan
        window = [one for one in left if one.time <= end]
        left = left[len(window) :]
        value = _asked(rule, window)
        if _fulfils(rule, value):
            events = list({(one.time, one.event): one for one in reversed(window)}.values())
            count = sum(one.adds for one in events)
            yield Match(end + 1, window[0].time, window[0], window[-1], count, value)


def _asked(rule: Correlation, window: Sequence[One]) -> Fraction | int:
    match rule.type:
        case "event_count":
            return len({(one.time, one.event) for one in window})
        case "value_count":
            return len({one.value for one in window})
        case "temporal":
            return len({one.rule for one in window})
        case "temporal_ordered":
            return max(
                (
                    sum(chosen)
                    for chosen in product((0, 1), repeat=len(rule.rules))
                    if _in_order([name for name, taken in zip(rule.rules, chosen, strict=True) if taken], window)
                ),
                default=0,
            )
    return _measured(rule, window)


def _in_order(names: Sequence[str], window: Sequence[One]) -> bool:
    left = iter(window)
    return all(any(one.rule == name for one in left) for name in names)


def _absences(rule: Correlation, ways: Sequence[Way], hits: Sequence[One]) -> list[Match]:
    """All matches as they become known: what waited before what holds at a hit, of that the shortest way alone."""
    waited: list[tuple[int, int, int, Match]] = []
    at_once: dict[int, Match] = {}
    for way in ways:
        for place, waits, match in _way(rule, way, hits):
            if waits:
                waited.append((match.moment, 0, len(waited), match))
            elif place not in at_once or match.start > at_once[place].start:
                at_once[place] = match
    known = [*waited, *((match.moment, 1, place, match) for place, match in at_once.items())]
    return [match for *_, match in sorted(known, key=lambda item: item[:3])]


def _way(rule: Correlation, way: Way, hits: Sequence[One]) -> Iterator[tuple[int, bool, Match]]:
    """Matches of one way: those that nothing forbids, each with the later ones while it waited."""
    occur, absent, order = way
    behind = {name for name, occurs in _tail(order) if not occurs}
    bars = set(absent) if rule.type == "temporal" else behind
    open_: Match | None = None
    for place, hit in enumerate(hits):
        window = [one for one in hits[: place + 1] if one.time >= hit.time - rule.timespan]
        found = _shortest(rule, [way], window)
        if found is None or not _free_before(rule, absent, order, found, window):
            continue
        start, due = found[0].time, found[0].time + rule.timespan
        count = sum(one.weight for one in found)
        if not bars:
            yield place, False, Match(hit.time, start, found[0], hit, count, len(occur))
        elif open_ is not None and hit.time <= open_.moment - 1:
            more = 0 if (hit.time, hit.event) == (open_.last.time, open_.last.event) else hit.adds
            open_ = replace(open_, last=hit if more else open_.last, count=open_.count + more)
        else:
            if open_ is not None:
                yield place, True, open_
                open_ = None
            if not any(one.rule in bars and one.time <= due for one in hits[place + 1 :]):
                open_ = Match(due + 1, start, found[0], hit, count, len(occur))
    if open_ is not None:
        yield len(hits), True, open_


def _free_before(
    rule: Correlation,
    absent: Sequence[str],
    order: Sequence[tuple[str, bool]],
    found: Sequence[One],
    window: Sequence[One],
) -> bool:
    """Nothing that must not occur lies within a timespan before the last hit; of an order, before its first hit."""
    if rule.type == "temporal":
        return not any(one.rule in absent for one in window)
    ahead = set()
    for name, occurs in order:
        if occurs:
            break
        ahead.add(name)
    return not any(one.rule in ahead for one in window[: window.index(found[0])])


def _tail(order: Sequence[tuple[str, bool]]) -> Sequence[tuple[str, bool]]:
    last = max(place for place, (_, occurs) in enumerate(order) if occurs)
    return order[last + 1 :]


def _matches(rule: Correlation, found: Sequence[Match]) -> tuple[list[Episode], list[One]]:
    episodes: list[Episode] = []
    results: list[One] = []
    for match in found:
        episode = episodes[-1] if episodes else None
        if (
            episode is None
            or match.start - episode.last.time > rule.timespan
            or match.start - episode.first[0] > max(DAY, rule.timespan)
        ):
            fresh = True
            episode = Episode(match.first.begins, match.last, match.count, match.value)
            episodes.append(episode)
        else:
            fresh = False
            episode.count += match.count if match.last.id != episode.last.id else 0
            episode.last = match.last if match.last.time >= episode.last.time else episode.last
            episode.value = match.value
        results.append(
            One(match.moment, match.last.id, rule.id, "", episode.count, fresh, episode.first, match.last.group)
        )
    return episodes, results


def _fulfils(rule: Correlation, number: Fraction | int) -> bool:
    assert rule.condition is not None
    compared = {"gt": "__gt__", "gte": "__ge__", "lt": "__lt__", "lte": "__le__", "eq": "__eq__", "neq": "__ne__"}
    return all(getattr(Fraction(number), compared[name])(Fraction(str(bound))) for name, bound in rule.condition.bounds)


def _number(one: One) -> Fraction:
    assert isinstance(one.value, Fraction)
    return one.value


def _measured(rule: Correlation, window: Sequence[One]) -> Fraction:
    numbers = sorted(_number(one) for one in window)
    if rule.type == "value_sum":
        return sum(numbers, Fraction(0))
    if rule.type == "value_avg":
        return sum(numbers, Fraction(0)) / len(numbers)
    percent = rule.percentile if rule.type == "value_percentile" else 50
    place = Fraction(percent * (len(numbers) - 1), 100)
    low = numbers[int(place)]
    high = numbers[min(int(place) + 1, len(numbers) - 1)]
    return low + (high - low) * (place - int(place))


def _ways(rule: Correlation) -> list[Way]:
    """The ways in which rules may come together, in the order of the correlation; none where only numbers count."""
    if rule.condition is not None:
        if rule.type != "temporal_ordered":
            return []
        fewest = next(number for number in range(1, len(rule.rules) + 1) if _fulfils(rule, number))
        chosen = [taken for taken in product((True, False), repeat=len(rule.rules)) if sum(taken) == fewest]
        orders = [tuple((name, True) for name, taken in zip(rule.rules, each, strict=True) if taken) for each in chosen]
        return [(tuple(name for name, _ in order), (), order) for order in dict.fromkeys(orders)]
    found: list[Way] = []
    for way in _disjunction(_parsed(rule.expression), True, rule):
        order = tuple((name, way[name]) for name in rule.rules if name in way)
        each = (
            tuple(name for name, occurs in order if occurs),
            tuple(name for name, occurs in order if not occurs),
            order,
        )
        if each not in found:
            found.append(each)
    return found


_Tree = tuple[str, list["_Tree"]] | str


def _parsed(text: str) -> _Tree:
    words = re.findall(r"[()]|[^\s()]+", text)

    def either() -> _Tree:
        parts = [both()]
        while words and words[0].lower() == "or":
            words.pop(0)
            parts.append(both())
        return parts[0] if len(parts) == 1 else ("or", parts)

    def both() -> _Tree:
        parts = [single()]
        while words and words[0].lower() == "and":
            words.pop(0)
            parts.append(single())
        return parts[0] if len(parts) == 1 else ("and", parts)

    def single() -> _Tree:
        word = str(words.pop(0))
        if word.lower() == "not":
            return ("not", [single()])
        if word == "(":
            inner = either()
            words.pop(0)
            return inner
        return word

    tree: _Tree = either()
    return tree


def _disjunction(tree: _Tree, wanted: bool, rule: Correlation) -> list[dict[str, bool]]:
    if isinstance(tree, str):
        return [{rule.named[tree]: wanted}]
    kind, parts = tree
    if kind == "not":
        return _disjunction(parts[0], not wanted, rule)
    each = [_disjunction(part, wanted, rule) for part in parts]
    if (kind == "or") is wanted:
        return [way for part in each for way in part]
    found = []
    for chosen in product(*each):
        way: dict[str, bool] = {}
        if all(way.setdefault(name, occurs) is occurs for one in chosen for name, occurs in one.items()):
            found.append(way)
    return found
