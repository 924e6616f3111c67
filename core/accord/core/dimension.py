# SPDX-License-Identifier: Apache-2.0
"""A dimension: a property of a case with a public, ordered tree of values.

Its *leaves* are the finest values that a record can hold; an inner node has one more
leaf, "not recorded finer", for sources that know the year but not the month.
``unknown`` is the last leaf of every dimension. Leaves are numbered in tree order, so
that rolling up to any level never changes the order of two leaves: bounding relies on
that (`Dimension.roll_up` is monotone).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from accord.core.errors import InvalidQuery, suggestion

UNKNOWN = "unknown"
"""The value of a record that holds nothing usable for a dimension."""

MOST_LEAVES = 4096
"""Leaves that one dimension may have."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One finest value, with its ancestors."""

    path: tuple[str, ...]
    """Node names from the coarsest to the leaf itself."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """A property of a case with a public, ordered domain."""

    name: str
    title: str
    levels: tuple[str, ...]
    """Names of the levels, finest first."""
    max_values: int
    """Most values that one case can hold; 1 for a single-valued dimension."""
    constant: bool
    """Whether it never differs between the cases of one person."""
    tree: tuple[Leaf, ...]
    """Leaves by code; the last one is ``unknown``."""
    _domains: Mapping[str, tuple[str, ...]] = dataclasses.field(repr=False)
    _roll_ups: Mapping[str, tuple[int, ...]] = dataclasses.field(repr=False)
    _spans: Mapping[str, range] = dataclasses.field(repr=False)

    def __hash__(self) -> int:
        """Return a hash that costs little; domains are mappings and have none."""
        return hash((self.name, self.levels, self.max_values, len(self.tree)))

    def __contains__(self, node: str) -> bool:
        """Tell whether *node* is a value of any level."""
        return node in self._spans

    @property
    def leaves(self) -> tuple[str, ...]:
        """Names of the leaves; the index is the code that stores keep."""
        return self._domains[self.levels[0]]

    @property
    def single(self) -> bool:
        """Whether a case holds exactly one value."""
        return self.max_values == 1

    def domain(self, level: str) -> tuple[str, ...]:
        """Return the ordered public values of *level*."""
        return self._domains[self.level(level)]

    def roll_up(self, level: str) -> tuple[int, ...]:
        """Return each leaf code's index in the level's domain; never decreasing."""
        return self._roll_ups[self.level(level)]

    def level(self, name: str) -> str:
        """Return *name* if it is a level of this dimension.

        Raises:
            InvalidQuery: UNKNOWN_LEVEL, with the levels that exist.
        """
        if name in self.levels:
            return name
        known = ", ".join(self.levels)
        raise InvalidQuery(
            "UNKNOWN_LEVEL",
            f"The dimension {self.name!r} has no level {name!r}; it has: {known}."
            + suggestion(name, self.levels),
            dimension=self.name,
        )

    def leaves_under(self, node: str) -> range:
        """Return the codes of the leaves under *node*, a value of any level.

        Raises:
            InvalidQuery: UNKNOWN_VALUE, with the nearest name that exists.
        """
        if (found := self._spans.get(node)) is None:
            raise InvalidQuery(
                "UNKNOWN_VALUE",
                f"The dimension {self.name!r} has no value of that name."
                + suggestion(node, self._spans),
                dimension=self.name,
            )
        return found

    def code(self, leaf: str) -> int:
        """Return the code of the leaf called *leaf*.

        An inner node's name stands for its "not recorded finer" leaf, which is what
        a source means that knows no more.

        Raises:
            InvalidQuery: UNKNOWN_VALUE.
        """
        return self.leaves_under(leaf)[-1]

    def level_of(self, node: str) -> str:
        """Return the coarsest level in whose domain *node* stands by its own name."""
        self.leaves_under(node)
        return next(
            level for level in reversed(self.levels) if node in self._domains[level]
        )

    def cover(self, codes: frozenset[int]) -> tuple[str, ...]:
        """Return the fewest nodes that hold exactly the leaves *codes*, in order."""
        nodes: list[str] = []
        position = 0
        by_start: dict[int, list[tuple[int, str]]] = {}
        for node, span in self._spans.items():
            by_start.setdefault(span.start, []).append((-len(span), node))
        while position < len(self.tree):
            if position not in codes:
                position += 1
                continue
            for size, node in sorted(by_start[position]):
                if codes.issuperset(self._spans[node]):
                    nodes.append(node)
                    position -= size
                    break
        return tuple(nodes)


def dimension_of_paths(
    *,
    name: str,
    title: str,
    levels: tuple[str, ...],
    paths: Sequence[tuple[str, ...]],
    max_values: int,
    constant: bool,
) -> Dimension:
    """Build a dimension from its leaves' paths, coarsest node first, without unknown.

    Raises:
        ValueError: too many leaves, or a name that stands in two places.
    """
    tree = (*(Leaf(path=path) for path in paths), Leaf(path=(UNKNOWN,)))
    if len(tree) > MOST_LEAVES:
        message = f"the dimension has {len(tree)} leaves; at most {MOST_LEAVES} fit."
        raise ValueError(message)
    domains: dict[str, tuple[str, ...]] = {}
    roll_ups: dict[str, tuple[int, ...]] = {}
    for index, level in enumerate(levels):
        depth = len(levels) - index
        named = [leaf.path[:depth][-1] for leaf in tree]
        domain = tuple(dict.fromkeys(named))
        places = {value: place for place, value in enumerate(domain)}
        domains[level] = domain
        roll_ups[level] = tuple(places[value] for value in named)
    return Dimension(
        name=name,
        title=title,
        levels=levels,
        max_values=max_values,
        constant=constant,
        tree=tree,
        _domains=domains,
        _roll_ups=roll_ups,
        _spans=_spans(tree),
    )


def _spans(tree: Sequence[Leaf]) -> dict[str, range]:
    """Return the run of leaf codes under every node name; names must be unique."""
    owners: dict[str, tuple[str, ...]] = {}
    spans: dict[str, range] = {}
    for code, leaf in enumerate(tree):
        if leaf.path[-1] in spans:
            message = f"the value {leaf.path[-1]!r} stands in two places."
            raise ValueError(message)
        for depth in range(1, len(leaf.path) + 1):
            prefix = leaf.path[:depth]
            node = prefix[-1]
            if owners.setdefault(node, prefix) != prefix:
                message = f"the value {node!r} stands in two places."
                raise ValueError(message)
            start = spans[node].start if node in spans else code
            spans[node] = range(start, code + 1)
    return spans
