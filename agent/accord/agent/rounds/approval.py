# SPDX-License-Identifier: Apache-2.0
"""Questions that people at this agency have to approve before it says ready.

One row for each of them, kept for ever::

    (none) -> waiting -> approved | refused | expired | ended

A row is made by the first round, once nothing else speaks against the question: nobody
is asked to approve what would be refused anyway. Nothing in it depends on a record, and
people decide on the words alone. Only so many wait at once as people can look at; of
more there is no row, and the hub may ask again. What was approved is fixed by
`subject_of`: a hub that shows another question under the same id gets no answer to it.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
from collections.abc import Sequence
from typing import Any, Final

from accord.agent.rounds import history
from accord.agent.rounds.approval_uses import left_over
from accord.agent.settings import Approval as Rule
from accord.core.canonical import digest
from accord.core.errors import RequisitionRefused
from accord.core.terms import Requisition
from accord.ledger.transaction import Transaction

MOST_WAITING: Final = 100
"""Questions that wait for people at once; what comes beyond them is declined."""

_COLUMNS: Final = (
    "query_id, standing, payload, signature, attempt, asked_at, decide_by, expires_at,"
    " decided_at, decided_by, reason"
)


class Standing(enum.StrEnum):
    """What people have said of a question."""

    WAITING = "waiting"
    APPROVED = "approved"
    REFUSED = "refused"
    EXPIRED = "expired"
    """Nobody has decided in time."""
    ENDED = "ended"
    """The hub has ended the question before anybody decided."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """One question, and what people have said of it."""

    query_id: str
    standing: Standing
    payload: bytes = dataclasses.field(repr=False)
    signature: bytes = dataclasses.field(repr=False)
    """The hub's."""
    attempt: int
    asked_at: datetime.datetime
    decide_by: datetime.datetime
    """Afterwards it counts as declined."""
    expires_at: datetime.datetime
    """When the question ends by itself."""
    decided_at: datetime.datetime | None = None
    decided_by: str | None = None
    """Account of this machine."""
    reason: str | None = None
    """Why it was refused; stays with this agency."""


_REFUSALS: Final = {
    Standing.WAITING: ("APPROVAL_AWAITED", "People here have to approve it first."),
    Standing.REFUSED: ("APPROVAL_REFUSED", "People here have looked and said no."),
    Standing.EXPIRED: ("APPROVAL_EXPIRED", "Nobody here has approved it in time."),
    Standing.ENDED: ("APPROVAL_EXPIRED", "It ended before anybody approved it."),
}


def refusal(standing: Standing) -> RequisitionRefused | None:
    """Return why a question is not answered, as the hub hears it."""
    known = _REFUSALS.get(standing)
    return None if known is None else RequisitionRefused(*known)


def subject_of(requisition: Requisition) -> str:
    """Return the digest of all that people approve, but for its id and its times."""
    analyst = requisition.analyst
    return digest(
        {
            "query": requisition.query.key(),
            "agreement": requisition.agreement_digest,
            "policies": requisition.policy_digest,
            "cohort": requisition.cohort,
            "members": list(requisition.members),
            "mechanism": type(requisition.mechanism).__name__,
            "scale": str(requisition.mechanism.numerator),
            "nano_rho": str(requisition.loss.nano_rho),
            "nano_epsilon": str(requisition.loss.nano_epsilon),
            "layout": requisition.layout_digest,
            "bounding": requisition.bounding.value,
            "purpose": requisition.purpose,
            "analyst": analyst.id,
            "organisation": analyst.organisation,
            "roles": sorted(analyst.roles),
        }
    )


def needed(rule: Rule, agreement: str) -> bool:
    """Tell whether people approve the questions under an agreement."""
    if isinstance(rule.needed, str):
        return rule.needed == "always"
    return agreement in rule.needed


def standing_of(
    tx: Transaction,
    rule: Rule,
    requisition: Requisition,
    asked: tuple[bytes, bytes, int],
    now: datetime.datetime,
) -> Standing:
    """Return what people have said of a question; without a word it waits from now on.

    Args:
        tx: an open transaction.
        rule: the agency's.
        requisition: against which nothing else speaks.
        asked: its payload, the hub's signature, and the number of the attempt.
        now: this machine's time.

    Raises:
        RequisitionRefused: ID_REUSED, people were shown another question;
            APPROVAL_EXPIRED, as many wait as people are shown at once.
    """
    query_id, subject = requisition.query_id, subject_of(requisition)
    found = _row(tx, query_id)
    if found is None:
        if not needed(rule, requisition.query.agreement):
            return Standing.APPROVED
        return _begin(tx, rule, requisition, subject, asked, now)
    if found[0] != subject:
        raise RequisitionRefused(
            "ID_REUSED", "The id was used before for another question."
        )
    standing = Standing(found[1])
    if standing is Standing.WAITING:
        if not needed(rule, requisition.query.agreement):
            return Standing.APPROVED
        payload, signature, attempt = asked
        tx.execute(
            "UPDATE approval SET payload = :payload, signature = :signature,"
            " attempt = :attempt WHERE query_id = :query_id",
            {
                "payload": payload,
                "signature": signature,
                "attempt": attempt,
                "query_id": query_id,
            },
        )
    return standing


def _begin(
    tx: Transaction,
    rule: Rule,
    requisition: Requisition,
    subject: str,
    asked: tuple[bytes, bytes, int],
    now: datetime.datetime,
) -> Standing:
    payload, signature, attempt = asked
    known = rule.remember and left_over(tx, subject, requisition.query_id)
    if not known and len(waiting(tx, now)) >= MOST_WAITING:
        raise RequisitionRefused(
            "APPROVAL_EXPIRED", "Too many questions wait for people here already."
        )
    standing = Standing.APPROVED if known else Standing.WAITING
    decide_by = requisition.expires_at
    if (hours := rule.expire_after_hours) is not None:
        decide_by = min(decide_by, now + datetime.timedelta(hours=hours))
    tx.execute(
        "INSERT INTO approval (query_id, number, subject, standing, payload, signature,"
        " attempt, asked_at, decide_by, expires_at, decided_at) SELECT :query_id,"
        " coalesce(max(number), 0) + 1, :subject, :standing, :payload, :signature,"
        " :attempt, :now, :decide_by, :expires_at, :decided_at FROM approval",
        {
            "query_id": requisition.query_id,
            "subject": subject,
            "standing": standing.value,
            "payload": payload,
            "signature": signature,
            "attempt": attempt,
            "now": _seconds(now),
            "decide_by": _seconds(decide_by),
            "expires_at": _seconds(requisition.expires_at),
            "decided_at": _seconds(now) if known else None,
        },
    )
    return standing


def require_not_declined(tx: Transaction, query_id: str) -> None:
    """Refuse what people declined, at whichever step they did.

    Raises:
        RequisitionRefused: APPROVAL_REFUSED, APPROVAL_EXPIRED or APPROVAL_AWAITED.
    """
    subject, word = _row(tx, query_id) or ("", "")
    if word == Standing.APPROVED and not left_over(tx, subject, query_id):
        word = Standing.WAITING
    elif word not in (Standing.REFUSED, Standing.EXPIRED):
        return
    raise RequisitionRefused(*_REFUSALS[Standing(word)])


def find(tx: Transaction, query_id: str) -> Approval | None:
    """Return one of the questions that people have to approve."""
    return next(iter(_select(tx, "WHERE query_id = :it", it=query_id)), None)


def all_of(tx: Transaction) -> list[Approval]:
    """Return all of them, oldest first."""
    return _select(tx, "ORDER BY number")


def waiting(tx: Transaction, now: datetime.datetime) -> list[Approval]:
    """Return those that wait for people, oldest first."""
    return _select(
        tx, "WHERE standing = 'waiting' AND decide_by > :now ORDER BY number", now=now
    )


def decided(tx: Transaction, now: datetime.datetime) -> list[Approval]:
    """Return those that people decided on, or did not in time, and that still matter.

    Of what this agency is ready for already there is nothing more to say.
    """
    return _select(
        tx,
        "WHERE standing IN ('approved', 'refused', 'expired') AND expires_at > :now"
        " AND NOT EXISTS (SELECT 1 FROM round r WHERE r.query_id = approval.query_id"
        " AND r.attempt >= approval.attempt) ORDER BY number",
        now=now,
    )


def decide(
    tx: Transaction,
    query_id: str,
    standing: Standing,
    *,
    by: str,
    reason: str,
    now: datetime.datetime,
) -> None:
    """Note what somebody decided; the caller has made sure that it still can be."""
    tx.execute(
        "UPDATE approval SET standing = :standing, decided_at = :now,"
        " decided_by = :by, reason = :reason WHERE query_id = :query_id",
        {
            "standing": standing.value,
            "now": _seconds(now),
            "by": by,
            "reason": reason or None,
            "query_id": query_id,
        },
    )
    if standing is Standing.APPROVED:
        history.approved(tx, query_id)
    else:
        history.not_approved(tx, query_id, "APPROVAL_REFUSED")


def end(tx: Transaction, query_ids: Sequence[str], now: datetime.datetime) -> None:
    """Note that the hub has ended questions; nobody need decide on them any more."""
    for query_id in query_ids:
        tx.execute(
            "UPDATE approval SET standing = 'ended' WHERE query_id = :query_id"
            " AND standing = 'waiting'",
            {"query_id": query_id},
        )
        history.not_approved(tx, query_id, "APPROVAL_EXPIRED")
        if find(tx, query_id) is not None:
            _end_unanswered(tx, query_id, now)


def expire(tx: Transaction, now: datetime.datetime) -> list[str]:
    """Decline what nobody has decided on in time, and return what that is."""
    late = _select(tx, "WHERE standing = 'waiting' AND decide_by <= :now", now=now)
    for each in late:
        tx.execute(
            "UPDATE approval SET standing = 'expired', decided_at = :now"
            " WHERE query_id = :query_id",
            {"now": _seconds(now), "query_id": each.query_id},
        )
        history.not_approved(tx, each.query_id, "APPROVAL_EXPIRED")
    unanswered = _select(
        tx,
        "WHERE standing = 'approved' AND expires_at <= :now AND EXISTS (SELECT 1 FROM"
        " receipt r WHERE r.query_id = approval.query_id AND r.state = 'asked')",
        now=now,
    )
    for each in unanswered:
        _end_unanswered(tx, each.query_id, now)
    return [each.query_id for each in late]


def _end_unanswered(tx: Transaction, query_id: str, now: datetime.datetime) -> None:
    """Note the end of what was approved and never answered; rounds note their own."""
    begun = "SELECT 1 FROM round WHERE query_id = :query_id"
    if not tx.execute(begun, {"query_id": query_id}).fetchall():
        history.ended(tx, query_id, now)


def due(
    tx: Transaction, every: datetime.timedelta, now: datetime.datetime
) -> list[str]:
    """Return of which waiting questions people are to be told now, and note it."""
    told: list[str] = []
    moments = {"now": _seconds(now), "before": _seconds(now - every)}
    for each in waiting(tx, now):
        changed = tx.execute(
            "UPDATE approval SET told_at = :now WHERE query_id = :query_id"
            " AND (told_at IS NULL OR told_at <= :before)",
            {**moments, "query_id": each.query_id},
        ).rowcount
        told += [each.query_id] * changed
    return told


def _row(tx: Transaction, query_id: str) -> tuple[str, str] | None:
    rows = tx.execute(
        "SELECT subject, standing FROM approval WHERE query_id = :query_id",
        {"query_id": query_id},
    ).fetchall()
    return (rows[0][0], rows[0][1]) if rows else None


def _select(
    tx: Transaction,
    which: str,
    *,
    now: datetime.datetime | None = None,
    it: str | None = None,
) -> list[Approval]:
    values = {"now": None if now is None else _seconds(now), "it": it}
    rows = tx.execute(f"SELECT {_COLUMNS} FROM approval {which}", values).fetchall()  # noqa: S608
    return [_read(row) for row in rows]


def _read(row: Sequence[Any]) -> Approval:
    query_id, standing, payload, signature, attempt, *times, by, reason = row
    asked_at, decide_by, expires_at, decided_at = times
    return Approval(
        query_id=query_id,
        standing=Standing(standing),
        payload=payload,
        signature=signature,
        attempt=attempt,
        asked_at=_moment(asked_at),
        decide_by=_moment(decide_by),
        expires_at=_moment(expires_at),
        decided_at=None if decided_at is None else _moment(decided_at),
        decided_by=by,
        reason=reason,
    )


def _seconds(moment: datetime.datetime) -> int:
    return int(moment.timestamp())


def _moment(seconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
