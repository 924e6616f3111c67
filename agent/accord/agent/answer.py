# SPDX-License-Identifier: Apache-2.0
"""This agency's side of every question: what is checked, computed, masked and kept.

One question takes three steps (`ready`, `mask`, `reveal`), each in a module of its own
below `accord.agent.rounds`; this puts them together. Before each step the state must be
the newest there ever was, and after a refusal that an honest hub gives no cause for,
staff can read about it. The same message gets the same answer again, free, for as long
as its query lasts.
"""

from __future__ import annotations

import contextlib
import datetime
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final

import structlog

from accord.agent.approvals.decisions import Approvals
from accord.agent.forgetting.upkeep import keep_up
from accord.agent.freezing import origin_of
from accord.agent.policies import AgencyPolicies
from accord.agent.rounds import approval, fence, history, rows
from accord.agent.rounds.checks import Checks, Clock, refuse
from accord.agent.rounds.ending import Ending
from accord.agent.rounds.masking import Masking
from accord.agent.rounds.opening import Opening
from accord.agent.rounds.pairs import Pairs
from accord.agent.rounds.ready import Readying
from accord.agent.rounds.rows import Row, Stage
from accord.agent.rounds.steps import (
    ErasedStep,
    MaskStep,
    ReadyLike,
    ReadyStep,
    Request,
)
from accord.agent.settings import Settings
from accord.agent.state import AgentState
from accord.agent.store.editions import calendars, freeze_due, held_editions
from accord.agent.witness.countersigning import Page
from accord.agent.witness.ledgers import LedgerContact
from accord.agent.witness.log import Growth, Witness, accepted
from accord.agent.witness.suspicion import SUSPICIOUS, note_suspicion
from accord.core.errors import AccordError, PolicyDenied, RequisitionRefused
from accord.core.privacy import Loss
from accord.ledger import height
from accord.ledger.sqlite import transaction
from accord.merkle.heads import SignedHead, Witnessed
from accord.rpc.codec import HeldEdition, query_id_of
from accord.secagg.directory import directory_of
from accord.secagg.keys import Directory, Encapsulation
from accord.secagg.messages import Ready, Receipt
from accord.trust.trusted import Fetch

_OF_ANOTHER_STEP: Final = frozenset(
    {"ALREADY_OPENED", "ID_REUSED", "OUT_OF_ORDER", "STATE_RESTORED"}
)
"""Refusals that say nothing of the question, which this agency may know already."""


def utc_now() -> datetime.datetime:
    """Return the time of this machine."""
    return datetime.datetime.now(datetime.UTC)


class StoreAnswerer:
    """Answers from the frozen editions of one agency; belongs to one thread at a time.

    Satisfies `accord.agent.rounds.steps.Answerer`. Other processes may work on the same
    state: they say the same.
    """

    def __init__(
        self,
        state: AgentState,
        *,
        agency: str,
        settings: Settings,
        clock: Clock = utc_now,
    ) -> None:
        """Open nothing yet but the agency's key.

        Args:
            state: store, ledger, rounds, rules and policies.
            agency: label of this agency.
            settings: the agency's own caps.
            clock: the time in UTC.

        Raises:
            ConfigurationError: the agency's key cannot be read.
        """
        keys = state.secret_keys(agency)
        self._state = state
        self._agency = agency
        self._settings = settings
        self._clock = clock
        self._checks = Checks(state, keys=keys, settings=settings, clock=clock)
        self._pairs = Pairs(keys, clock)
        self._readying = Readying(
            state,
            keys=keys,
            checks=self._checks,
            pairs=self._pairs,
            rule=settings.approval,
            clock=clock,
        )
        self._approvals = Approvals(state, settings.approval, clock)
        self._masking = Masking(
            state, keys=keys, checks=self._checks, pairs=self._pairs, clock=clock
        )
        self._opening = Opening(state, keys=keys, checks=self._checks, clock=clock)
        self._ending = Ending(
            keys=keys, keep_days=settings.audit.keep_days, clock=clock
        )
        self._witness = Witness(keys, clock)
        self._contact = LedgerContact(state, keys, clock)

    @property
    def _policies(self) -> AgencyPolicies:
        return self._checks.policies

    def editions(self) -> list[HeldEdition]:
        """Freeze what the calendar asks for and return what is held.

        A full disk or a damaged edition does not keep the others from being told.
        """
        due = calendars(self._policies.agreements())
        now = self._clock()
        try:
            keep_up(self._state, self._settings, now)
        except AccordError as error:
            structlog.get_logger().warning("edition.delayed", reason=error.reason)
        try:
            origin = origin_of(self._state, self._settings, now)
            freeze_due(self._state, due, now, origin)
        except AccordError as error:
            structlog.get_logger().warning("edition.delayed", reason=error.reason)
        held = held_editions(self._state, skip_broken=True)
        return [edition.held for edition in held]

    def refresh(self, fetch: Fetch) -> bool:
        """Ask for newer policies and return whether there were any; never raises.

        What is not believed leaves the accepted policies as they are, and the agent
        answers nothing until an offer is believed again.
        """
        log = structlog.get_logger()
        try:
            changed = self._policies.refresh(fetch, self._clock())
        except PolicyDenied as error:
            log.warning("policy.refused", reason=error.reason)
            return False
        except AccordError as error:
            log.warning("policy.delayed", reason=error.reason)
            return False
        view = self._policies.view()
        if changed and view is not None:
            log.info("policy.accepted", policy_version=view.version)
        return changed

    def ledger_height(self) -> int:
        """Return the number of events in the agency's own ledger."""
        with self._state.ledger() as connection:
            return height(connection)

    def state_sequence(self) -> int:
        """Return how many steps in rounds this agent's state has taken."""
        with self._state.ledger() as connection:
            found = fence.standing(self._state, connection)
        _tell(restored=found.restored)
        return found.sequence

    def charged(self) -> Loss:
        """Return what this agency can prove that its own ledger has charged, ever."""
        return self._contact.charged()

    def compare(self, charged: Loss, held: Loss | None) -> None:
        """Answer nothing from here on if the hub holds less than was charged."""
        self._contact.compare(charged, held)

    def proven(self, *, since: int, beyond: int) -> Page | None:
        """Return some of the charges that this agency proves, under its signature."""
        return self._contact.proven(since=since, beyond=beyond)

    def heard_of(self, sequence: int) -> None:
        """Note the highest sequence that the hub has heard from this agency."""
        with self._state.ledger() as connection:
            restored = fence.heard_of(self._state, connection, sequence)
        _tell(restored=restored)

    def log_seen(self) -> SignedHead | None:
        """Return the newest head of the hub's log that this agency has accepted."""
        with self._state.ledger() as connection:
            return accepted(connection)

    def greet(self, shown: SignedHead | None, growth: Growth) -> Witnessed | None:
        """Hold the first head of a stream against `log_seen`; cosign what follows it.

        Raises:
            Unreachable: LOG_MOVED, a new stream is needed.
        """
        with self._state.ledger() as connection:
            found = self._witness.greet(connection, self._hub_key(), shown, growth)
        self._tell_log()
        return found

    def grown(self, shown: SignedHead, growth: Growth) -> Witnessed | None:
        """Hold a later head of a stream against `log_seen`; cosign what follows it."""
        with self._state.ledger() as connection:
            found = self._witness.grown(connection, self._hub_key(), shown, growth)
        self._tell_log()
        return found

    def _hub_key(self) -> bytes | None:
        """Return the key that the board lists for the hub, where policies can be read.

        Where they cannot, nothing is answered anyway.
        """
        try:
            return self._policies.hub_key()
        except AccordError:
            return None

    def _tell_log(self) -> None:
        """Say in the log why nothing is answered."""
        try:
            with self._state.ledger() as connection:
                self._witness.require(connection)
        except RequisitionRefused as error:
            structlog.get_logger().error("log.untrusted", reason=error.reason)

    def encapsulations(self) -> tuple[Encapsulation, ...]:
        """Return all that this agency is the sender of, made once and kept.

        There may be more after every refresh, also after one that `ready` made.
        """
        with self._state.ledger() as connection:
            return self._pairs.sent(connection, self._directories())

    def unopened(self) -> tuple[tuple[str, Ready], ...]:
        """Return what was said in the first round of queries that are masked yet.

        Each of them holds a reservation. A hub that ended one while this agent was away
        never says so by itself. A restored copy asks nothing, since it could not act.
        """
        with self._state.ledger() as connection:
            if fence.standing(self._state, connection).restored:
                return ()
            with transaction(connection) as tx:
                found = rows.open_rows(tx)
        return tuple(
            (row.query_id, row.ready(self._agency))
            for row in found
            if row.masked is not None
        )

    def ready(
        self, payload: bytes, signature: bytes, attempt: int, fetch: Fetch
    ) -> ReadyStep:
        """Return the ready of an attempt, the same at every retry.

        Raises:
            RequisitionRefused: with a reason from the closed list.
            AccordError: staff has to mend something.
        """
        try:
            with self._step() as connection:
                if not self._checks.up_to_date(payload, signature):
                    self.refresh(fetch)
                return self._readying.ready(connection, payload, signature, attempt)
        except AccordError as error:
            # As the hub is told it; that goes out even where nothing can be written.
            declined = isinstance(error, RequisitionRefused)
            reason = error.reason if declined else "STORE_UNAVAILABLE"
            with contextlib.suppress(AccordError):
                self._keep_refusal(payload, signature, reason)
                if reason == "APPROVAL_AWAITED":
                    self._approvals.remind()
            raise

    def _keep_refusal(self, payload: bytes, signature: bytes, reason: str) -> None:
        """Keep what the hub asked in vain, if the hub of the board's list has."""
        if reason in _OF_ANOTHER_STEP or self._policies.hub_key() is None:
            return
        self._checks.verify(payload, signature)
        query_id = query_id_of(payload)
        with self._state.ledger() as connection, transaction(connection) as tx:
            history.refused(tx, query_id, payload, signature, reason, self._clock())

    def decided(self) -> tuple[Request, ...]:
        """Return what people have decided on since, each once."""
        return self._approvals.decided()

    def mask(
        self,
        query_id: str,
        attempt: int,
        cohort: str,
        readies: Sequence[ReadyLike],
        encapsulations: Sequence[Encapsulation],
    ) -> MaskStep:
        """Return receipt and masked vector, the same whenever the cohort is the same.

        Raises:
            RequisitionRefused: with a reason from the closed list.
        """
        with self._step() as connection:
            row = self._row(connection, query_id, attempt)
            return self._masking.mask(connection, row, cohort, readies, encapsulations)

    def reveal(self, query_id: str, attempt: int, receipts: Sequence[Receipt]) -> bytes:
        """Return the seed of this agency's own mask, the same at every retry.

        Raises:
            RequisitionRefused: with a reason from the closed list.
        """
        with self._step() as connection:
            row = self._row(connection, query_id, attempt)
            return self._opening.reveal(connection, row, receipts)

    def settle(self, query_ids: Sequence[str]) -> tuple[ErasedStep, ...]:
        """Erase what is kept for queries that have ended; say what can never open.

        A restored copy erases nothing and says nothing: what it believes to be closed
        may have been opened since.
        """
        with self._state.ledger() as connection:
            if fence.standing(self._state, connection).restored:
                return ()
            with transaction(connection) as tx:
                approval.end(tx, query_ids, self._clock())
            return self._ending.settle(connection, query_ids)

    def expire(self) -> None:
        """Erase what has expired, and remind people; called now and then."""
        self._approvals.remind()
        with self._state.ledger() as connection:
            if not fence.standing(self._state, connection).restored:
                self._ending.expire(connection)

    def _directories(self) -> Iterator[Directory]:
        """Yield the members of every agreement that this agency is a party of."""
        for policy in self._policies.policies():
            try:
                yield directory_of(policy)
            except AccordError as error:
                structlog.get_logger().warning("policy.refused", reason=error.reason)

    def _row(self, connection: sqlite3.Connection, query_id: str, attempt: int) -> Row:
        """Return the row of a query that can still be answered, at this attempt.

        Raises:
            RequisitionRefused: OUT_OF_ORDER, ALREADY_OPENED or EXPIRED.
        """
        with transaction(connection) as tx:
            row = rows.find(tx, query_id)
        if row is None:
            refuse("OUT_OF_ORDER", "This agency is not in a round of this query.")
        if self._clock() >= row.expires_at:
            refuse("EXPIRED", "The query has expired.")
        if row.stage is Stage.ERASED:
            refuse("OUT_OF_ORDER", "The query has ended here.")
        if row.attempt != attempt and row.stage is Stage.REVEALED:
            refuse("ALREADY_OPENED", "The answer to this query was opened before.")
        if row.attempt != attempt:
            refuse("OUT_OF_ORDER", "Another attempt has begun, or this one has not.")
        return row

    @contextlib.contextmanager
    def _step(self) -> Iterator[sqlite3.Connection]:
        """Take one step on the newest state; remember why it was refused."""
        try:
            with self._state.ledger() as connection:
                fence.require_newest(self._state, connection)
                self._witness.require(connection)
                self._contact.require_whole()
                yield connection
        except RequisitionRefused as refused:
            # The refusal goes out even where nothing can be written.
            with contextlib.suppress(AccordError):
                if refused.reason in SUSPICIOUS:
                    note_suspicion(self._state, refused, self._clock())
                if refused.reason == "EXPIRED":
                    self.expire()
            raise


def _tell(*, restored: bool) -> None:
    """Say in the log, at each contact, why nothing is answered."""
    if restored:
        structlog.get_logger().error("state.restored", reason="STATE_RESTORED")
