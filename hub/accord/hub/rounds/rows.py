# SPDX-License-Identifier: Apache-2.0
"""Rounds as rows: what a hub that was killed needs to go on.

Kept are where a question stands, what agencies signed, and masked vectors, which are
uniformly random to whoever lacks a seed. Never kept are seeds and what they open. All
of it is gone once the question has ended, but for the transcript of a release. Every
function works in the caller's transaction.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from accord.hub.db.engine import microseconds, moment
from accord.hub.db.tables import (
    ENCAPSULATIONS,
    ROUND_ERASURES,
    ROUND_READIES,
    ROUND_RECEIPTS,
    ROUNDS,
    TRANSCRIPTS,
)
from accord.hub.rounds.attempt import Attempt
from accord.hub.rounds.round import Round
from accord.hub.rounds.stages import Call, Stage
from accord.rpc.rounds import member_readies_to_messages, receipts_to_messages
from accord.secagg.keys import Encapsulation
from accord.secagg.messages import Erased, Ready, Receipt
from accord.v1 import agent_pb2

_PARTS = (ROUND_READIES, ROUND_RECEIPTS, ROUND_ERASURES)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The row of one round."""

    attempt: int
    stage: Stage
    asked: tuple[str, ...]
    cohort: str | None
    until: dt.datetime
    refused: dict[str, str]
    missing: dict[str, Stage]
    ledger_entry: str
    owner: int | None
    """The process that moves it, where several serve the hub."""
    approving: frozenset[str]
    """Whose people have to approve it, as far as they have said so."""


def begin(
    tx: sa.Connection,
    submission: str,
    asked: tuple[str, ...],
    until: dt.datetime,
    owner: int | None = None,
) -> None:
    """Keep a round that asks everybody for the first time."""
    tx.execute(
        ROUNDS.insert(),
        {
            "submission": submission,
            "attempt": 1,
            "stage": Stage.READY.value,
            "asked": list(asked),
            "cohort": None,
            "until": microseconds(until),
            "refused": {},
            "missing": {},
            "ledger_entry": submission,
            "owner": owner,
            "approving": [],
        },
    )


def update(tx: sa.Connection, round_: Mapping[str, object], submission: str) -> None:
    """Keep where a round stands (`snapshot`); parts of older attempts are deleted."""
    tx.execute(
        ROUNDS.update().where(ROUNDS.c.submission == submission).values(**round_)
    )
    for table in _PARTS:
        tx.execute(
            table.delete().where(
                table.c.submission == submission,
                table.c.attempt < round_["attempt"],
            )
        )


def snapshot(round_: Round) -> dict[str, object]:
    """Return where a round stands, as `update` keeps it."""
    current = round_.current
    return {
        "attempt": current.number,
        "stage": current.stage.value,
        "asked": list(current.asked),
        "cohort": current.cohort,
        "until": microseconds(current.until),
        "refused": dict(round_.refused),
        "missing": {each: stage.value for each, stage in round_.missing.items()},
    }


def note_refused(
    tx: sa.Connection, submission: str, refused: Mapping[str, str]
) -> None:
    """Keep who declined, and nothing else: stages are committed by themselves."""
    tx.execute(
        ROUNDS.update()
        .where(ROUNDS.c.submission == submission)
        .values(refused=dict(refused))
    )


def note_approving(
    tx: sa.Connection, submission: str, approving: frozenset[str]
) -> None:
    """Keep whose people have to approve it; like `note_refused`."""
    tx.execute(
        ROUNDS.update()
        .where(ROUNDS.c.submission == submission)
        .values(approving=sorted(approving))
    )


def pay_with(tx: sa.Connection, submission: str, entry: str) -> None:
    """Name the ledger's entry that pays for a round."""
    tx.execute(
        ROUNDS.update()
        .where(ROUNDS.c.submission == submission)
        .values(ledger_entry=entry)
    )


def standing(tx: sa.Connection, submission: str) -> Standing | None:
    """Return where a round stands; nothing where there is none."""
    row = tx.execute(
        sa.select(ROUNDS).where(ROUNDS.c.submission == submission)
    ).one_or_none()
    if row is None:
        return None
    return Standing(
        attempt=row.attempt,
        stage=Stage(row.stage),
        asked=tuple(row.asked),
        cohort=row.cohort,
        until=moment(row.until),
        refused=dict(row.refused),
        missing={each: Stage(stage) for each, stage in row.missing.items()},
        ledger_entry=row.ledger_entry,
        owner=row.owner,
        approving=frozenset(row.approving or ()),
    )


def owned(tx: sa.Connection, owner: int) -> set[str]:
    """Return the submissions whose rounds belong to a process."""
    chosen = sa.select(ROUNDS.c.submission).where(ROUNDS.c.owner == owner)
    return set(tx.execute(chosen).scalars())


def delete(tx: sa.Connection, submission: str) -> None:
    """Forget everything of a round that has ended."""
    for table in (ROUNDS, *_PARTS):
        tx.execute(table.delete().where(table.c.submission == submission))


def _stands(tx: sa.Connection, submission: str) -> bool:
    """Tell whether a question has not ended: what comes later is not kept."""
    chosen = sa.select(ROUNDS.c.attempt).where(ROUNDS.c.submission == submission)
    return tx.execute(chosen).one_or_none() is not None


def add_ready(
    tx: sa.Connection, submission: str, ready: Ready, lacking: frozenset[str]
) -> None:
    if not _stands(tx, submission):
        return
    tx.execute(
        ROUND_READIES.insert(),
        {
            "submission": submission,
            "attempt": ready.attempt,
            "agency": ready.agency,
            "ephemeral_key": ready.ephemeral_key,
            "signature": ready.signature,
            "lacking": sorted(lacking),
        },
    )


def add_receipt(
    tx: sa.Connection,
    submission: str,
    attempt: int,
    receipt: Receipt,
    vector: bytes,
    serial: str,
) -> None:
    """Keep a whole masked vector with its receipt."""
    if not _stands(tx, submission):
        return
    tx.execute(
        ROUND_RECEIPTS.insert(),
        {
            "submission": submission,
            "attempt": attempt,
            "agency": receipt.agency,
            "serial": serial,
            "transcript": receipt.transcript,
            "vector_digest": receipt.vector_digest,
            "seed_commitment": receipt.seed_commitment,
            "input_commitment": receipt.input_commitment,
            "signature": receipt.signature,
            "vector": vector,
        },
    )


def add_erased(tx: sa.Connection, submission: str, erased: Erased) -> None:
    if not _stands(tx, submission):
        return
    tx.execute(
        ROUND_ERASURES.insert(),
        {
            "submission": submission,
            "attempt": erased.attempt,
            "agency": erased.agency,
            "signature": erased.signature,
        },
    )


def attempt(tx: sa.Connection, call: Call, found: Standing) -> Attempt:
    """Return the attempt of a round with everything that came in for it."""

    def of(table: sa.Table) -> sa.ColumnElement[bool]:
        return sa.and_(
            table.c.submission == call.submission, table.c.attempt == found.attempt
        )

    made = Attempt(
        call=call,
        number=found.attempt,
        asked=found.asked,
        until=found.until,
        stage=found.stage,
        cohort=found.cohort,
    )
    for row in tx.execute(sa.select(ROUND_READIES).where(of(ROUND_READIES))):
        made.readies[row.agency] = Ready(
            agency=row.agency,
            spec_digest=call.spec_digest,
            attempt=found.attempt,
            ephemeral_key=row.ephemeral_key,
            signature=row.signature,
        )
        made.lacking[row.agency] = frozenset(row.lacking)
    columns = [each for each in ROUND_RECEIPTS.c if each.name != "vector"]
    for row in tx.execute(sa.select(*columns).where(of(ROUND_RECEIPTS))):
        made.receipts[row.agency] = Receipt(
            agency=row.agency,
            transcript=row.transcript,
            vector_digest=row.vector_digest,
            seed_commitment=row.seed_commitment,
            input_commitment=row.input_commitment,
            signature=row.signature,
        )
        made.whole.add(row.agency)
    for row in tx.execute(sa.select(ROUND_ERASURES).where(of(ROUND_ERASURES))):
        made.erased[row.agency] = Erased(
            agency=row.agency,
            spec_digest=call.spec_digest,
            attempt=found.attempt,
            signature=row.signature,
        )
    return made


def vectors(tx: sa.Connection, submission: str, attempt: int) -> dict[str, bytes]:
    """Return the masked vectors of an attempt by agency."""
    rows = tx.execute(
        sa.select(ROUND_RECEIPTS.c.agency, ROUND_RECEIPTS.c.vector).where(
            ROUND_RECEIPTS.c.submission == submission,
            ROUND_RECEIPTS.c.attempt == attempt,
        )
    )
    return {row.agency: row.vector for row in rows}


def all_erased(tx: sa.Connection, submission: str, attempt: int) -> bool:
    """Tell whether all who handed in have signed that their seeds are erased."""

    def agencies(table: sa.Table) -> set[str]:
        chosen = sa.select(table.c.agency).where(
            table.c.submission == submission, table.c.attempt == attempt
        )
        return set(tx.execute(chosen).scalars())

    return agencies(ROUND_RECEIPTS) <= agencies(ROUND_ERASURES)


def held(tx: sa.Connection, submission: str, attempt: int) -> list[tuple[str, str]]:
    """Return the agencies of an attempt with their certificates' serial numbers."""
    rows = tx.execute(
        sa.select(ROUND_RECEIPTS.c.agency, ROUND_RECEIPTS.c.serial).where(
            ROUND_RECEIPTS.c.submission == submission,
            ROUND_RECEIPTS.c.attempt == attempt,
        )
    )
    return [(row.agency, row.serial) for row in rows]


def keep_transcript(tx: sa.Connection, release: str, round_: Round) -> None:
    """Keep for audits who took part in a release, and what they signed."""
    current, call = round_.current, round_.call
    cohort = current.cohort or ""
    tx.execute(
        TRANSCRIPTS.insert(),
        {
            "release": release,
            "submission": call.submission,
            "spec_digest": call.spec_digest,
            "attempt": current.number,
            "cohort": cohort,
            "noise": call.noise[cohort],
            "transcript": current.transcript,
            "readies": agent_pb2.CohortCall(
                query_id=call.submission,
                attempt=current.number,
                cohort=cohort,
                readies=member_readies_to_messages(current.cohort_readies()),
            ).SerializeToString(deterministic=True),
            "receipts": agent_pb2.RevealCall(
                query_id=call.submission,
                attempt=current.number,
                receipts=receipts_to_messages(current.cohort_receipts()),
            ).SerializeToString(deterministic=True),
        },
    )


def put_encapsulation(tx: sa.Connection, made: Encapsulation) -> None:
    """Keep the newest one of a pair."""
    tx.execute(
        ENCAPSULATIONS.delete().where(
            ENCAPSULATIONS.c.sender == made.sender,
            ENCAPSULATIONS.c.receiver == made.receiver,
        )
    )
    tx.execute(ENCAPSULATIONS.insert(), dataclasses.asdict(made))


def encapsulations(
    tx: sa.Connection, senders: Sequence[str] | None = None
) -> list[Encapsulation]:
    """Return the newest one of every pair, or of those of some senders."""
    chosen = sa.select(ENCAPSULATIONS)
    if senders is not None:
        chosen = chosen.where(ENCAPSULATIONS.c.sender.in_(senders))
    return [
        Encapsulation(
            sender=row.sender,
            receiver=row.receiver,
            ciphertext=row.ciphertext,
            signature=row.signature,
        )
        for row in tx.execute(chosen)
    ]
