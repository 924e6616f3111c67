# SPDX-License-Identifier: Apache-2.0
"""Every check that an agency makes for itself before it takes a step.

The hub is believed in nothing that can be checked. In this order: its signature, by the
key that the board lists; whether the signed policies can be trusted now; the agreement
and all that it depends on (by digest), the time, the cohort, the agreement's own
decision, the agency's own rules, what its people have declined, the terms of the noise
(computed again) and the edition. The first check that fails gives a reason from the
closed list. All of them look at public words and past charges only, so a refusal says
nothing about any record. They are made again at each step: what the board or this
agency's staff changed between two of them counts.
"""

from __future__ import annotations

import dataclasses
import datetime
import sqlite3
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

from accord.agent.policies import AgencyPolicies
from accord.agent.rounds import approval, fence
from accord.agent.rounds.vectors import open_edition
from accord.agent.rules.rulebook import rules_in_force
from accord.agent.rules.rules import Rule, objections
from accord.agent.settings import Settings
from accord.agent.spending import Bill, own_delta, within_release_cap
from accord.agent.state import AgentState
from accord.agent.store.editions import edition_folder
from accord.core.agreement_form import LEAST_HONEST
from accord.core.canonical import digest
from accord.core.coverage import covering_cohorts
from accord.core.decide import Ask, decide
from accord.core.errors import (
    AccordError,
    IntegrityError,
    InvalidQuery,
    RequisitionRefused,
)
from accord.core.model import DataModel
from accord.core.placement import NoisePlan
from accord.core.policy import Policy
from accord.core.privacy import mechanism_class
from accord.core.terms import Requisition, Terms, noise_plan, terms
from accord.ledger.sqlite import transaction
from accord.rpc.codec import policy_of, requisition_from_bytes, verify_requisition
from accord.secagg.directory import directory_of
from accord.secagg.keys import Directory, SecretKeys
from accord.secagg.messages import Spec

if TYPE_CHECKING:
    from accord.agent.rounds.vectors import Cases

Clock = Callable[[], datetime.datetime]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A requisition against which nothing speaks, with what it is held against."""

    requisition: Requisition
    policy: Policy
    rules: tuple[Rule, ...]
    terms: Terms
    directory: Directory
    spec: Spec


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """Agencies that may answer together, and the noise that goes with them."""

    name: str
    members: tuple[str, ...]
    """Sorted."""
    plan: NoisePlan


class Checks:
    """Checks of one agency; belongs to one thread at a time."""

    def __init__(
        self,
        state: AgentState,
        *,
        keys: SecretKeys,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._state = state
        self._keys = keys
        self._settings = settings
        self._clock = clock
        self.policies = AgencyPolicies(state, keys.label)

    def up_to_date(self, payload: bytes, signature: bytes) -> bool:
        """Tell whether newer policies could not make the requisition right."""
        try:
            self.policies.require_trust(self._keys.public, self._clock())
            self.verify(payload, signature)
            name, named = policy_of(payload)
        except AccordError:
            return False
        policy = self.policies.policy(name)
        return policy is not None and policy.digest == named

    def verify(self, payload: bytes, signature: bytes) -> None:
        """Raise unless the hub that the board lists has signed a requisition.

        While no board lists any hub, there is nothing that it could be held against;
        `examine` refuses then.

        Raises:
            RequisitionRefused: SIGNATURE_INVALID or POLICY_UNTRUSTED.
        """
        try:
            key = self.policies.hub_key()
        except AccordError as error:
            refuse("POLICY_UNTRUSTED", error.sentence, [error.reason])
        if key is not None:
            verify_requisition(key, payload, signature)

    def examine(self, connection: sqlite3.Connection, payload: bytes) -> Examined:
        """Make all checks of a requisition but those of store and ledger.

        Args:
            connection: to the agency's own rules.
            payload: exactly the bytes that the hub signed.

        Raises:
            RequisitionRefused: with the reason of the first check that fails.
        """
        self._check_trust()
        requisition, policy = self._opened(payload)
        standing = fence.standing(self._state, connection)
        fence.require_after(standing.confirmed_at, requisition.issued_at)
        self._check_members(requisition, policy)
        self._check_decision(requisition, policy)
        with transaction(connection) as tx:
            rules = rules_in_force(tx)
            approval.require_not_declined(tx, requisition.query_id)
        self._check_objections(requisition, policy, rules)
        found = self._check_terms(requisition, policy)
        try:
            directory = directory_of(policy)
        except AccordError as error:
            refuse("POLICY_UNTRUSTED", error.sentence, [error.reason])
        return Examined(
            requisition=requisition,
            policy=policy,
            rules=rules,
            terms=found,
            directory=directory,
            spec=Spec(
                query_id=requisition.query_id,
                payload=payload,
                directory_digest=directory.digest,
            ),
        )

    def cohort(self, examined: Examined, name: str) -> Cohort:
        """Check agencies that would answer together, and plan their noise.

        Raises:
            RequisitionRefused: COHORT_NOT_PERMITTED, COHORT_TOO_SMALL, LOCAL_RULE, or
                TERMS_MISMATCH where there is no such noise.
        """
        policy, requisition = examined.policy, examined.requisition
        members = policy.agreement.cohorts.get(name)
        if (
            members is None
            or self._keys.label not in members
            or not set(members) <= set(requisition.members)
        ):
            refuse("COHORT_NOT_PERMITTED", "The agreement lists no such cohort.")
        if name not in covering_cohorts(policy, requisition.query):
            codes = ["deny.coverage"]
            refuse("COHORT_NOT_PERMITTED", "Too few members cover a figure.", codes)
        protect = policy.agreement.form.protect
        hidden = len(members) - protect.colluding_at_most
        if len(members) < protect.at_least_agencies or hidden < LEAST_HONEST:
            refuse("COHORT_TOO_SMALL", "The cohort is too small to hide one of it.")
        smaller = dataclasses.replace(requisition, cohort=name, members=members)
        self._check_objections(smaller, policy, examined.rules)
        try:
            plan = noise_plan(
                policy.agreement, examined.terms, requisition.mechanism, len(members)
            )
        except InvalidQuery as error:
            refuse("TERMS_MISMATCH", error.sentence, [error.reason])
        return Cohort(name=name, members=members, plan=plan)

    def edition(self, examined: Examined, today: datetime.date) -> Cases:
        """Open the edition that is asked for; no record is touched.

        Args:
            examined: what asks for it.
            today: cases whose consent has ended by then count in nothing.

        Raises:
            RequisitionRefused: EDITION_MISSING or STORE_UNAVAILABLE.
        """
        calendar = examined.policy.agreement.form.editions
        folder = edition_folder(
            self._state,
            calendar.every,
            calendar.embargo,
            examined.requisition.query.edition,
        )
        if folder is None:
            refuse("EDITION_MISSING", "This agency has no such edition.")
        try:
            return open_edition(self._state, folder, examined.policy.model, today)
        except AccordError as error:
            if not folder.exists():  # somebody has left it meanwhile
                return self.edition(examined, today)
            refuse("STORE_UNAVAILABLE", error.sentence)

    def bill(self, examined: Examined) -> Bill:
        """Return what the requisition costs this agency, and the limits for it."""
        return Bill(
            requisition=examined.requisition,
            agency=self._keys.label,
            agreement=examined.policy.agreement,
            settings=self._settings,
            rules=examined.rules,
        )

    def _check_trust(self) -> None:
        try:
            self.policies.require_trust(self._keys.public, self._clock())
        except AccordError as error:
            refuse("POLICY_UNTRUSTED", error.sentence, [error.reason])

    def _opened(self, payload: bytes) -> tuple[Requisition, Policy]:
        known: list[Policy] = []

        def find_model(
            name: str, agreement_digest: str, model_digest: str
        ) -> DataModel:
            held = self.policies.policy(name)
            if held is None or self._keys.label not in held.agreement.parties:
                refuse("AGREEMENT_UNKNOWN", "This agency is in no such agreement.")
            if (held.agreement.digest, held.model.digest) != (
                agreement_digest,
                model_digest,
            ):
                refuse("POLICY_DIFFERS", "Agreement or data model is another here.")
            known.append(held)
            return held.model

        try:
            requisition = requisition_from_bytes(payload, find_model)
        except (IntegrityError, InvalidQuery) as error:
            refuse("TERMS_MISMATCH", error.sentence)
        policy = known[0]
        if requisition.agreement_version != policy.agreement.form.version:
            refuse("POLICY_DIFFERS", "This version is not in force here.")
        if requisition.policy_digest != policy.digest:
            refuse("POLICY_DIFFERS", "What the agreement depends on is another here.")
        if self._clock() >= requisition.expires_at:
            refuse("EXPIRED", "The requisition came too late.")
        if str(uuid.UUID(requisition.query_id)) != requisition.query_id:
            refuse("TERMS_MISMATCH", "The id has another spelling than ids have.")
        return requisition, policy

    def _check_members(self, requisition: Requisition, policy: Policy) -> None:
        members = policy.agreement.cohorts.get(requisition.cohort)
        if members != requisition.members or self._keys.label not in members:
            refuse("COHORT_NOT_PERMITTED", "The agreement lists no such cohort.")

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
            refuse("AGREEMENT_DENIES", "The agreement does not allow it.", codes)
        if requisition.cohort not in covering_cohorts(policy, requisition.query):
            codes = ["deny.coverage"]
            refuse("COHORT_NOT_PERMITTED", "Too few members cover a figure.", codes)

    def _check_objections(
        self, requisition: Requisition, policy: Policy, rules: Sequence[Rule]
    ) -> None:
        delta = own_delta(policy.agreement, self._settings)
        found = objections(rules, requisition, policy.model, delta)
        if found:
            refuse("LOCAL_RULE", "A rule of this agency forbids it.", found)

    def _check_terms(self, requisition: Requisition, policy: Policy) -> Terms:
        agreement, model = policy.agreement, policy.model
        try:
            found = terms(agreement, model, requisition.query, requisition.bounding)
            same = (
                isinstance(requisition.mechanism, mechanism_class(agreement.accounting))
                and requisition.layout_digest == found.layout.digest()
                and requisition.loss == found.loss(requisition.mechanism)
            )
        except InvalidQuery as error:
            refuse("TERMS_MISMATCH", error.sentence)
        if not same:
            refuse("TERMS_MISMATCH", "Layout, noise or cost are not what they must be.")
        if self._settings.unsafe_test_mode:
            return found
        if not within_release_cap(agreement, requisition.loss):
            denied = ["deny.release-cost"]
            refuse("AGREEMENT_DENIES", "One release may not cost that much.", denied)
        return found


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
            "bounding": requisition.bounding.value,
            "purpose": requisition.purpose,
            "analyst": requisition.analyst.id,
        }
    )


def refuse(reason: str, sentence: str, codes: Sequence[str] = ()) -> NoReturn:
    """Refuse with a reason from the closed list."""
    raise RequisitionRefused(reason, sentence, codes=",".join(codes)) from None
