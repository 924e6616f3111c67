# SPDX-License-Identifier: Apache-2.0
"""Which answers people look at before they are published, as an agreement says it.

The hub decides; this tells beforehand what it will do, from the same document.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What waits for a reviewer under one agreement."""

    every_release: bool = False
    sensitive: tuple[str, ...] = ()
    """Dimensions: an answer by one of them, or filtered by it, waits in any case."""
    reviewers: tuple[str, ...] = ()
    """Any one of them lets an answer go, or keeps it back."""

    def holds(self, dimensions: Collection[str]) -> bool:
        """Tell whether an answer by, or filtered by, these dimensions waits."""
        return self.every_release or not set(self.sensitive).isdisjoint(dimensions)

    def phrase(self) -> str:
        """Return a sentence on what waits; empty where nothing does."""
        if self.every_release:
            what = "every answer waits"
        elif self.sensitive:
            what = f"answers by {listed(self.sensitive)} wait"
        else:
            return ""
        return f"{what} until a reviewer lets it go: {listed(self.reviewers)}"

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        return {
            "every_release": self.every_release,
            "sensitive": list(self.sensitive),
            "reviewers": list(self.reviewers),
        }


def review_of(document: str) -> Review:
    """Return what an agreement says of review.

    Where it extends a preset, names reviewers and says nothing more, it is the preset
    that asks for review, of everything as far as anybody can know from here.

    Args:
        document: the agreement as its board reads it.

    Raises:
        DocumentError: it is not YAML.
    """
    from accord.core.document import plain_document

    entries = plain_document(document, "agreement") if document else {}
    review, asks = _entries(entries, "review"), _entries(entries, "may_ask")
    sensitive, reviewers = _names(asks, "sensitive"), _names(review, "reviewers")
    unsaid = "extends" in entries and bool(reviewers) and not sensitive
    releases = review.get("releases", "human" if unsaid else "automatic")
    return Review(
        every_release=releases == "human", sensitive=sensitive, reviewers=reviewers
    )


def listed(names: Collection[str]) -> str:
    """Return names as a phrase such as ``ada, ben or eve``."""
    *first, last = names or ("nobody is named",)
    return f"{', '.join(first)} or {last}" if first else last


def _entries(of: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = of.get(name)
    return found if isinstance(found, Mapping) else {}


def _names(of: Mapping[str, object], name: str) -> tuple[str, ...]:
    found = of.get(name)
    return tuple(str(each) for each in found) if isinstance(found, list) else ()
