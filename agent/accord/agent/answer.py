# SPDX-License-Identifier: Apache-2.0
"""Answering: every check that an agency makes for itself, then the bounded vector.

The hub is believed in nothing that can be checked. In this order: its signature, the
agreement (by digest), the time, the cohort, the agreement's own decision, the terms of
the noise (computed again), the edition, the id, and the agency's own ledger, which is
charged before a record is touched. The first check that fails gives a reason from the
closed list. All of them look at public words and past charges only, so a refusal says
nothing about any record. The same requisition gives the same integers again, free.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

import structlog

from accord.agent.network.worker import AnswerVector
from accord.agent.policies import PolicyCache
from accord.agent.settings import Settings
from accord.agent.spending import charge_once, within_release_cap
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
from accord.core.agreement import Agreement
from accord.core.canonical import digest
from accord.core.decide import Ask, decide
from accord.core.errors import (
    AccordError,
    IntegrityError,
    InvalidQuery,
    RequisitionRefused,
)
from accord.core.model import DataModel
from accord.core.privacy import mechanism_class
from accord.core.terms import Requisition, Terms, terms
from accord.ledger import height
from accord.rpc.codec import HeldEdition, requisition_from_bytes, verify_requisition

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
        hub_key: bytes,
        settings: Settings,
        clock: Clock = utc_now,
    ) -> None:
        """Open nothing yet.

        Args:
            state: store, ledger and policies.
            agency: label of this agency.
            hub_key: Ed25519 key that requisitions must be signed with, 32 bytes.
            settings: the agency's own caps.
            clock: the time in UTC.
        """
        self._state = state
        self._agency = agency
        self._hub_key = hub_key
        self._settings = settings
        self._clock = clock
        self._policies = PolicyCache(state, agency)

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

    def learn(self, path: str, content: bytes) -> None:
        """Take a policy document.

        Raises:
            AccordError: it is not acceptable; the one that was there stays in force.
        """
        self._policies.learn(path, content)

    def known(self) -> Mapping[str, str]:
        """Return path and SHA-256 of the policy documents held."""
        return self._policies.known()

    def ledger_height(self) -> int:
        """Return the number of events in the agency's own ledger."""
        with self._state.ledger() as connection:
            return height(connection)

    def answer(self, payload: bytes, signature: bytes) -> AnswerVector:
        """Return the vector that a requisition asks for, the same at every retry.

        Raises:
            RequisitionRefused: with a reason from the closed list.
        """
        verify_requisition(self._hub_key, payload, signature)
        requisition, agreement, model = self._opened(payload)
        self._check_cohort(requisition, agreement)
        self._check_decision(requisition, agreement, model)
        found = self._check_terms(requisition, agreement, model)
        folder = self._edition(requisition, agreement)
        try:
            columns = Columns.open(folder, model_digest=model.digest)
        except AccordError as error:
            _refuse("STORE_UNAVAILABLE", error.sentence)
        with columns:
            self._pay(requisition, agreement)
            try:
                vector = bounded_vector(
                    columns,
                    found.layout,
                    leaf_filters(requisition.query, model),
                    found.vector,
                )
            except AccordError as error:
                _refuse("STORE_UNAVAILABLE", error.sentence)
        return AnswerVector(vector=vector, layout_digest=requisition.layout_digest)

    def _opened(self, payload: bytes) -> tuple[Requisition, Agreement, DataModel]:
        known: list[tuple[Agreement, DataModel]] = []

        def find_model(
            name: str, agreement_digest: str, model_digest: str
        ) -> DataModel:
            held = self._policies.agreement(name)
            if held is None or held[0].digest != agreement_digest:
                _refuse("AGREEMENT_UNKNOWN", "This agreement is not in force here.")
            if self._agency not in held[0].parties:
                _refuse("AGREEMENT_UNKNOWN", "This agency is no party to it.")
            if held[1].digest != model_digest:
                _refuse("TERMS_MISMATCH", "The data model is another one here.")
            known.append(held)
            return held[1]

        try:
            requisition = requisition_from_bytes(payload, find_model)
        except (IntegrityError, InvalidQuery) as error:
            _refuse("TERMS_MISMATCH", error.sentence)
        agreement, model = known[0]
        if requisition.agreement_version != agreement.form.version:
            _refuse("AGREEMENT_UNKNOWN", "This version is not in force here.")
        if self._clock() >= requisition.expires_at:
            _refuse("EXPIRED", "The requisition came too late.")
        if str(uuid.UUID(requisition.query_id)) != requisition.query_id:
            _refuse("TERMS_MISMATCH", "The id has another spelling than ids have.")
        return requisition, agreement, model

    def _check_cohort(self, requisition: Requisition, agreement: Agreement) -> None:
        members = agreement.cohorts.get(requisition.cohort)
        if members != requisition.members or self._agency not in requisition.members:
            _refuse("COHORT_NOT_PERMITTED", "The agreement lists no such cohort.")

    def _check_decision(
        self, requisition: Requisition, agreement: Agreement, model: DataModel
    ) -> None:
        ask = Ask(
            query=requisition.query,
            analyst=requisition.analyst,
            purpose=requisition.purpose,
            day=self._clock().date(),
        )
        decision = decide(agreement, model, ask)
        if not decision.permitted:
            codes = [reason.code for reason in decision.reasons]
            _refuse("AGREEMENT_DENIES", "The agreement does not allow it.", codes)

    def _check_terms(
        self, requisition: Requisition, agreement: Agreement, model: DataModel
    ) -> Terms:
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

    def _edition(self, requisition: Requisition, agreement: Agreement) -> Path:
        calendar = agreement.form.editions
        folder = edition_folder(
            self._state, calendar.every, calendar.embargo, requisition.query.edition
        )
        if folder is None:
            _refuse("EDITION_MISSING", "This agency has no such edition.")
        return folder

    def _pay(self, requisition: Requisition, agreement: Agreement) -> None:
        """Charge the agency's own ledger, once for each question."""
        charge_once(
            self._state,
            requisition,
            substance=substance_of(requisition),
            agency=self._agency,
            accounting=agreement.accounting,
            settings=self._settings,
            at=self._clock(),
        )


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


def _refuse(reason: str, sentence: str, codes: list[str] | None = None) -> NoReturn:
    raise RequisitionRefused(reason, sentence, codes=",".join(codes or ())) from None
