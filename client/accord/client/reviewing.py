# SPDX-License-Identifier: Apache-2.0
"""What a reviewer does: look at releases that wait, let them go or keep them back.

Figures have their noise and are suppressed as in every release: a reviewer sees what
the public would see, earlier.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
from collections.abc import Mapping
from typing import Any

from accord.client.decode import result_of
from accord.client.notes import title_of
from accord.client.result import Cost, Result
from accord.client.wire import Wire
from accord.v1 import review_pb2


class Reason(enum.StrEnum):
    """Why a release is kept back: no other words, which could tell of somebody."""

    COULD_IDENTIFY = "could-identify"
    """It could point at a person or a small group."""
    COULD_ENDANGER = "could-endanger"
    """It could put victims or staff in danger."""
    OUTSIDE_PURPOSE = "outside-purpose"
    """It does not serve the purpose that was named."""
    MISLEADING = "misleading"
    """It would be read wrongly."""
    LEGAL = "legal"
    """The law, or an investigation that runs, forbids it now."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A release that waits for this reviewer, or that the reviewer has decided on."""

    id: str
    agreement: str
    edition: str
    measure: str
    by: tuple[str, ...]
    where: Mapping[str, tuple[str, ...]]
    cost: Cost
    """Was charged when the figures were made, whatever is decided."""
    analyst: str
    organisation: str
    purpose: str
    held_at: datetime.datetime

    def title(self) -> str:
        """Return the question in one line."""
        return title_of(self.measure, self.by, self.where)

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        return {
            "id": self.id,
            "agreement": self.agreement,
            "edition": self.edition,
            "measure": self.measure,
            "by": list(self.by),
            "where": {name: list(values) for name, values in self.where.items()},
            "cost": self.cost.as_json(),
            "analyst": self.analyst,
            "organisation": self.organisation,
            "purpose": self.purpose,
            "held_at": self.held_at.isoformat(),
        }


class Reviews:
    """Releases of one hub that wait for whoever is connected."""

    def __init__(self, wire: Wire) -> None:
        """Wrap a wire; use ``hub.reviews`` instead."""
        self._wire = wire

    def waiting(self) -> list[Held]:
        """Return what waits for this reviewer, oldest first."""
        response = self._wire.call(
            self._wire.reviews.ListHeld, review_pb2.ListHeldRequest()
        )
        return [_held(each) for each in response.held]

    def look(self, identifier: str) -> tuple[Held, Result]:
        """Return a release that waits, as it would be published.

        Raises:
            NotFound: HELD_UNKNOWN, none with this id waits for this reviewer.
            PolicyDenied: REVIEW_OWN_QUESTION, another reviewer has to look at it.
            Conflict: REVIEW_DECIDED.
        """
        response = self._wire.call(
            self._wire.reviews.GetHeld, review_pb2.GetHeldRequest(id=identifier)
        )
        figures = result_of(response.release, charged=None, from_archive=False)
        return _held(response.summary), figures

    def let_go(self, identifier: str) -> Held:
        """Publish a release; nothing in it stands out. Final, and may be repeated.

        Raises:
            AccordError: as `look`; PreconditionFailed HELD_NOT_PERMITTED where the
                policies do not allow its question any more.
        """
        return self._decide(
            identifier, let_go=True, reason=review_pb2.REVIEW_REASON_NO_CONCERN
        )

    def keep_back(self, identifier: str, reason: Reason | str) -> Held:
        """Keep a release back for ever. Final, and may be repeated.

        Raises:
            ValueError: *reason* is not one of `Reason`.
            AccordError: as `look`.
        """
        name = Reason(reason).name
        return self._decide(
            identifier,
            let_go=False,
            reason=review_pb2.ReviewReason.Value(f"REVIEW_REASON_{name}"),
        )

    def _decide(
        self,
        identifier: str,
        *,
        let_go: bool,
        reason: review_pb2.ReviewReason.ValueType,
    ) -> Held:
        request = review_pb2.DecideHeldRequest(
            id=identifier, let_go=let_go, reason=reason
        )
        return _held(self._wire.call(self._wire.reviews.DecideHeld, request).summary)


def _held(message: review_pb2.HeldSummary) -> Held:
    release = message.release
    return Held(
        id=release.id,
        agreement=release.agreement,
        edition=release.edition,
        measure=release.measure,
        by=tuple(group.dimension for group in release.by),
        where={part.dimension: tuple(part.values) for part in release.where},
        cost=Cost(epsilon=release.cost.epsilon, rho=release.cost.rho),
        analyst=message.analyst,
        organisation=message.organisation,
        purpose=message.purpose,
        held_at=datetime.datetime.fromtimestamp(message.held_at, datetime.UTC),
    )
