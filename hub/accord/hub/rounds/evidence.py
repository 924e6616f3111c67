# SPDX-License-Identifier: Apache-2.0
"""What agencies signed in a round, kept for auditors, and as evidence.

Of each release the transcript with every member's ready and receipt; where an agency
says, or its receipt shows, that it saw something else, what the hub had at that moment
and that receipt: one row for each question and agency, so that nobody fills the disk.
Names are those of ``accord-agent audit --json``. Every function works in the caller's
transaction.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import sqlalchemy as sa

from accord.core.errors import NotFound
from accord.hub.db.engine import microseconds, moment
from accord.hub.db.tables import EQUIVOCATIONS, RELEASES, TRANSCRIPTS
from accord.hub.rounds.attempt import Attempt
from accord.rpc.rounds import member_readies_to_messages, receipts_to_messages
from accord.secagg.messages import Receipt
from accord.v1 import agent_pb2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What one attempt was about, and who signed it."""

    query_id: str
    agreement: str
    attempt: int
    cohort: str
    spec_digest: bytes
    noise: str
    """Digest of the noise plan, hex; empty before a cohort was chosen."""
    transcript: bytes
    """Empty before a cohort was chosen."""
    readies: bytes
    """A message CohortCall."""
    receipts: bytes
    """A message RevealCall."""

    @property
    def members(self) -> list[str]:
        """Who was ready."""
        call = agent_pb2.CohortCall.FromString(self.readies)
        return [each.agency for each in call.readies]

    def as_json(self) -> dict[str, Any]:
        """Return it for machines; bytes are hex."""
        readies = agent_pb2.CohortCall.FromString(self.readies).readies
        receipts = agent_pb2.RevealCall.FromString(self.receipts).receipts
        return {
            "query_id": self.query_id,
            "agreement": self.agreement,
            "cohort": self.cohort,
            "members": self.members,
            "attempt": self.attempt,
            "spec_digest": self.spec_digest.hex(),
            "noise": self.noise,
            "transcript": self.transcript.hex(),
            "readies": [
                {
                    "agency": each.agency,
                    "ephemeral_key": each.ephemeral_key.hex(),
                    "signature": each.signature.hex(),
                }
                for each in readies
            ],
            "receipts": [_receipt_json(each) for each in receipts],
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Equivocation:
    """Agencies were shown different things, as one of them says or signed."""

    at: dt.datetime
    agency: str
    """Whose refusal, or receipt for another transcript, it was."""
    shown: Signed
    other: bytes
    """That receipt, as a message MemberReceipt; empty where the agency refused."""

    def as_json(self) -> dict[str, Any]:
        """Return it for machines; bytes are hex."""
        other = agent_pb2.MemberReceipt.FromString(self.other)
        return {
            "at": self.at.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "agency": self.agency,
            "other_receipt": _receipt_json(other) if self.other else None,
            **self.shown.as_json(),
        }


def equivocation(
    current: Attempt,
    agreement: str,
    agency: str,
    other: Receipt | None,
    at: dt.datetime,
) -> Equivocation:
    """Return what the hub has of an attempt, before it goes on.

    Args:
        current: the attempt.
        agreement: under which it is asked.
        agency: who refused, or signed the other receipt.
        other: a receipt for another transcript, whose signature was checked.
        at: now.
    """
    call, cohort = current.call, current.cohort
    readies = [current.readies[label] for label in sorted(current.readies)]
    if cohort is not None:
        readies = current.cohort_readies()
    receipts = [current.receipts[label] for label in sorted(current.receipts)]
    others = receipts_to_messages([] if other is None else [other])
    return Equivocation(
        at=at,
        agency=agency,
        other=b"".join(each.SerializeToString(deterministic=True) for each in others),
        shown=Signed(
            query_id=call.submission,
            agreement=agreement,
            attempt=current.number,
            cohort=cohort or "",
            spec_digest=call.spec_digest,
            noise="" if cohort is None else call.noise[cohort],
            transcript=b"" if cohort is None else current.transcript,
            readies=agent_pb2.CohortCall(
                readies=member_readies_to_messages(readies)
            ).SerializeToString(deterministic=True),
            receipts=agent_pb2.RevealCall(
                receipts=receipts_to_messages(receipts)
            ).SerializeToString(deterministic=True),
        ),
    )


def keep(tx: sa.Connection, found: Equivocation) -> None:
    """Keep evidence, unless there is some of this question from this agency."""
    shown, table = found.shown, EQUIVOCATIONS
    known = sa.select(table.c.at).where(
        table.c.submission == shown.query_id, table.c.agency == found.agency
    )
    if tx.execute(known).first() is not None:
        return
    tx.execute(
        table.insert(),
        {
            "submission": shown.query_id,
            "agency": found.agency,
            "at": microseconds(found.at),
            "agreement": shown.agreement,
            "spec_digest": shown.spec_digest,
            "attempt": shown.attempt,
            "cohort": shown.cohort,
            "noise": shown.noise,
            "transcript": shown.transcript,
            "readies": shown.readies,
            "receipts": shown.receipts,
            "other": found.other,
        },
    )


def equivocations(tx: sa.Connection, most: int) -> list[Equivocation]:
    """Return the newest evidence, oldest first."""
    table = EQUIVOCATIONS
    rows = tx.execute(
        sa.select(table).order_by(table.c.at.desc(), table.c.submission).limit(most)
    ).all()
    return [
        Equivocation(
            at=moment(row.at),
            agency=row.agency,
            other=row.other,
            shown=_signed(row),
        )
        for row in reversed(rows)
    ]


def transcript_of(tx: sa.Connection, named: str) -> tuple[str, Signed]:
    """Return a release's id and transcript, by its id or that of its question.

    Raises:
        NotFound: RELEASE_UNKNOWN.
    """
    table = TRANSCRIPTS
    row = tx.execute(
        sa.select(table, RELEASES.c.agreement)
        .join(RELEASES, RELEASES.c.id == table.c.release)
        .where(sa.or_(table.c.release == named, table.c.submission == named))
    ).one_or_none()
    if row is None:
        raise NotFound(
            "RELEASE_UNKNOWN",
            f"There is no release {named[:80]!r}, and none of such a question: the ids"
            " stand in the release, and in `accord-hub audit show`.",
        )
    return row.release, _signed(row)


def _signed(row: sa.Row[Any]) -> Signed:
    return Signed(
        query_id=row.submission,
        agreement=row.agreement,
        attempt=row.attempt,
        cohort=row.cohort,
        spec_digest=row.spec_digest,
        noise=row.noise,
        transcript=row.transcript,
        readies=row.readies,
        receipts=row.receipts,
    )


def _receipt_json(receipt: agent_pb2.MemberReceipt) -> dict[str, str]:
    return {
        "agency": receipt.agency,
        "transcript": receipt.transcript.hex(),
        "vector_digest": receipt.vector_digest.hex(),
        "seed_commitment": receipt.seed_commitment.hex(),
        "input_commitment": receipt.input_commitment.hex(),
        "signature": receipt.signature.hex(),
    }
