# SPDX-License-Identifier: Apache-2.0
"""Every clause of an agreement that has a value of its own, with its order.

What decides which requests are allowed (purposes, recipients, measures, dimensions) is
not here: `accord.core.comparison.difference` compares that over all requests.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping
from typing import Final

import pydantic

from accord.core.agreement_form import AgreementForm
from accord.core.comparison.orders import (
    CAP,
    FEWER_ARE_LOOSER,
    LESS_IS_LOOSER,
    MORE_ARE_LOOSER,
    MORE_IS_LOOSER,
    Amount,
    Fixed,
    Order,
    Rank,
    Several,
    Value,
    Way,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Clause:
    """One clause: where it stands and which way it is looser."""

    path: str
    """As documents write it."""
    order: Order
    unit: str = ""


CLAUSES: Final = (
    Clause("hub_operator", Fixed()),
    Clause("parties", Several(added=Way.OTHER, removed=Way.OTHER)),
    Clause("data_model", Fixed()),
    Clause("extends", Fixed()),
    Clause("editions.every", Rank(("year", "quarter", "month"))),
    Clause("editions.embargo", LESS_IS_LOOSER, "day"),
    Clause("recipients.onward_sharing", Rank(("none", "aggregates"))),
    Clause("may_ask.sensitive", FEWER_ARE_LOOSER),
    Clause("protect.person_in_at_most", LESS_IS_LOOSER, "agency"),
    Clause("protect.groups_per_person", MORE_IS_LOOSER),
    Clause("protect.cases_per_group", MORE_IS_LOOSER),
    Clause("protect.drop_cap", MORE_IS_LOOSER),
    Clause("protect.at_least_agencies", LESS_IS_LOOSER, "agency"),
    Clause("protect.covered_by_at_least", LESS_IS_LOOSER, "agency"),
    Clause("protect.no_agency_above", CAP, "percent"),
    Clause("protect.suppress_below", LESS_IS_LOOSER),
    Clause("protect.colluding_at_most", LESS_IS_LOOSER, "agency"),
    Clause("protect.noise", Rank(("agents", "shared", "hub"))),
    # Unsaid it follows from the price of each release: neither more nor less.
    Clause("protect.hub_sees_at_most.epsilon", MORE_IS_LOOSER, "price"),
    # A new way to account starts with empty accounts, whichever it is.
    Clause("spend.accounting", Fixed()),
    Clause("spend.delta", MORE_IS_LOOSER),
    Clause("spend.each_release_at_most.epsilon", MORE_IS_LOOSER),
    Clause("spend.each_analyst.epsilon", MORE_IS_LOOSER),
    Clause("spend.each_analyst.every", LESS_IS_LOOSER, "day"),
    Clause("spend.everyone.epsilon", MORE_IS_LOOSER),
    Clause("spend.everyone.every", LESS_IS_LOOSER, "day"),
    Clause("spend.lifetime.epsilon", CAP, "cap"),
    Clause("review.releases", Rank(("human", "automatic"))),
    Clause("review.reviewers", Several(added=Way.OTHER, removed=Way.OTHER)),
    Clause("retention.releases", CAP, "kept"),
    Clause("retention.questions", CAP, "kept"),
    Clause("emergency.purpose", Fixed()),
    Clause("emergency.spend.epsilon", MORE_IS_LOOSER),
    # A shorter emergency ends sooner, but its budget also comes back sooner.
    Clause("emergency.at_most", Amount(more=Way.LOOSER, less=Way.OTHER), "day"),
    Clause("emergency.approvers", MORE_ARE_LOOSER),
    Clause("approval.quorum", LESS_IS_LOOSER, "signature"),
    Clause("approval.signatories", Fixed()),
    Clause("approval.loosening_needs", FEWER_ARE_LOOSER),
    Clause("valid.from", LESS_IS_LOOSER),
    Clause("valid.until", MORE_IS_LOOSER),
    Clause("valid.review_by", MORE_IS_LOOSER),
)

EFFECTIVE: Final[Mapping[str, Callable[[AgreementForm], Value]]] = {
    "protect.person_in_at_most": lambda form: (
        form.protect.person_in_at_most or len(form.parties)
    ),
    "protect.covered_by_at_least": lambda form: (
        form.protect.covered_by_at_least or form.protect.at_least_agencies
    ),
    "protect.noise": lambda form: form.noise,
}
"""Clauses with a value where the document says nothing."""


def value_of(form: AgreementForm, path: str) -> Value:
    """Return what *form* says at *path*, or what holds where it says nothing."""
    if path in EFFECTIVE:
        return EFFECTIVE[path](form)
    return entry_of(form, path)


def entry_of(form: pydantic.BaseModel, path: str) -> Value:
    """Return what stands at *path* of any form; nothing where it is not said."""
    node: object = form
    for name in path.split("."):
        if not isinstance(node, pydantic.BaseModel):
            return None
        node = getattr(node, "first" if name == "from" else name)
    if isinstance(node, enum.Enum):
        return str(node.value)
    if isinstance(node, list):
        return tuple(node)
    return node  # type: ignore[return-value]  # the table names entries with values
