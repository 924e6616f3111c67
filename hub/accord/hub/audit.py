# SPDX-License-Identifier: Apache-2.0
"""What happened, in order, for ever: who asked, what was decided, paid and published.

Rows are added in the transaction of what they tell and never changed. Facts are names,
ids, reasons, digests and amounts of privacy loss; no value that came from a record, and
no figure of a release, may ever be one. Every row is a leaf of a tree of hashes, by
which agencies notice when one is changed (`accord.hub.log`).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from typing import Final

import sqlalchemy as sa

from accord.hub.db.engine import microseconds, moment
from accord.hub.db.tables import AUDIT
from accord.hub.db.tables_log import LOG_RELEASES
from accord.hub.log import tree

FACTS: Final = frozenset(
    {
        "agency",
        "agreement",
        "agreement_version",
        "analyst",
        "answered",
        "attempt",
        "awaited",
        "before",
        "charged",
        "clauses",
        "cohort",
        "edition",
        "entry",
        "epoch",
        "erased",
        "follows",
        "kind",
        "let_go",
        "missing",
        "nano_epsilon",
        "nano_rho",
        "organisation",
        "paths",
        "policies_version",
        "policy_digest",
        "proposal",
        "purpose",
        "query_key",
        "reason",
        "rebuilt",
        "refused",
        "release",
        "release_digest",
        "reported",
        "requisition",
        "reviewer",
        "roles",
        "serial",
        "signed",
        "stage",
        "submission",
        "token",
        "unsafe",
        "without",
    }
)
"""The only facts that an event can have."""


class Event(enum.StrEnum):
    """Everything that is noted."""

    TOKEN_CREATED = "token.created"  # noqa: S105  # a name, no secret
    TOKEN_REVOKED = "token.revoked"  # noqa: S105  # the same
    AGENCY_ENROLLED = "agency.enrolled"
    AGENCY_REVOKED = "agency.revoked"
    CERTIFICATE_RENEWED = "certificate.renewed"
    ANALYST_ADDED = "analyst.added"
    ANALYST_REVOKED = "analyst.revoked"
    TOKEN_SHOWN = "token.shown"  # noqa: S105  # the same
    PROPOSAL_OFFERED = "proposal.offered"
    POLICIES_PUBLISHED = "policies.published"
    QUERY_REFUSED = "query.refused"
    QUERY_ACCEPTED = "query.accepted"
    QUERY_FOLLOWED = "query.followed"
    QUERY_PROMOTED = "query.promoted"
    QUERY_SERVED_FROM_ARCHIVE = "query.served-from-archive"
    QUERY_DERIVED = "query.derived"
    QUERY_FAILED = "query.failed"
    REQUISITION_REFUSED = "requisition.refused"
    ANSWER_REJECTED = "answer.rejected"
    ENCAPSULATION_REJECTED = "encapsulation.rejected"
    EQUIVOCATION_REPORTED = "equivocation.reported"
    COHORT_CHOSEN = "cohort.chosen"
    ATTEMPT_ENDED = "attempt.ended"
    OPENING_COMMITTED = "opening.committed"
    RELEASE_HELD = "release.held"
    REVIEW_DECIDED = "review.decided"
    RELEASE_PUBLISHED = "release.published"
    LEDGER_DOUBTED = "ledger.doubted"
    CHARGE_REJECTED = "charge.rejected"
    CHARGE_REBUILT = "charge.rebuilt"
    LEDGER_RECONCILED = "ledger.reconciled"
    HUB_RESTORED = "hub.restored"
    RETENTION_APPLIED = "retention.applied"
    CERTIFICATE_TAKEN_BACK = "certificate.taken-back"


Fact = str | int | bool | list[str]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One row of the log."""

    number: int
    at: dt.datetime
    event: str
    facts: dict[str, Fact]
    """None where retention has erased them."""


def note(tx: sa.Connection, event: Event, at: dt.datetime, **facts: Fact) -> None:
    """Add a row and its leaf, in the transaction that does what it tells.

    The caller is the only writer (`Store.write`), so that numbers have no gaps.

    Raises:
        ValueError: a fact of another name than those in `FACTS`.
    """
    foreign = facts.keys() - FACTS
    if foreign:
        sentence = f"not a fact of the audit log: {', '.join(sorted(foreign))}"
        raise ValueError(sentence)
    before = tree.size(tx)
    number, since_1970 = before + 1, microseconds(at)
    tx.execute(
        AUDIT.insert(),
        {"number": number, "at": since_1970, "event": event.value, "facts": facts},
    )
    tree.grow(tx, before, tree.entry_bytes(number, since_1970, event.value, facts))
    if event is Event.RELEASE_PUBLISHED:
        found = {"release": facts["release"], "number": number}
        tx.execute(LOG_RELEASES.insert(), found)


def newest(tx: sa.Connection, most: int, *, event: str | None = None) -> list[Note]:
    """Return the last rows, oldest first."""
    chosen = sa.select(AUDIT).order_by(AUDIT.c.number.desc()).limit(most)
    if event is not None:
        chosen = chosen.where(AUDIT.c.event == event)
    rows = tx.execute(chosen).all()
    return [
        Note(
            number=row.number,
            at=moment(row.at),
            event=row.event,
            facts=row.facts or {},
        )
        for row in reversed(rows)
    ]
