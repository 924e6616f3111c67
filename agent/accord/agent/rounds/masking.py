# SPDX-License-Identifier: Apache-2.0
"""Second round: this agency's counts and its share of the noise, under its masks.

In this order: every check of the cohort; the loss is reserved in the agency's own
ledger; the records are counted; all that has to be said again is committed, and with it
the attempt's private key is erased; the sequence outside the database is raised; and
only then is anything returned. A process that ends in between left nothing but a
reservation behind, and takes the step again with other noise and other seeds.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence

import numpy as np

from accord.agent.rounds import fence, history, rows
from accord.agent.rounds.checks import Checks, Clock, Cohort, Examined, refuse
from accord.agent.rounds.pairs import Pairs
from accord.agent.rounds.record import Record, documents_of, put_record
from accord.agent.rounds.rows import Masked, Row, Stage
from accord.agent.rounds.sealing import read_public, seal
from accord.agent.rounds.steps import MaskStep, ReadyLike
from accord.agent.rounds.vectors import Vector, counts, digest_of, share
from accord.agent.spending import reserve_once
from accord.agent.state import AgentState
from accord.core.errors import AccordError
from accord.ledger.sqlite import transaction
from accord.secagg.encoding import KEY_BYTES
from accord.secagg.keys import Encapsulation, SecretKeys
from accord.secagg.masks import WORD, Words, vector_bytes
from accord.secagg.member import (
    check_readies,
    commit_input,
    make_masked,
    pair_keys,
)
from accord.secagg.messages import Ready, Receipt, transcript


class Masking:
    """Takes the second step; belongs to one thread at a time."""

    def __init__(
        self,
        state: AgentState,
        *,
        keys: SecretKeys,
        checks: Checks,
        pairs: Pairs,
        clock: Clock,
    ) -> None:
        self._state = state
        self._keys = keys
        self._checks = checks
        self._pairs = pairs
        self._clock = clock

    def mask(
        self,
        connection: sqlite3.Connection,
        row: Row,
        cohort: str,
        readies: Sequence[ReadyLike],
        encapsulations: Sequence[Encapsulation],
    ) -> MaskStep:
        """Return receipt and vector, the same whenever the same cohort is called.

        Args:
            connection: to the agent's database.
            row: the query, at the attempt that the call is for.
            cohort: its name in the agreement.
            readies: as the hub shows them.
            encapsulations: those that this agency lacked.

        Raises:
            RequisitionRefused: with a reason from the closed list.
        """
        examined = self._checks.examine(connection, row.payload)
        if examined.spec.digest != row.spec_digest:
            refuse("POLICY_DIFFERS", "Another list of keys is in force by now.")
        chosen = self._checks.cohort(examined, cohort)
        shown = [_ready(row, each) for each in readies]
        check_readies(
            examined.spec,
            row.attempt,
            shown,
            chosen.members,
            examined.directory,
            row.ready(self._keys.label),
        )
        seen = transcript(
            row.spec_digest, row.attempt, cohort, chosen.plan.digest(), shown
        )
        if row.stage is not Stage.READY:
            return self._again(connection, row, seen)
        self._pairs.keep(connection, examined.directory, encapsulations)
        return self._first(connection, row, examined, chosen, shown, seen)

    def _first(
        self,
        connection: sqlite3.Connection,
        row: Row,
        examined: Examined,
        chosen: Cohort,
        shown: Sequence[Ready],
        seen: bytes,
    ) -> MaskStep:
        keys = pair_keys(
            self._keys,
            row.ephemeral or b"",
            shown,
            seen,
            self._pairs.secrets(connection, examined.directory, chosen.members),
        )
        public = read_public(self._state)
        model = examined.policy.model
        # Noted with the answer: whoever counts again takes the day of this moment.
        now = self._clock()
        with self._checks.edition(examined, now.date()) as cases:
            if not self._reserve(connection, row, examined):
                return self._again(connection, row, seen)
            try:
                vector = counts(
                    cases, examined.terms, examined.requisition.query, model
                )
            except AccordError as error:
                refuse("STORE_UNAVAILABLE", error.sentence)
        record = Record(
            noise_seed=os.urandom(KEY_BYTES),
            salt=os.urandom(KEY_BYTES),
            self_seed=os.urandom(KEY_BYTES),
            pair_keys=keys,
            readies=shown,
        )
        receipt, words = self._masked(chosen, seen, vector, record)
        sealed = seal(public, record.to_bytes(), row.query_id, seen)
        masked = Masked(
            cohort=chosen.name,
            transcript=seen,
            seed=record.self_seed,
            vector_digest=receipt.vector_digest,
            seed_commitment=receipt.seed_commitment,
            input_commitment=receipt.input_commitment,
            signature=receipt.signature,
            at=now,
        )
        if not self._commit(connection, row, examined, masked, words, sealed):
            return self._again(connection, row, seen)
        fence.publish(self._state, connection)
        return MaskStep(receipt=receipt, vector=words)

    def _masked(
        self, chosen: Cohort, seen: bytes, vector: Vector, record: Record
    ) -> tuple[Receipt, Words]:
        noise = share(chosen.plan, record.noise_seed, len(vector))
        return make_masked(
            self._keys,
            transcript=seen,
            vector=vector + noise,
            input_commitment=commit_input(
                digest_of(vector), record.noise_seed, record.salt
            ),
            self_seed=record.self_seed,
            pair_keys=record.pair_keys,
        )

    def _reserve(
        self, connection: sqlite3.Connection, row: Row, examined: Examined
    ) -> bool:
        """Reserve the loss; tell whether the row is still ready."""
        bill = self._checks.bill(examined)
        with transaction(connection) as tx:
            if rows.find(tx, row.query_id) != row:
                return False
            reserve_once(tx, bill, self._clock())
        return True

    def _commit(
        self,
        connection: sqlite3.Connection,
        row: Row,
        examined: Examined,
        masked: Masked,
        words: Words,
        sealed: bytes,
    ) -> bool:
        """Keep all that has to be said again; tell whether the row was still ready."""
        view = self._checks.policies.view()
        documents = {} if view is None else view.documents
        named = documents_of(examined.policy, documents)
        with transaction(connection) as tx:
            if not rows.put_masked(tx, row, masked, vector_bytes(words)):
                return False
            put_record(tx, row.query_id, sealed, named)
            history.masked(
                tx,
                row,
                masked,
                cells=len(words),
                scale=examined.terms.figure_scale,
            )
        rows.checkpoint(connection)
        return True

    def _again(
        self, connection: sqlite3.Connection, asked: Row, seen: bytes
    ) -> MaskStep:
        """Return what was said to the same transcript.

        Raises:
            RequisitionRefused: COHORT_CHANGED, ALREADY_OPENED or OUT_OF_ORDER.
        """
        with transaction(connection) as tx:
            row = rows.find(tx, asked.query_id)
            content = rows.vector_of(tx, asked.query_id)
        if row is None or row.attempt != asked.attempt or row.masked is None:
            refuse("OUT_OF_ORDER", "The attempt has ended here.")
        if row.masked.transcript != seen or content is None:
            refuse(*_NOT_AGAIN[row.stage])
        words = np.frombuffer(content, WORD).astype(np.uint64)
        return MaskStep(receipt=row.masked.receipt(self._keys.label), vector=words)


_NOT_AGAIN = {
    Stage.MASKED: ("COHORT_CHANGED", "Another cohort was answered in this attempt."),
    Stage.REVEALED: ("ALREADY_OPENED", "The answer to this query was opened before."),
    Stage.ERASED: ("OUT_OF_ORDER", "The query has ended here."),
}
"""Why a row with an answer has none for a call, by its stage."""


def _ready(row: Row, shown: ReadyLike) -> Ready:
    """Return what a member said; it can only be for this query and attempt."""
    return Ready(
        agency=shown.agency,
        spec_digest=row.spec_digest,
        attempt=row.attempt,
        ephemeral_key=shown.ephemeral_key,
        signature=shown.signature,
    )
