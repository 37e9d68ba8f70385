"""Whether changed rules may take the place of those that run, and when files that change have come to rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from almena.errors import UsageError
from detectors.sigma.inputs import Stamp
from detectors.sigma.rules import Correlation, Rejection, Rule, RuleSet


def lost(running: RuleSet, fresh: RuleSet) -> list[Rejection]:
    """Why `fresh` may not replace `running`: what it refuses and `running` has, rule, correlation or filter.

    A rule that is gone, and a new one that is refused, are no reason: the one was taken away, the other never ran.
    """
    if running.everything and not fresh.everything:
        return [*fresh.rejected, Rejection("", "", "no rule is left")]
    missing = [item for item in _named(running) if item not in set(_named(fresh))]
    labels, files = {label for label, _ in missing}, {file for _, file in missing}
    known = {(item.rule, item.file) for item in running.rejected}
    here = set(_named(running))
    return [
        item
        for item in fresh.rejected
        if (item.rule, item.file) not in known
        and (item.rule in labels or item.file in files or (item.rule, item.file) in here)
    ]


def _named(ruleset: RuleSet) -> Iterator[tuple[str, str]]:
    """What everything in use is called in rejections, and its file."""
    yield from ruleset.filters
    for item in ruleset.everything:
        yield _label(item), item.file


def _label(item: Rule | Correlation) -> str:
    return str(item.document.get("id") or item.document.get("title") or item.file)


class Watch:
    """Tells when files have changed and are being written no more; asks for no more than their stamps."""

    def __init__(self, stamp: Callable[[], Stamp]) -> None:
        """`stamp` tells one state of the files from another; what it says now counts as known."""
        self._stamp = stamp
        self._last = self._known = stamp()

    def look(self) -> bool:
        """True when the files are not as they were known and did not change since the last look.

        Files that cannot be looked at raise UsageError, and are news once they can.
        """
        before = self._last
        try:
            self._last = self._stamp()
        except UsageError:
            self._last = self._known = ()
            raise
        return self._last == before != self._known

    def settle(self) -> bool:
        """Take the files for known, unless they changed since the last look; then False."""
        if self._stamp() != self._last:
            return False
        self._known = self._last
        return True
