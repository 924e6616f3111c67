# SPDX-License-Identifier: Apache-2.0
"""Why a question ended without a release, in words for the analyst who waits.

Each function gives what says it, once it is known whether the loss was charged: that is
decided in the transaction that ends the question.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from accord.core.errors import AccordError, InternalError
from accord.hub.rounds.round import Round
from accord.hub.rounds.stages import Stage
from accord.hub.rounds.submissions import Ending, Submission

Why: TypeAlias = Callable[[bool], Ending]
"""Whether it was charged -> why it ended."""

ROUND_NAMES: Final = {
    Stage.READY: "round 1, getting ready",
    Stage.MASKED: "round 2, masked figures",
    Stage.REVEAL: "round 3, opening",
}


def money(*, charged: bool) -> str:
    """Return the sentence that tells whether an ending cost anything."""
    if charged:
        return (
            "The privacy loss was charged: agencies had been asked to open the sum, and"
            " not all of them have signed that this can never happen any more."
        )
    return "Nothing was charged."


def unanswered(round_: Round, submission: Submission) -> Why:
    """Return why no cohort could be published, naming who and in which round."""
    left = (
        "An answer of the whole cohort was asked for, and of no smaller one."
        if submission.complete_only
        else "No cohort of the agreement is left that could be published."
    )
    if round_.current.stage is Stage.REVEAL:
        return _not_opened(round_)
    refused = dict(sorted(round_.refused.items()))
    missing = dict(sorted(round_.missing.items()))
    facts = {
        # Who kept others from answering may have answered itself.
        "answered": ",".join(e for e in round_.answered if e not in missing),
        "awaited": ",".join(missing),
        "attempts": str(round_.current.number),
        "stage": round_.current.stage.value,
    }
    if refused:
        who = ", ".join(f"{agency} ({reason})" for agency, reason in refused.items())
        return lambda charged: Ending(
            reason="AGENCY_REFUSED",
            sentence=f"These agencies declined to answer: {who}. {left}"
            f" {money(charged=charged)}",
            facts={**facts, "refused": ",".join(refused)},
        )
    who = ", ".join(f"{each} ({ROUND_NAMES[at]})" for each, at in missing.items())
    return lambda charged: Ending(
        reason="AGENCIES_AWAITED",
        sentence=f"These agencies did not answer in time: {who}. {left}"
        f" {money(charged=charged)} Ask again later.",
        facts=facts,
    )


def _not_opened(round_: Round) -> Why:
    """Return why a sum was not opened although everybody had handed in."""
    current = round_.current
    silent = [each for each in current.members if each not in current.seeds]
    refused = {each: round_.refused[each] for each in silent if each in round_.refused}
    who = ", ".join(
        f"{each} ({refused[each]})" if each in refused else each for each in silent
    )
    return lambda charged: Ending(
        reason="OPENING_INCOMPLETE",
        sentence="All agencies had handed in their masked figures, but these did not"
        f" open theirs in time: {who}. {money(charged=charged)}",
        facts={
            "answered": ",".join(
                each for each in current.members if each not in silent
            ),
            "awaited": ",".join(each for each in silent if each not in refused),
            "refused": ",".join(refused),
            "erased": ",".join(sorted(current.erased)),
            "stage": current.stage.value,
        },
    )


def policies_changed(charged: bool) -> Ending:  # noqa: FBT001  # as `Why` calls it
    return Ending(
        reason="AGREEMENT_CHANGED",
        sentence="The agreement, something that it depends on, or the hub's mode was"
        f" changed while agencies were being asked. {money(charged=charged)} Ask again"
        " under what is in force now.",
        facts={},
    )


def revoked(agencies: frozenset[str]) -> Why:
    """Return the end of a sum with figures of agencies that were thrown out."""
    who = ", ".join(sorted(agencies))
    return lambda charged: Ending(
        reason="AGENCY_REVOKED",
        sentence="The operator ended the certificates of these agencies, whose figures"
        f" are in the opened sum: {who}. Nothing was released."
        f" {money(charged=charged)}",
        facts={"awaited": "", "revoked": ",".join(sorted(agencies))},
    )


def kept_back(charged: bool) -> Ending:  # noqa: FBT001  # as `Why` calls it
    """Return the end of what reviewers do not publish: the same words for all of it."""
    paid = (
        "The privacy loss was charged when the figures were made, and stays so."
        if charged
        else money(charged=False)
    )
    return Ending(
        reason="RELEASE_KEPT_BACK",
        sentence="The agreement wants people to look at this answer before it is"
        f" published, and a reviewer has kept it back. {paid} The same question is not"
        " asked again under this version of the agreement.",
        facts={},
    )


def cancelled(charged: bool) -> Ending:  # noqa: FBT001  # as `Why` calls it
    """Return the end of a question that its analyst does not want answered any more."""
    return Ending(
        reason="CANCELLED",
        sentence="You ended this question before its answer was opened."
        f" {money(charged=charged)}",
        facts={},
    )


def left_alone(charged: bool) -> Ending:  # noqa: FBT001  # as `Why` calls it
    """Return the end of a question that waited for one that somebody else ended."""
    return Ending(
        reason="LEADER_CANCELLED",
        sentence="Somebody else had asked the same, and your question waited for that"
        " answer; they ended theirs, and it was too late to ask for yours."
        f" {money(charged=charged)} Ask again.",
        facts={},
    )


def failed(error: AccordError) -> Why:
    """Return an error as the end of a question."""
    known = Ending.of(error)
    return lambda charged: Ending(
        reason=known.reason,
        sentence=f"{known.sentence} {money(charged=charged)}",
        facts=known.facts,
    )


def mistake() -> InternalError:
    return InternalError(
        "INTERNAL_ERROR",
        "The hub could not make the release; its operator can see why.",
    )
