# SPDX-License-Identifier: Apache-2.0
"""Every question as it was asked, with what was decided: a list that only grows.

Boards try drafts of agreements on it. It holds words of questions, codes of clauses and
amounts of loss; no figure of any answer, and nothing that depends on one.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Final

import sqlalchemy as sa

from accord.core.decide import Analyst
from accord.core.errors import AccordError
from accord.core.policy import Policy
from accord.core.privacy import Loss
from accord.hub.db.engine import microseconds, moment
from accord.hub.db.tables import ASKED
from accord.hub.questions.planning import Plan
from accord.rpc.codec import loss_to_message
from accord.v1 import common_pb2, policy_pb2

MOST_QUERY_BYTES: Final = 64 * 1024
"""Of one question that is kept whole; of longer ones the filters are left out."""

PAGE: Final = 200
"""Questions on a page where none is asked for."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question in the words of who asked it."""

    submission: str
    at: dt.datetime
    analyst: Analyst
    query: common_pb2.Query
    purpose: str
    epsilon: float


def note_permitted(
    tx: sa.Connection, asked: Asked, plan: Plan, *, from_archive: bool
) -> None:
    """Note a question that was admitted, in the transaction that admits it."""
    _note(
        tx,
        asked,
        plan.policy,
        plan.policies_version,
        {
            "permitted": True,
            "denied_by": [],
            "nano_rho": plan.loss.nano_rho,
            "nano_epsilon": plan.loss.nano_epsilon,
            "from_archive": from_archive,
        },
    )


def note_refused(  # a row has these parts
    tx: sa.Connection,
    asked: Asked,
    policy: Policy,
    policies_version: int,
    error: AccordError,
    *,
    codes: list[str],
    loss: Loss,
) -> None:
    """Note a question that was refused, in the transaction that notes the refusal.

    Args:
        tx: the caller's transaction.
        asked: the question.
        policy: the agreement that it names.
        policies_version: of all policies.
        error: what the analyst is told.
        codes: the clauses that denied it; none where something else did.
        loss: the most that it would have cost.
    """
    _note(
        tx,
        asked,
        policy,
        policies_version,
        {
            "permitted": False,
            "reason": error.reason,
            "denied_by": codes,
            "nano_rho": loss.nano_rho,
            "nano_epsilon": loss.nano_epsilon,
            "from_archive": False,
        },
    )


def page(
    tx: sa.Connection,
    agreement: str,
    *,
    since: int,
    until: int,
    after: int,
    most: int,
) -> policy_pb2.ListQueriesResponse:
    """Return questions under an agreement, oldest first.

    Args:
        tx: the caller's transaction.
        agreement: its name.
        since: seconds since 1970; the first moment that counts.
        until: the same; the first that no longer counts. 0 for no end.
        after: number of the last question of the page before; 0 for the first page.
        most: questions on the page.
    """
    chosen = (
        sa.select(ASKED)
        .where(
            ASKED.c.agreement == agreement,
            ASKED.c.number > after,
            ASKED.c.at >= since * 1_000_000,
        )
        .order_by(ASKED.c.number)
        .limit(most + 1)
    )
    if until:
        chosen = chosen.where(ASKED.c.at < until * 1_000_000)
    rows = tx.execute(chosen).all()
    return policy_pb2.ListQueriesResponse(
        queries=[_message(row) for row in rows[:most]],
        next_page_token=str(rows[most - 1].number) if len(rows) > most else "",
    )


def _note(
    tx: sa.Connection,
    asked: Asked,
    policy: Policy,
    policies_version: int,
    outcome: dict[str, object],
) -> None:
    tx.execute(
        ASKED.insert(),
        {
            "at": microseconds(asked.at),
            "submission": asked.submission,
            "analyst": asked.analyst.id,
            "organisation": asked.analyst.organisation,
            "roles": sorted(asked.analyst.roles),
            "agreement": policy.name,
            "agreement_version": policy.agreement.form.version,
            "policies_version": policies_version,
            "policy_digest": policy.digest,
            "query": _kept(asked.query),
            "purpose": asked.purpose,
            "epsilon": asked.epsilon,
            **outcome,
        },
    )


def _kept(query: common_pb2.Query) -> bytes:
    content = query.SerializeToString(deterministic=True)
    if len(content) <= MOST_QUERY_BYTES:
        return content
    short = common_pb2.Query()
    short.CopyFrom(query)
    short.ClearField("where")
    return short.SerializeToString(deterministic=True)


def _message(row: sa.Row[tuple[object, ...]]) -> policy_pb2.AskedQuery:
    return policy_pb2.AskedQuery(
        asked_at=int(moment(row.at).timestamp()),
        query=common_pb2.Query.FromString(row.query),
        analyst=row.analyst,
        organisation=row.organisation,
        roles=row.roles,
        purpose=row.purpose,
        epsilon=row.epsilon,
        agreement_version=row.agreement_version,
        permitted=row.permitted,
        denied_by=row.denied_by,
        loss=loss_to_message(
            Loss(nano_rho=row.nano_rho, nano_epsilon=row.nano_epsilon)
        ),
        from_archive=row.from_archive,
    )
