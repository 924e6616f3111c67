# SPDX-License-Identifier: Apache-2.0
"""The end of a query: what could open an answer is erased, and with it what it cost.

A query that was not revealed gives its reservation back in the transaction that erases
seed, keys and vector: from then on nobody can open it, this agency included, and it
says so under its signature if it had masked anything. What was revealed stays charged.
"""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Sequence

from accord.agent.rounds import history, rows
from accord.agent.rounds.checks import Clock
from accord.agent.rounds.rows import Row, Stage
from accord.agent.rounds.steps import ErasedStep
from accord.agent.spending import give_back_reserved
from accord.ledger.sqlite import transaction
from accord.ledger.transaction import Transaction
from accord.secagg.keys import SecretKeys
from accord.secagg.member import make_erased


class Ending:
    """Ends queries; belongs to one thread at a time."""

    def __init__(self, *, keys: SecretKeys, keep_days: int, clock: Clock) -> None:
        self._keys = keys
        self._keep = datetime.timedelta(days=keep_days)
        self._clock = clock

    def settle(
        self, connection: sqlite3.Connection, query_ids: Sequence[str]
    ) -> tuple[ErasedStep, ...]:
        """End queries of which the hub says that they are over.

        Returns:
            What this agency had masked and can never be opened any more; the same
            whenever it is asked for.
        """
        now = self._clock()
        ended: list[Row] = []
        with transaction(connection) as tx:
            for query_id in query_ids:
                row = rows.find(tx, query_id)
                if row is None:
                    continue
                if row.stage is Stage.REVEALED:
                    rows.forget_vector(tx, query_id)
                    continue
                _end(tx, row, now)
                ended.append(row)
        rows.checkpoint(connection)
        return tuple(
            ErasedStep(
                query_id=row.query_id,
                erased=make_erased(self._keys, row.spec_digest, row.attempt),
            )
            for row in ended
            if row.masked is not None
        )

    def expire(self, connection: sqlite3.Connection) -> None:
        """End what has expired by this machine's clock, and delete old records."""
        now = self._clock()
        with transaction(connection) as tx:
            ended = rows.ended_by(tx, now)
            opened = rows.opened_by(tx, now)
            audited = rows.audited_by(tx, now, now - self._keep)
            for row in ended:
                _end(tx, row, now)
            for row in opened:
                rows.forget_vector(tx, row.query_id)
                rows.forget_seed(tx, row.query_id)
            for row in audited:
                rows.forget_record(tx, row.query_id)
                rows.forget_payload(tx, row.query_id)
        if ended or opened or audited:
            rows.checkpoint(connection)


def _end(tx: Transaction, row: Row, now: datetime.datetime) -> None:
    """Erase an open query and give back what was reserved for it."""
    if rows.erase(tx, row.query_id):
        give_back_reserved(tx, row.query_id, now)
        history.ended(tx, row.query_id, now)
