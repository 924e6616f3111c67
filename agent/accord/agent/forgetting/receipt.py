# SPDX-License-Identifier: Apache-2.0
"""Receipts of what was taken out: where, how many cases, never whom."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Any

import pydantic

from accord.agent.forgetting.survey import Held
from accord.agent.state import AgentState
from accord.core.document import Strict
from accord.core.errors import IntegrityError
from accord.ledger.sqlite import transaction


class Kind(enum.StrEnum):
    """What a receipt is of."""

    FORGOTTEN = "forgotten"
    LIFTED = "lifted"
    RETENTION = "retention"


class Searched(Strict):
    """The look at all files afterwards."""

    files: int = 0
    """None where it went on from one that was killed, without the identifiers."""
    found: int = 0


class Receipt(Strict):
    """What was taken out once."""

    number: int | None = None
    kind: Kind
    at: str
    persons: int = 0
    """Whom it was about."""
    places: tuple[tuple[Held, Held], ...] = ()
    """Every part and edition before and after."""
    closed: tuple[str, ...] = ()
    """Editions that are answered from no more, since nobody can be found in them."""
    deleted: tuple[str, ...] = ()
    """Editions that were too old."""
    searched: Searched = Searched()

    def lines(self) -> Iterator[str]:
        """Yield it for people."""
        at = self.at[:16].replace("T", " ")
        yield f"receipt {self.number}: {at} UTC, {_TITLES[self.kind]}"
        if self.kind is not Kind.RETENTION:
            yield f"  persons named: {self.persons:,}"
        for before, after in self.places:
            yield f"  {before.kind} {before.name}: {_change(before, after)}"
        for name in self.closed:
            yield f"  edition {name}: closed, nobody can be found in it"
        for name in self.deleted:
            yield f"  edition {name}: deleted, and never frozen again"
        if self.searched.files:
            yield (
                f"  looked through {self.searched.files:,} files afterwards: found in "
                f"{self.searched.found:,}"
            )

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        found: dict[str, Any] = self.model_dump(mode="json", exclude={"places"})
        found["places"] = [
            {
                "kind": before.kind,
                "name": before.name,
                "cases": [before.cases, after.cases],
                "persons": [before.persons, after.persons],
                "digests": [before.digest, after.digest],
            }
            for before, after in self.places
        ]
        return found


_TITLES = {
    Kind.FORGOTTEN: "forgotten",
    Kind.LIFTED: "may be taken in again by the next ingest",
    Kind.RETENTION: "let go by age and end of consent",
}


def _change(before: Held, after: Held) -> str:
    if before.cases is None or after.cases is None or after.persons is None:
        return "not searched"
    if before.cases == after.cases:
        return f"{before.cases:,} cases, nothing left it"
    digests = ""
    if before.digest is not None and after.digest is not None:
        digests = f", files {before.digest[:12]} -> {after.digest[:12]}"
    return (
        f"{before.cases:,} -> {after.cases:,} cases, {before.persons or 0:,} -> "
        f"{after.persons:,} persons{digests}"
    )


def keep_receipt(state: AgentState, receipt: Receipt) -> Receipt:
    """Keep a receipt for ever; return it with its number."""
    with state.ledger() as connection, transaction(connection) as tx:
        tx.execute(
            "INSERT INTO forgetting (at, kind, receipt) VALUES (:at, :kind, :receipt)",
            {
                "at": receipt.at,
                "kind": receipt.kind.value,
                "receipt": receipt.model_dump_json(exclude={"number"}),
            },
        )
        rows = tx.execute("SELECT max(number) FROM forgetting", {}).fetchall()
    return receipt.model_copy(update={"number": int(rows[0][0])})


def receipts_of(state: AgentState) -> list[Receipt]:
    """Return all receipts, oldest first.

    Raises:
        IntegrityError: FORGET_RECEIPT_BROKEN.
    """
    with state.ledger() as connection, transaction(connection) as tx:
        rows = tx.execute(
            "SELECT number, receipt FROM forgetting ORDER BY number", {}
        ).fetchall()
    try:
        return [
            Receipt.model_validate_json(row[1]).model_copy(
                update={"number": int(row[0])}
            )
            for row in rows
        ]
    except pydantic.ValidationError:
        raise IntegrityError(
            "FORGET_RECEIPT_BROKEN",
            f"A receipt in {state.database} is damaged: restore it from a copy.",
        ) from None
