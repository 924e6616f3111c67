# SPDX-License-Identifier: Apache-2.0
"""The operator ends a doubt: what agencies prove is charged again, all or nothing.

Three things happen in one transaction. Missing charges are rebuilt, for everybody who
paid. Whatever was opened, or may have been, ends as failed and charged: its answer may
have been published in the time that the copy does not know, and a second one with
other noise would tell more than was paid for. And the epoch goes up, so that whoever
saw the old ledger knows this one for its successor.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Collection, Sequence
from typing import Final

import sqlalchemy as sa

from accord.core.errors import InvalidQuery, PreconditionFailed
from accord.hub.audit import Event, note
from accord.hub.contact import contacts
from accord.hub.contact.records import charged_after_all, opened_entry
from accord.hub.contact.standing import end_doubt
from accord.hub.contact.survey import Missing, Survey, survey
from accord.hub.db.engine import LedgerTransaction
from accord.hub.db.tables import ROUNDS
from accord.hub.policies import Policies
from accord.hub.rounds import rows, submissions
from accord.hub.rounds.stages import Stage
from accord.hub.rounds.submissions import Ending, Submission, SubmissionState
from accord.ledger import State, charge, entry, give_back, rebuild

ANSWER_LOST: Final = "ANSWER_LOST"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What ended a doubt."""

    epoch: int
    rebuilt: tuple[Missing, ...]
    ended: tuple[str, ...]
    """Questions that were opened, or may have been."""
    without: tuple[str, ...]


def apply(
    tx: sa.Connection,
    policies: Policies | None,
    hub_keys: Sequence[bytes],
    *,
    without: Collection[str],
    at: dt.datetime,
) -> Reconciled:
    """Complete the ledger and trust it again.

    Args:
        tx: the caller's transaction.
        policies: the newest that are here.
        hub_keys: raw public keys with which this hub has signed requisitions.
        without: agencies whose word the operator does without.
        at: now.

    Raises:
        PreconditionFailed: LEDGER_NOT_BEHIND, LEDGER_REPORTS_AWAITED or
            CHARGES_UNPROVEN; nothing was changed.
        InvalidQuery: AGENCY_UNKNOWN.
        IntegrityError: somebody edited the records.
    """
    found = survey(tx, policies, hub_keys)
    _require(found, without)
    opened = [each.charge.query_id for each in found.missing] + _opened(tx)
    for each in found.missing:
        _rebuild(tx, each, at)
    ended = [gone for query in dict.fromkeys(opened) for gone in _end(tx, query, at)]
    for each in found.missing:
        _remember(tx, each, at)
    for label in without:
        contacts.set_aside(tx, label)
    epoch = found.epoch + 1
    end_doubt(tx, epoch=epoch, at=at)
    note(
        tx,
        Event.LEDGER_RECONCILED,
        at,
        epoch=epoch,
        rebuilt=len(found.missing),
        reported=[each.label for each in found.agencies if each.reported],
        without=sorted(without),
    )
    return Reconciled(
        epoch=epoch,
        rebuilt=found.missing,
        ended=tuple(ended),
        without=tuple(sorted(without)),
    )


def _require(found: Survey, without: Collection[str]) -> None:
    if found.standing.doubt is None:
        raise PreconditionFailed(
            "LEDGER_NOT_BEHIND",
            "Nobody doubts this hub's ledger: there is nothing to reconcile.",
        )
    unknown = sorted(set(without) - {each.label for each in found.agencies})
    if unknown:
        raise InvalidQuery(
            "AGENCY_UNKNOWN",
            f"There is no agency {unknown[0]!r} to go on without;"
            " `accord-hub ledger reconcile` lists them.",
            agency=unknown[0],
        )
    awaited = sorted(set(found.awaited) - set(without))
    if awaited:
        raise PreconditionFailed(
            "LEDGER_REPORTS_AWAITED",
            f"These agencies have not said yet what they charged: {', '.join(awaited)}."
            " Let the hub serve until they have come, or name those that will not with"
            " --without; what only they know would be forgotten until they come.",
            agencies=",".join(awaited),
        )
    unproven = sorted(set(found.unproven) - set(without))
    if unproven:
        raise PreconditionFailed(
            "CHARGES_UNPROVEN",
            "These agencies claim more than this hub has ever asked of them, as far as"
            f" anybody can prove: {', '.join(unproven)}. Talk to them; --without goes"
            " on without their word, and they answer nothing then.",
            agencies=",".join(unproven),
        )


def _opened(tx: sa.Connection) -> list[str]:
    """Return the questions of which this copy knows that agencies may open them."""
    chosen = sa.select(ROUNDS.c.submission).where(ROUNDS.c.stage == Stage.REVEAL.value)
    return sorted(tx.execute(chosen).scalars())


def _rebuild(tx: sa.Connection, missing: Missing, at: dt.datetime) -> None:
    """Charge what was forgotten; a reservation that is there becomes the charge."""
    ledger, found = LedgerTransaction(tx), missing.charge
    place = opened_entry(found.query_id, found.cohort, missing.cohort)
    known = entry(ledger, place)
    if known is not None and known.state is State.RESERVED:
        charge(ledger, place, at)
    else:
        if known is not None:  # given back before anybody knew better
            place = charged_after_all(place)
        rebuild(ledger, place, missing.postings, at)
    note(
        tx,
        Event.CHARGE_REBUILT,
        at,
        submission=found.query_id,
        entry=place,
        agreement=found.agreement,
        analyst=found.analyst,
        purpose=found.purpose,
        cohort=missing.cohort,
        reported=list(missing.proven_by),
        nano_rho=found.loss.nano_rho,
        nano_epsilon=found.loss.nano_epsilon,
    )


def _end(tx: sa.Connection, query: str, at: dt.datetime) -> list[str]:
    """End a question that waits here, and what follows it; return which."""
    known = submissions.find(tx, query)
    _settle_round(tx, query, at)
    if known is None or known.state is not SubmissionState.COLLECTING:
        return []
    ended = [known, *submissions.followers(tx, query)]
    for each in ended:
        _fail(tx, each, at, charged=each.id == query)
    return [each.id for each in ended]


def _settle_round(tx: sa.Connection, query: str, at: dt.datetime) -> None:
    """Settle what a round holds: an opening is charged, all else given back."""
    ledger, standing = LedgerTransaction(tx), rows.standing(tx, query)
    if standing is None:
        return
    rows.delete(tx, query)
    known = entry(ledger, standing.ledger_entry)
    if known is not None and known.state is State.RESERVED:
        opened = standing.stage is Stage.REVEAL
        (charge if opened else give_back)(ledger, known.id, at)


def _remember(tx: sa.Connection, missing: Missing, at: dt.datetime) -> None:
    """Let whoever asked a forgotten question learn what became of it."""
    found = missing.charge
    if submissions.find(tx, found.query_id) is not None:
        return
    submission = Submission(
        id=found.query_id,
        analyst=found.analyst,
        request_digest="",
        state=SubmissionState.COLLECTING,
        agreement=found.agreement,
        agreement_digest=found.agreement_digest,
        policy_digest=found.policy_digest,
        purpose=found.purpose,
        query_key="",
        archive_digest="",
        loss=found.loss,
        cohort=found.cohort,
        payload=b"",
        signature=b"",
        unsafe=False,
        complete_only=False,
        created_at=found.issued_at,
        expires_at=found.expires_at,
    )
    submissions.insert(tx, submission)
    _fail(tx, submission, at, charged=True)


def _fail(
    tx: sa.Connection, submission: Submission, at: dt.datetime, *, charged: bool
) -> None:
    submissions.settle_failed(tx, submission.id, _lost(charged=charged), at=at)
    note(
        tx,
        Event.QUERY_FAILED,
        at,
        submission=submission.id,
        analyst=submission.analyst,
        agreement=submission.agreement,
        reason=ANSWER_LOST,
        charged=charged,
    )


def _lost(*, charged: bool) -> Ending:
    cost = (
        "The privacy loss was charged, since agencies had opened the sum."
        if charged
        else "Nothing was charged for this one."
    )
    return Ending(
        reason=ANSWER_LOST,
        sentence="The hub lost its newest records and with them this answer, if there"
        f" was one. {cost} Ask again under a new id.",
        facts={},
    )
