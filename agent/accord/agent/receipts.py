# SPDX-License-Identifier: Apache-2.0
"""Every question that was asked about this agency's data, in words.

What is said comes from the requisition that the hub signed and from this agency's own
database; nothing of it depends on a record. The words of a question are those of the
data model's names, whatever model is in force today.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
import re
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Final

from accord.agent.rounds.history import Outcome
from accord.core.errors import IntegrityError
from accord.core.measure import Bounding
from accord.core.messages import sentence
from accord.core.privacy import Loss
from accord.core.query import Kind
from accord.ledger import Unit
from accord.ledger.account import shown
from accord.rpc.codec import payload_of
from accord.v1 import agent_pb2, common_pb2

_SCALE_DENOMINATOR: Final = 1024
_TWO_SIDED_95: Final = 1.96

_COUNTS_BEFORE: Final = 4
_OTHERS_BEFORE: Final = 64
"""Stored integers of one count in receipts of before the scale was kept in them."""

REASONS: Final = frozenset(
    {
        "AGREEMENT_DENIES",
        "AGREEMENT_UNKNOWN",
        "APPROVAL_EXPIRED",
        "APPROVAL_REFUSED",
        "BUDGET_EXHAUSTED",
        "COHORT_NOT_PERMITTED",
        "COHORT_TOO_SMALL",
        "EDITION_MISSING",
        "EXPIRED",
        "HUB_BEHIND",
        "LOCAL_RULE",
        "LOG_FORKED",
        "POLICY_DIFFERS",
        "POLICY_UNTRUSTED",
        "STORE_UNAVAILABLE",
        "TERMS_MISMATCH",
    }
)
"""Reasons that have words of their own in the catalogue."""

_COLUMNS: Final = (
    "number, query_id, asked_at, state, reason, payload, cohort, cells, scale,"
    " charged_at, ended_at"
)

_RECEIPTS: Final = f"""
SELECT * FROM (SELECT {_COLUMNS} FROM receipt ORDER BY number DESC LIMIT :newest)
ORDER BY number
"""  # noqa: S608 - no words of anybody

_RECEIPT: Final = f"SELECT {_COLUMNS} FROM receipt WHERE query_id = :query_id"  # noqa: S608


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One question, who asked it, and what became of it."""

    query_id: str
    asked_at: datetime.datetime
    outcome: Outcome
    reason: str | None
    """Why it was declined, from the closed list."""
    requisition: agent_pb2.RequisitionPayload | None
    """What the hub signed; none where it is not kept."""
    payload: bytes | None = dataclasses.field(default=None, repr=False)
    """The same as it came."""
    cohort: str | None
    """The agencies that answered together."""
    cells: int | None
    """Figures that left, masked."""
    scale: int | None
    """Stored integer of one count in them; none where they are no counts, or where the
    receipt is older than that."""
    charged_at: datetime.datetime | None
    ended_at: datetime.datetime | None

    def question(self, language: str = "en") -> str:
        """Return the question as a sentence."""
        if self.requisition is None:
            return sentence("receipt.forgotten", language)
        return worded(self.requisition.query, language)

    def what_left(self, language: str = "en") -> str:
        """Return what left this agency, as a sentence."""
        cells = "?" if self.cells is None else f"{self.cells:,}"
        match self.outcome:
            case Outcome.REFUSED:
                words = "receipt.waiting" if self.waits else "receipt.refused"
                return sentence(words, language, reason=self._why(language))
            case Outcome.OPENED if self.requisition is None or self.cells is None:
                cohort = self.cohort or "?"
                return sentence("receipt.opened-unknown", language, cohort=cohort)
            case Outcome.OPENED if self.noise is None:
                return sentence(
                    "receipt.opened-sums",
                    language,
                    cells=cells,
                    members=self._members(language),
                    cohort=self.cohort or "?",
                )
            case Outcome.OPENED:
                return sentence(
                    "receipt.opened",
                    language,
                    cells=cells,
                    noise=f"{self.noise:,.0f}",
                    members=self._members(language),
                    cohort=self.cohort or "?",
                )
            case Outcome.ENDED if self.cells is not None:
                return sentence("receipt.ended-masked", language, cells=cells)
            case _:
                return sentence(f"receipt.{self.outcome.value}", language, cells=cells)

    def how_it_ended(self, language: str = "en") -> str:
        """Return the outcome in a few words."""
        return sentence(f"receipt.outcome.{self.stand}", language)

    @property
    def waits(self) -> bool:
        """Whether people at this agency have to approve it first."""
        return self.outcome is Outcome.REFUSED and self.reason == "APPROVAL_AWAITED"

    @property
    def stand(self) -> str:
        """How far it has come, for programs."""
        return "waiting" if self.waits else self.outcome.value

    @property
    def noise(self) -> float | None:
        """Half-width of the 95 % interval of one opened figure, in counts.

        Nothing for sums and means: their figures are no counts.
        """
        if self.requisition is None:
            return None
        asked = self.requisition
        kind = asked.query.measure.partition("(")[0]
        if kind in (Kind.SUM, Kind.MEAN):
            return None
        scale = self.scale or _scale_before(kind, asked.bounding)
        mechanism = asked.mechanism
        return half_width(
            mechanism.scale_numerator / _SCALE_DENOMINATOR / scale,
            laplace=mechanism.kind == agent_pb2.Mechanism.KIND_DISCRETE_LAPLACE,
        )

    @property
    def cost(self) -> Loss:
        """What it cost this agency's records; nothing where it was never opened."""
        if self.charged_at is None or self.requisition is None:
            return Loss()
        loss = self.requisition.loss
        return Loss(nano_rho=loss.nano_rho, nano_epsilon=loss.nano_epsilon)

    def cost_words(self) -> str:
        """Return the cost as people read it."""
        if self.charged_at is not None and self.requisition is None:
            return "?"
        amounts = [
            shown(amount, unit)
            for amount, unit in (
                (self.cost.nano_rho, Unit.NANO_RHO),
                (self.cost.nano_epsilon, Unit.NANO_EPSILON),
            )
            if amount
        ]
        return ", ".join(amounts) or "–"

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        asked = self.requisition
        return {
            "query_id": self.query_id,
            "asked_at": self.asked_at.isoformat(),
            "analyst": asked and asked.analyst.id,
            "organisation": asked and asked.analyst.organisation,
            "roles": list(asked.analyst.roles) if asked else None,
            "agreement": asked and asked.query.agreement,
            "agreement_version": asked and asked.agreement_version,
            "purpose": asked and asked.purpose,
            "edition": asked and asked.query.edition,
            "question": self.question(),
            "outcome": self.stand,
            "reason": self.reason,
            "what_left": self.what_left(),
            "cohort": self.cohort,
            "members": list(asked.members) if asked else None,
            "figures": self.cells,
            "noise": self.noise,
            "nano_rho": self.cost.nano_rho,
            "nano_epsilon": self.cost.nano_epsilon,
            "charged_at": None
            if self.charged_at is None
            else self.charged_at.isoformat(),
        }

    def _why(self, language: str) -> str:
        reason = self.reason or ""
        known = reason if reason in REASONS else "other"
        return sentence(f"receipt.reason.{known}", language, reason=reason)

    def _members(self, language: str) -> str:
        """Return how many agencies answered, as far as the requisition says."""
        asked = self.requisition
        if asked is None:
            return "?"
        most = len(asked.members)
        if asked.cohort == self.cohort:
            return f"{most}"
        return sentence("receipt.at-most", language, members=most)


def half_width(scale: float, *, laplace: bool) -> float:
    """Return half the width of the 95 % interval of noise, in the unit of its scale."""
    return scale * -math.log(0.05) if laplace else scale * _TWO_SIDED_95


def receipts(
    connection: sqlite3.Connection, newest: int | None = None
) -> Iterator[Receipt]:
    """Yield every question, oldest first.

    Args:
        connection: to the agent's database.
        newest: only so many, the last ones.
    """
    most = -1 if newest is None else newest  # SQLite takes a negative one for all
    yield from map(_receipt, connection.execute(_RECEIPTS, {"newest": most}))


def receipt_of(connection: sqlite3.Connection, query_id: str) -> Receipt | None:
    """Return one question, if it was ever asked here."""
    row = connection.execute(_RECEIPT, {"query_id": query_id}).fetchone()
    return None if row is None else _receipt(row)


def _receipt(row: Sequence[Any]) -> Receipt:
    _, query_id, asked_at, state, reason, payload, *what, charged, ended = row
    cohort, cells, scale = what
    return Receipt(
        query_id=query_id,
        asked_at=_moment(asked_at),
        outcome=Outcome(state),
        reason=reason,
        requisition=_requisition(payload),
        payload=payload,
        cohort=cohort,
        cells=cells,
        scale=scale,
        charged_at=None if charged is None else _moment(charged),
        ended_at=None if ended is None else _moment(ended),
    )


def _scale_before(kind: str, bounding: str) -> int:
    plain = kind in (Kind.PERSONS, Kind.CASES) and bounding != Bounding.WEIGH
    return _COUNTS_BEFORE if plain else _OTHERS_BEFORE


def _requisition(payload: bytes | None) -> agent_pb2.RequisitionPayload | None:
    if payload is None:
        return None
    try:
        return payload_of(payload)
    except IntegrityError:
        return None  # of a protocol that is not spoken any more


_MONTH: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
_LEAST_ROW: Final = 3
"""Fewer months are named one by one."""


def worded(query: common_pb2.Query, language: str = "en") -> str:
    """Return a question as a sentence."""
    kind, _, of = query.measure.rstrip(")").partition("(")
    known = kind if kind in set(Kind) else "other"
    about = spoken(of if of and known != "other" else query.measure)
    parts = [sentence(f"receipt.measure.{known}", language, measure=about)]
    if query.group_by:
        groups = [
            sentence(
                "receipt.by-level",
                language,
                dimension=spoken(each.dimension),
                level=spoken(each.level),
            )
            if each.level and each.level != each.dimension
            else spoken(each.dimension)
            for each in query.group_by
        ]
        joined = f" {sentence('receipt.and', language)} ".join(groups)
        parts.append(sentence("receipt.by", language, groups=joined))
    parts += [
        sentence(
            "receipt.and-where" if number else "receipt.where",
            language,
            dimension=spoken(each.dimension),
            values=_alternatives([spoken(value) for value in each.values], language),
        )
        for number, each in enumerate(query.where)
    ]
    edition = sentence("receipt.edition", language, edition=query.edition)
    asked = " ".join(parts)
    return sentence("receipt.question", language, asked=asked, edition=edition)


def _alternatives(values: Sequence[str], language: str) -> str:
    *others, last = values
    if not others:
        return last
    if _are_months_in_a_row(values):
        return sentence("receipt.from-to", language, first=values[0], last=last)
    listed = others[0]
    for other in others[1:]:
        listed = sentence("receipt.list", language, values=listed, next=other)
    return sentence("receipt.or", language, values=listed, last=last)


def _are_months_in_a_row(values: Sequence[str]) -> bool:
    """Tell whether *values* are three months or more without a gap."""
    if len(values) < _LEAST_ROW or not all(map(_MONTH.fullmatch, values)):
        return False
    first, *_ = numbers = [12 * int(each[:4]) + int(each[5:]) for each in values]
    return numbers == list(range(first, first + len(numbers)))


def spoken(name: str) -> str:
    """Return a name of the data model as people write it."""
    return name.replace("_", " ")


def _moment(seconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
