# SPDX-License-Identifier: Apache-2.0
"""A log in memory that grows by one entry at a time."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from accord.merkle.tree import Place, completed, leaf_hash, neighbours


class Log:
    """The nodes that a database would keep."""

    def __init__(self, entries: Sequence[bytes]) -> None:
        self.kept: dict[Place, bytes] = {}
        self.asked = 0
        for index, entry in enumerate(entries):
            known = self.nodes(neighbours(index))
            for place, value in completed(index, leaf_hash(entry), known):
                assert place not in self.kept
                self.kept[place] = value

    def nodes(self, places: Collection[Place]) -> dict[Place, bytes]:
        self.asked += 1
        return {place: self.kept[place] for place in places}
