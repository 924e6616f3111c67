# SPDX-License-Identifier: Apache-2.0
"""Answering: every check that an agency makes for itself, then the bounded vector.

The hub is believed in nothing that can be checked. In this order: its signature, by the
key that the board lists; whether the signed policies can be trusted now; the agreement
and all that it depends on (by digest), the time, the cohort, the agreement's own
decision, the agency's own rules, the terms of the noise (computed again), the edition,
the id, and the agency's own ledger, which is charged before a record is touched. The
first check that fails gives a reason from the closed list. All of them look at public
words and past charges only, so a refusal says nothing about any record. The same
requisition gives the same integers again, free.
"""

from __future__ import annotations

import contextlib
import datetime
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import structlog

from accord.agent.network.worker import AnswerVector
from accord.agent.policies import AgencyPolicies
from accord.agent.rulebook import rules_in_force
from accord.agent.rules import Rule, objections
from accord.agent.settings import Settings
from accord.agent.spending import Bill, charge_once, own_delta, within_release_cap
from accord.agent.state import AgentState
from accord.agent.store.bound import bounded_vector
from accord.agent.store.columns import Columns
from accord.agent.store.editions import (
    calendars,
    edition_folder,
    freeze_due,
    held_editions,
)
from accord.agent.store.entries import leaf_filters
from accord.agent.suspicion import SUSPICIOUS, note_suspicion
from accord.core.canonical import digest
from accord.core.coverage import covering_cohorts
from accord.core.decide import Ask, decide
from accord.core.errors import (
    AccordError,
    IntegrityError,
    InvalidQuery,
    PolicyDenied,
    RequisitionRefused,
)
from accord.core.model import DataModel
from accord.core.policy import Policy
from accord.core.privacy import mechanism_class
from accord.core.terms import Requisition, Terms, terms
from accord.ledger import height
from accord.rpc.codec import (
    HeldEdition,
    policy_of,
    requisition_from_bytes,
    verify_requisition,
)
from accord.trust.keys import text_of
from accord.trust.trusted import Fetch

Clock = Callable[[], datetime.datetime]


def utc_now() -> datetime.datetime:
    """Return the time of this machine."""
    return datetime.datetime.now(datetime.UTC)


class StoreAnswerer:
    """Answers from the frozen editions of one agency; belongs to one thread at a time.

    Satisfies `accord.agent.network.worker.Answerer`.
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
            state: store, ledger, rules and policies.
            agency: label of this agency.
            settings: the agency's own caps.
            clock: the time in UTC.

        Raises:
            ConfigurationError: the agency's key cannot be read.
        """
        self._state = state
        self._agency = agency
        self._settings = settings
        self._clock = clock
        self._own_key = text_of(state.agency_key())
        self._policies = AgencyPolicies(state, agency)

    def editions(self) -> list[HeldEdition]:
        """Freeze what the calendar asks for and return what is held.

        A full disk or a damaged edition does not keep the others from being told.
        """
        due = calendars(self._policies.agreements())
        try:
            freeze_due(self._state, due, self._clock())
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

    def answer(self, payload: bytes, signature: bytes, fetch: Fetch) -> AnswerVector:
        """Return the vector that a requisition asks for, the same at every retry.

        Raises:
            RequisitionRefused: with a reason from the closed list.
        """
        if not self._up_to_date(payload, signature):
            self.refresh(fetch)
        try:
            return self._answer(payload, signature)
        except RequisitionRefused as refused:
            if refused.reason in SUSPICIOUS:
                # The refusal goes out even where it cannot be noted.
                with contextlib.suppress(AccordError):
                    note_suspicion(self._state, refused, self._clock())
            raise

    def _up_to_date(self, payload: bytes, signature: bytes) -> bool:
        """Tell whether newer policies could not make the requisition right."""
        try:
            self._policies.require_trust(self._own_key, self._clock())
            self._verify(payload, signature)
            name, named = policy_of(payload)
        except AccordError:
            return False
        policy = self._policies.policy(name)
        return policy is not None and policy.digest == named

    def _answer(self, payload: bytes, signature: bytes) -> AnswerVector:
        self._verify(payload, signature)
        self._check_trust()
        requisition, policy = self._opened(payload)
        self._check_cohort(requisition, policy)
        self._check_decision(requisition, policy)
        rules = self._check_rules(requisition, policy)
        found = self._check_terms(requisition, policy)
        folder = self._edition(requisition, policy)
        try:
            columns = Columns.open(folder, model_digest=policy.model.digest)
        except AccordError as error:
            _refuse("STORE_UNAVAILABLE", error.sentence)
        with columns:
            self._pay(requisition, policy, rules)
            try:
                vector = bounded_vector(
                    columns,
                    found.layout,
                    leaf_filters(requisition.query, policy.model),
                    found.vector,
                )
            except AccordError as error:
                _refuse("STORE_UNAVAILABLE", error.sentence)
        return AnswerVector(vector=vector, layout_digest=requisition.layout_digest)

    def _verify(self, payload: bytes, signature: bytes) -> None:
        """Raise unless the hub that the board lists has signed a requisition.

        While no board lists any hub, there is nothing that it could be held against;
        `_check_trust` refuses then.
        """
        try:
            key = self._policies.hub_key()
        except AccordError as error:
            _refuse("POLICY_UNTRUSTED", error.sentence, [error.reason])
        if key is not None:
            verify_requisition(key, payload, signature)

    def _check_trust(self) -> None:
        try:
            self._policies.require_trust(self._own_key, self._clock())
        except AccordError as error:
            _refuse("POLICY_UNTRUSTED", error.sentence, [error.reason])

    def _opened(self, payload: bytes) -> tuple[Requisition, Policy]:
        known: list[Policy] = []

        def find_model(
            name: str, agreement_digest: str, model_digest: str
        ) -> DataModel:
            held = self._policies.policy(name)
            if held is None or self._agency not in held.agreement.parties:
                _refuse("AGREEMENT_UNKNOWN", "This agency is in no such agreement.")
            if (held.agreement.digest, held.model.digest) != (
                agreement_digest,
                model_digest,
            ):
                _refuse("POLICY_DIFFERS", "Agreement or data model is another here.")
            known.append(held)
            return held.model

        try:
            requisition = requisition_from_bytes(payload, find_model)
        except (IntegrityError, InvalidQuery) as error:
            _refuse("TERMS_MISMATCH", error.sentence)
        policy = known[0]
        if requisition.agreement_version != policy.agreement.form.version:
            _refuse("POLICY_DIFFERS", "This version is not in force here.")
        if requisition.policy_digest != policy.digest:
            _refuse("POLICY_DIFFERS", "What the agreement depends on is another here.")
        if self._clock() >= requisition.expires_at:
            _refuse("EXPIRED", "The requisition came too late.")
        if str(uuid.UUID(requisition.query_id)) != requisition.query_id:
            _refuse("TERMS_MISMATCH", "The id has another spelling than ids have.")
        return requisition, policy

    def _check_cohort(self, requisition: Requisition, policy: Policy) -> None:
        members = policy.agreement.cohorts.get(requisition.cohort)
        if members != requisition.members or self._agency not in requisition.members:
            _refuse("COHORT_NOT_PERMITTED", "The agreement lists no such cohort.")

    def _check_decision(self, requisition: Requisition, policy: Policy) -> None:
        ask = Ask(
            query=requisition.query,
            analyst=requisition.analyst,
            purpose=requisition.purpose,
            day=self._clock().date(),
        )
        decision = decide(policy, ask)
        if not decision.permitted:
            codes = [reason.code for reason in decision.reasons]
            _refuse("AGREEMENT_DENIES", "The agreement does not allow it.", codes)
        if decision.needs_review:
            codes = ["REVIEW_UNAVAILABLE"]
            _refuse("AGREEMENT_DENIES", "Nobody can review the release yet.", codes)
        if requisition.cohort not in covering_cohorts(policy, requisition.query):
            codes = ["deny.coverage"]
            _refuse("COHORT_NOT_PERMITTED", "Too few members cover a figure.", codes)

    def _check_rules(
        self, requisition: Requisition, policy: Policy
    ) -> tuple[Rule, ...]:
        """Return the agency's own rules, none of which objects."""
        with self._state.ledger() as connection:
            rules = rules_in_force(connection)
        delta = own_delta(policy.agreement, self._settings)
        found = objections(rules, requisition, policy.model, delta)
        if found:
            _refuse("LOCAL_RULE", "A rule of this agency forbids it.", found)
        return rules

    def _check_terms(self, requisition: Requisition, policy: Policy) -> Terms:
        agreement, model = policy.agreement, policy.model
        try:
            found = terms(agreement, model, requisition.query)
            same = (
                isinstance(requisition.mechanism, mechanism_class(agreement.accounting))
                and requisition.layout_digest == found.layout.digest()
                and requisition.loss == found.loss(requisition.mechanism)
            )
        except InvalidQuery as error:
            _refuse("TERMS_MISMATCH", error.sentence)
        if not same:
            _refuse(
                "TERMS_MISMATCH", "Layout, noise or cost are not what they must be."
            )
        if self._settings.unsafe_test_mode:
            return found
        if not within_release_cap(agreement, requisition.loss):
            denied = ["deny.release-cost"]
            _refuse("AGREEMENT_DENIES", "One release may not cost that much.", denied)
        return found

    def _edition(self, requisition: Requisition, policy: Policy) -> Path:
        calendar = policy.agreement.form.editions
        folder = edition_folder(
            self._state, calendar.every, calendar.embargo, requisition.query.edition
        )
        if folder is None:
            _refuse("EDITION_MISSING", "This agency has no such edition.")
        return folder

    def _pay(
        self, requisition: Requisition, policy: Policy, rules: tuple[Rule, ...]
    ) -> None:
        """Charge the agency's own ledger, once for each question."""
        bill = Bill(
            requisition=requisition,
            substance=substance_of(requisition),
            agency=self._agency,
            agreement=policy.agreement,
            settings=self._settings,
            rules=rules,
        )
        charge_once(self._state, bill, self._clock())


def substance_of(requisition: Requisition) -> str:
    """Return the digest of what a requisition asks; its times may change in a retry."""
    return digest(
        {
            "query": requisition.query.key(),
            "agreement": requisition.agreement_digest,
            "model": requisition.model_digest,
            "cohort": requisition.cohort,
            "members": list(requisition.members),
            "mechanism": type(requisition.mechanism).__name__,
            "scale": str(requisition.mechanism.numerator),
            "nano_rho": str(requisition.loss.nano_rho),
            "nano_epsilon": str(requisition.loss.nano_epsilon),
            "layout": requisition.layout_digest,
            "purpose": requisition.purpose,
            "analyst": requisition.analyst.id,
        }
    )


def _refuse(reason: str, sentence: str, codes: Sequence[str] = ()) -> NoReturn:
    raise RequisitionRefused(reason, sentence, codes=",".join(codes)) from None
