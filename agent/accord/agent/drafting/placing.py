# SPDX-License-Identifier: Apache-2.0
"""Where a code of a source belongs among the values of a dimension."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterator

from accord.agent.drafting.words import Name, Words, alike, name_of
from accord.agent.intake.mapping import NONE, OLDEST
from accord.core.dimension import UNKNOWN, Dimension

Placed = tuple[str, ...]
"""Values that one code means; none where it cannot be told."""

Span = tuple[int, int]
"""From the least to the most, in years or months."""

OTHER = "other"

_NEAREST = 4
_NEAR = 0.3
_ALIKE = 0.78
_MARGIN = 0.04
_IN_ONE_CODE = re.compile(r"\s*(?:[,;&/|+]|\band\b|\bund\b|\bet\b|\by\b)\s*")

_SPAN = re.compile(r"(\d{1,3})(?:-(\d{1,3})|(\+))")
_RANGE = re.compile(
    r"(\d{1,3})\s*(?:-{1,2}|–|—|\bto\b|\bbis\b|\ba\b|\bà\b)\s*(\d{1,3})"
)
_FROM = re.compile(
    r"(\d{1,3})\s*(?:\+|(?:years?\s*)?(?:or|and)\s*(?:over|older|above))"
)
_UNTIL = re.compile(r"(\d{1,3})\s*(?:years?\s*)?(?:or|and)\s*(?:under|younger|below)")
_BELOW = re.compile(r"(?:\bunder|\bbelow|<|\bless than)\s*(\d{1,3})")
_UP_TO = re.compile(r"(?:\bup to|≤|<=)\s*(\d{1,3})")
_OVER = re.compile(r"(?:\bover|>|\bmore than)\s*(\d{1,3})")
_ALONE = re.compile(r"0*(\d{1,3})(?:\.0)?")

_OF_AGE = {
    "adult": (18, OLDEST),
    "adults": (18, OLDEST),
    "major": (18, OLDEST),
    "minor": (0, 17),
    "child": (0, 17),
    "children": (0, 17),
    "adulto": (18, OLDEST),
    "menor": (0, 17),
    "adulte": (18, OLDEST),
    "mineur": (0, 17),
    "erwachsen": (18, OLDEST),
    "minderjahrig": (0, 17),
}


@dataclasses.dataclass(slots=True)
class Placer:
    """Finds the values of one dimension by the codes of a source."""

    dimension: Dimension
    words: Words
    _exact: dict[str, str] = dataclasses.field(default_factory=dict)
    _names: list[tuple[Name, str]] = dataclasses.field(default_factory=list)
    _found: dict[str, Placed] = dataclasses.field(default_factory=dict)
    spans: dict[str, Span] = dataclasses.field(default_factory=dict)
    """Ages or months that each value covers; none where values are no bands."""

    def __post_init__(self) -> None:
        """Learn the dimension's values by their names, and then by other words."""
        for node in self._nodes():
            self._learn(name_of(node), node)
            if match := _SPAN.fullmatch(node):
                low = int(match[1])
                self.spans[node] = (low, OLDEST if match[3] else int(match[2]))
        known = self.words.values.get(self.dimension.name, {})
        for node, names in known.items():
            if node in self.dimension:
                for name in names:
                    self._learn(name, node)
        for node, names in self.words.general.items():
            if node in self.dimension and (node != NONE or not self.dimension.single):
                for name in names:
                    self._learn(name, node)

    def place(self, code: str) -> Placed:
        """Return what *code* means; nothing where it cannot be told."""
        if code not in self._found:
            self._found[code] = self._place(code)
        return self._found[code]

    def nearest(self, code: str) -> tuple[str, ...]:
        """Return the names of values that are nearest to *code*, nearest first."""
        if self.spans and (asked := span_of(code)) is not None:
            return self._nearest_bands(*asked)
        scored: dict[str, float] = {}
        pairs = _pairs("".join(name_of(code)))
        for known, node in self._names:
            score = _overlap(pairs, _pairs("".join(known)))
            scored[node] = max(score, scored.get(node, 0.0))
        ranked = sorted(scored, key=lambda node: -scored[node])
        near = [node for node in ranked if scored[node] >= _NEAR and node != UNKNOWN]
        some = [node for node in self.dimension.leaves if node != UNKNOWN]
        return tuple(dict.fromkeys([*near, *some[:_NEAREST]]))[:_NEAREST]

    def _nearest_bands(self, low: int, high: int) -> tuple[str, ...]:
        touched = [
            node
            for node, (least, most) in self.spans.items()
            if least <= high and low <= most
        ]
        ends = sorted(touched, key=lambda node: self.spans[node][1] != high)
        return tuple(ends[:_NEAREST])

    def _place(self, code: str) -> Placed:
        found = self._by_band(code) or self._by_name(code)
        if found is None and self.spans and span_of(code) is not None:
            return ()  # a band that lies across ours is like none of them
        if found is None and (several := self._several(code)):
            return several
        found = found or self._by_likeness(name_of(code))
        return (found,) if found else ()

    def _by_name(self, code: str) -> str | None:
        return self._exact.get(_joined(name_of(code), code))

    def _by_band(self, code: str) -> str | None:
        spans = self.spans
        if not spans or (asked := span_of(code)) is None:
            return None
        low, high = asked
        fitting = [
            node
            for node, (least, most) in spans.items()
            if least <= low and high <= most
        ]
        return min(
            fitting, key=lambda node: spans[node][1] - spans[node][0], default=None
        )

    def _several(self, code: str) -> Placed:
        """Return the values of a code that means more than one."""
        if self.dimension.single:
            return ()
        return self._by_parts(code) or self._by_runs(name_of(code))

    def _by_parts(self, code: str) -> Placed:
        parts = [part for part in _IN_ONE_CODE.split(code) if part.strip()]
        if not 1 < len(parts) <= self.dimension.max_values:
            return ()
        found = [
            self._by_name(part) or self._by_likeness(name_of(part)) for part in parts
        ]
        if not all(found) or UNKNOWN in found:
            return ()
        return tuple(dict.fromkeys(each for each in found if each))

    def _by_runs(self, name: Name) -> Placed:
        """Split a code of two values that nothing stands between."""
        for cut in range(1, len(name)):
            one = self._exact.get("".join(name[:cut]))
            other = self._exact.get("".join(name[cut:]))
            if one and other and one != other and UNKNOWN not in (one, other):
                return one, other
        return ()

    def _by_likeness(self, name: Name) -> str | None:
        if len(name) > 1 and len(name[0]) == 1:
            name = name[1:]  # the letter by which a list is numbered
        if not any(any(map(str.isalpha, word)) for word in name):
            return None
        scored: dict[str, float] = {}
        pairs = _pairs("".join(name))
        for known, node in self._names:
            if _overlap(pairs, _pairs("".join(known))) < _NEAR:
                continue
            score = alike(name, known)
            if score > scored.get(node, 0.0):
                scored[node] = score
        ranked = sorted(scored, key=lambda node: -scored[node])
        if not ranked or scored[ranked[0]] < _ALIKE:
            return None
        second = scored[ranked[1]] if len(ranked) > 1 else 0.0
        return ranked[0] if scored[ranked[0]] - second >= _MARGIN else None

    def _nodes(self) -> Iterator[str]:
        seen: set[str] = set()
        for level in self.dimension.levels:
            for node in self.dimension.domain(level):
                if node not in seen and not node.endswith("?"):
                    seen.add(node)
                    yield node

    def _learn(self, name: Name, node: str) -> None:
        self._exact.setdefault("".join(name), node)
        self._names.append((name, node))


def _joined(name: Name, text: str) -> str:
    # What has no letter or digit stands for itself, and so does a negative number.
    text = text.strip()
    return text if not name or re.fullmatch(r"-\d+", text) else "".join(name)


@functools.lru_cache(maxsize=1 << 14)
def _pairs(text: str) -> frozenset[str]:
    return frozenset(text[index : index + 2] for index in range(max(len(text) - 1, 1)))


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    return 2 * len(one & other) / max(len(one) + len(other), 1)


_READERS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Span]], ...] = (
    (_RANGE, lambda match: (int(match[1]), int(match[2]))),
    (_FROM, lambda match: (int(match[1]), OLDEST)),
    (_UNTIL, lambda match: (0, int(match[1]))),
    (_BELOW, lambda match: (0, int(match[1]) - 1)),
    (_UP_TO, lambda match: (0, int(match[1]))),
    (_OVER, lambda match: (int(match[1]) + 1, OLDEST)),
)


def span_of(code: str) -> Span | None:
    """Return the ages or months that a code names, from the least to the most."""
    text = re.sub(r"(?<=[a-z])(?=[A-Z0-9])|(?<=\d)(?=[A-Z])", " ", code).casefold()
    found: list[tuple[int, int, int]] = []
    for pattern, read in _READERS:
        if match := pattern.search(text):
            low, high = read(match)
            found.append((match.start(), low, high))
    if found:
        _, low, high = min(found)
        return (low, high) if low <= high else None
    if match := _ALONE.fullmatch(text.strip()):
        age = int(match[1])
        return (age, age) if age <= OLDEST else None
    for word in name_of(code):
        if word in _OF_AGE:
            return _OF_AGE[word]
    return None
