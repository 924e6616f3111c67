# SPDX-License-Identifier: Apache-2.0
"""Why a question ended without a release, in words for the analyst who waits."""

from __future__ import annotations

from accord.core.errors import InternalError
from accord.hub.rounds.round import Round
from accord.hub.rounds.submissions import Ending


def unanswered(round_: Round) -> Ending:
    """Return why no cohort could be published, naming who."""
    refused, awaited = round_.refused, round_.awaited
    facts = {"answered": ",".join(round_.answered), "awaited": ",".join(awaited)}
    if refused:
        who = ", ".join(f"{agency} ({reason})" for agency, reason in refused.items())
        return Ending(
            reason="AGENCY_REFUSED",
            sentence=f"These agencies declined to answer: {who}. No cohort of the"
            " agreement is left that could be published. Nothing was charged.",
            facts={**facts, "refused": ",".join(refused)},
        )
    return Ending(
        reason="AGENCIES_AWAITED",
        sentence=f"These agencies did not answer in time: {', '.join(awaited)}. No"
        " cohort of the agreement has answered as a whole. Nothing was charged; ask"
        " again later.",
        facts=facts,
    )


def policies_changed() -> Ending:
    return Ending(
        reason="AGREEMENT_CHANGED",
        sentence="The agreement, something that it depends on, or the hub's mode was"
        " changed while agencies were being asked. Nothing was charged; ask again under"
        " what is in force now.",
        facts={},
    )


def mistake() -> InternalError:
    return InternalError(
        "INTERNAL_ERROR",
        "The hub could not make the release; its operator can see why. Nothing was"
        " charged.",
    )
