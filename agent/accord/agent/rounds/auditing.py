# SPDX-License-Identifier: Apache-2.0
"""An audit of one round, on the agency's premises: did it send what it counted?

Everything is made again from what cannot have been changed since without a trace: the
counts from the frozen edition, under the documents that the hub-signed requisition
names; the noise from its seed; the masks from the sealed keys. It is compared with the
receipt that this agency signed in the second round. What that receipt's transcript
stands for is made again as well, from keys that every member of the cohort signed for
this question: an answer to another question does not fit. The auditor learns whether
all of it agrees, and the transcript, but never a count. Every audit is remembered,
however it ended.

What lies on this machine cannot show that it is what the hub got. So the transcript and
the receipt's digests are printed: the hub and every other member have them too.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from accord.agent.machine.account import account_name
from accord.agent.rounds import rows
from accord.agent.rounds.record import Record, broken, find_record
from accord.agent.rounds.rows import Masked, Row
from accord.agent.rounds.sealing import unseal
from accord.agent.rounds.vectors import (
    Vector,
    counts,
    digest_of,
    open_edition,
    share,
)
from accord.agent.state import AgentState
from accord.agent.store.editions import edition_folder
from accord.core.errors import (
    AccordError,
    IntegrityError,
    NotFound,
    PreconditionFailed,
)
from accord.core.model import DataModel
from accord.core.placement import NoisePlan
from accord.core.policy import Policy, load_policy_set
from accord.core.terms import Requisition, Terms, noise_plan, terms
from accord.ledger.sqlite import transaction
from accord.rpc.codec import policy_of, requisition_from_bytes, verify_requisition
from accord.secagg.directory import directory_of
from accord.secagg.masks import mask, self_key, vector_bytes
from accord.secagg.member import check_readies
from accord.secagg.messages import (
    Spec,
    check_receipt,
    commit_input,
    seed_commitment,
    transcript,
    vector_digest,
)
from accord.trust.keys import raw_public

AGREES: Final = "agrees"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """A round in which the agency sent what it counted."""

    query_id: str
    agreement: str
    edition: str
    cohort: str
    members: tuple[str, ...]
    attempt: int
    opened: bool
    """Whether the agency's seed went out."""
    transcript: str
    """In hex; the same at the hub and at every member, or it is another round."""
    vector_digest: str
    """Of what this agency sent, in hex, as the hub has it in the receipt."""
    masked_at: datetime.datetime
    at: datetime.datetime

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "query_id": self.query_id,
            "result": AGREES,
            "agreement": self.agreement,
            "edition": self.edition,
            "cohort": self.cohort,
            "members": list(self.members),
            "attempt": self.attempt,
            "opened": self.opened,
            "transcript": self.transcript,
            "vector_digest": self.vector_digest,
            "masked_at": self.masked_at.isoformat(),
            "at": self.at.isoformat(),
        }


def audit(
    state: AgentState, query_id: str, seed: bytes, now: datetime.datetime
) -> Audited:
    """Make a round's vector again and compare it with what was signed.

    Args:
        state: of the agency, which need not be enrolled any more.
        query_id: of the round.
        seed: of the key of audits.
        now: the time in UTC.

    Raises:
        NotFound: AUDIT_QUERY_UNKNOWN
        PreconditionFailed: AUDIT_RECORD_GONE or AUDIT_EDITION_GONE.
        ConfigurationError: AUDIT_KEY_WRONG
        IntegrityError: AUDIT_COMMITMENT_DIFFERS or AUDIT_MASKS_DIFFER;
            AUDIT_RECEIPT_INVALID or AUDIT_RECORD_BROKEN.
    """
    with state.ledger() as connection, transaction(connection) as tx:
        row = rows.find(tx, query_id)
        found = find_record(tx, query_id)
    if row is None:
        raise NotFound(
            "AUDIT_QUERY_UNKNOWN",
            f"This agency has never been ready for a query {query_id}: the id stands"
            " beside the release.",
        )
    try:
        if found is None or row.masked is None:
            raise _gone(query_id)
        done = _Audit(state, row, row.masked, *found).run(seed, now)
    except AccordError as error:
        _remember(state, query_id, error.reason, now)
        raise
    _remember(state, query_id, AGREES, now)
    return done


class _Audit:
    """One audit, put together from what is kept of the round."""

    def __init__(
        self,
        state: AgentState,
        row: Row,
        masked: Masked,
        sealed: bytes,
        documents: Mapping[str, bytes],
    ) -> None:
        self._state = state
        self._row = row
        self._masked = masked
        self._sealed = sealed
        self._documents = documents

    def run(self, seed: bytes, now: datetime.datetime) -> Audited:
        row, masked = self._row, self._masked
        content = unseal(seed, self._sealed, row.query_id, masked.transcript)
        record = Record.from_bytes(content)
        policy, requisition = self._asked()
        members = policy.agreement.cohorts.get(masked.cohort, ())
        agency = _own_label(members, record)
        self._check_receipt(agency, policy)
        found = _terms(policy, requisition)
        plan = noise_plan(policy.agreement, found, requisition.mechanism, len(members))
        self._check_transcript(policy, members, plan, record)
        vector = self._counts(policy, requisition)
        noise = share(plan, record.noise_seed, len(vector))
        self._check_commitment(vector, record)
        self._check_masks(agency, vector + noise, record)
        return Audited(
            query_id=row.query_id,
            agreement=policy.name,
            edition=requisition.query.edition,
            cohort=masked.cohort,
            members=members,
            attempt=row.attempt,
            opened=row.stage is rows.Stage.REVEALED,
            transcript=masked.transcript.hex(),
            vector_digest=masked.vector_digest.hex(),
            masked_at=masked.at,
            at=now,
        )

    def _asked(self) -> tuple[Policy, Requisition]:
        """Return the question and its agreement, as their signatures say."""
        try:
            name, named = policy_of(self._row.payload)
            policies = load_policy_set(self._documents)
            policy = policies.policy(name)
            if policy is None or policy.digest != named or policies.members.hub is None:
                raise broken()
            hub = raw_public(policies.members.hub.key)
            verify_requisition(hub, self._row.payload, self._row.signature)
            model = policy.model

            def find_model(*_named: str) -> DataModel:
                return model

            requisition = requisition_from_bytes(self._row.payload, find_model)
        except AccordError:
            raise broken() from None
        if requisition.query_id != self._row.query_id:
            raise broken()
        return policy, requisition

    def _check_receipt(self, agency: str, policy: Policy) -> None:
        """Compare the receipt's signature with the key that the board listed then."""
        receipt = self._masked.receipt(agency)
        try:
            check_receipt(receipt, self._masked.transcript, directory_of(policy))
        except AccordError:
            raise IntegrityError(
                "AUDIT_RECEIPT_INVALID",
                "The receipt of this round does not have the signature of this agency,"
                " by the key that the board listed then: somebody changed the database"
                " by other means.",
            ) from None

    def _check_transcript(
        self,
        policy: Policy,
        members: Sequence[str],
        plan: NoisePlan,
        record: Record,
    ) -> None:
        """Make the transcript again: this question, attempt, cohort and noise."""
        row, masked = self._row, self._masked
        directory = directory_of(policy)
        spec = Spec(
            query_id=row.query_id,
            payload=row.payload,
            directory_digest=directory.digest,
        )
        readies = record.readies
        try:
            check_readies(spec, row.attempt, readies, members, directory, None)
        except AccordError:
            raise broken() from None
        made = transcript(
            spec.digest, row.attempt, masked.cohort, plan.digest(), readies
        )
        if made != masked.transcript:
            raise broken()

    def _counts(self, policy: Policy, requisition: Requisition) -> Vector:
        folder = self._folder(policy, requisition)
        try:
            day = self._masked.at.date()
            with open_edition(self._state, folder, policy.model, day) as cases:
                found = _terms(policy, requisition)
                return counts(cases, found, requisition.query, policy.model)
        except AccordError as error:
            raise _no_edition(requisition.query.edition, error.sentence) from None

    def _folder(self, policy: Policy, requisition: Requisition) -> Path:
        calendar = policy.agreement.form.editions
        edition = requisition.query.edition
        folder = edition_folder(self._state, calendar.every, calendar.embargo, edition)
        if folder is None:
            raise _no_edition(edition, "It is not held any more.")
        return folder

    def _check_commitment(self, vector: Vector, record: Record) -> None:
        made = commit_input(digest_of(vector), record.noise_seed, record.salt)
        if made != self._masked.input_commitment:
            raise IntegrityError(
                "AUDIT_COMMITMENT_DIFFERS",
                "Counts and noise as they are made now are not those that this agency"
                f" committed to for query {self._row.query_id}: the edition is another"
                " one since, or the agency sent other numbers than it counted.",
            )

    def _check_masks(self, agency: str, vector: Vector, record: Record) -> None:
        masked = self._masked
        own = self_key(record.self_seed, masked.transcript, agency)
        made = mask(vector, own, record.pair_keys, agency)
        promised = seed_commitment(record.self_seed, masked.transcript, agency)
        if (vector_digest(vector_bytes(made)), promised) != (
            masked.vector_digest,
            masked.seed_commitment,
        ):
            raise IntegrityError(
                "AUDIT_MASKS_DIFFER",
                f"What this agency sent for query {self._row.query_id} is not its"
                " counts, its noise and its masks: the sum that was opened is not one"
                " of what agencies counted.",
            )


def _own_label(members: Sequence[str], record: Record) -> str:
    """Return how this agency was called: it has a key with every other member."""
    left = set(members) - set(record.pair_keys)
    if len(left) != 1 or len(members) != len(record.pair_keys) + 1:
        raise broken()
    return left.pop()


def _gone(query_id: str) -> PreconditionFailed:
    return PreconditionFailed(
        "AUDIT_RECORD_GONE",
        f"There is no record of query {query_id}: this agency masked nothing for it,"
        " what it masked was never opened and was erased, or the record is older than"
        " the setting audit.keep_days.",
    )


def _no_edition(edition: str, why: str) -> PreconditionFailed:
    return PreconditionFailed(
        "AUDIT_EDITION_GONE",
        f"The counts of edition {edition} cannot be made again. {why} Restore the"
        " edition from a copy.",
    )


def _remember(
    state: AgentState, query_id: str, result: str, now: datetime.datetime
) -> None:
    with state.ledger() as connection, transaction(connection) as tx:
        tx.execute(
            "INSERT INTO audit (at, query_id, made_by, result)"
            " VALUES (:at, :query_id, :by, :result)",
            {
                "at": now.isoformat(),
                "query_id": query_id,
                "by": account_name(),
                "result": result,
            },
        )


def _terms(policy: Policy, requisition: Requisition) -> Terms:
    return terms(
        policy.agreement, policy.model, requisition.query, requisition.bounding
    )
