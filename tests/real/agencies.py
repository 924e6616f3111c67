# SPDX-License-Identifier: Apache-2.0
"""Agents with real stores in one process: everything but the network between them.

Every agency has a state directory, ingests its own file through the shipped mapping,
believes a board's signed policies, freezes the edition and answers requisitions.
"""

from __future__ import annotations

import dataclasses
import datetime
import gzip
import uuid
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from cryptography.hazmat.primitives.asymmetric import ed25519

from accord.agent.answer import StoreAnswerer
from accord.agent.intake.ingest import ingest
from accord.agent.intake.mapping import load_mapping
from accord.agent.intake.report import Report
from accord.agent.settings import Settings
from accord.agent.state import AgentState
from accord.core.agreement import Agreement
from accord.core.calendar import edition_due
from accord.core.policy import Policy
from accord.core.privacy import Mechanism
from accord.core.query import Query
from accord.core.terms import Requisition, Terms, mechanism_for, terms
from accord.hub.questions.pricing import loss_for
from accord.rpc.codec import requisition_to_bytes, sign_requisition
from accord.trust.trusted import Fetch, Trusted
from tests.policies import fetching, key, served, signed_repository
from tests.real.agreements import (
    ANALYST,
    MODEL_FILE,
    PURPOSE,
    agreement,
    mapping_file,
    shipped_model,
)
from tests.real.published import NRM_PERSONS, nrm_persons
from tests.real.questions import Question
from tests.real.reference import Table
from tests.unit.agent.hub_rounds import HubRounds

Vector = npt.NDArray[np.int64]
NOW = datetime.datetime(2026, 3, 15, 12, tzinfo=datetime.UTC)

CTDC_SHARES = {
    "city-police": 8,
    "labour-inspectorate": 5,
    "shelter-north": 4,
    "national-hotline": 2,
    "health-service": 1,
}
"""Of every twenty records in turn, how many an agency has."""

LARGEST_RESPONDERS = 10


def split_ctdc(file: Path, folder: Path) -> dict[str, Path]:
    """Deal the records of the CTDC file out to five agencies; return their files."""
    owners = [label for label, share in CTDC_SHARES.items() for _ in range(share)]
    with gzip.open(file, "rt", encoding="utf-8", newline="") as lines:
        header, *records = lines.read().splitlines(keepends=True)
    found: dict[str, Path] = {}
    for label in CTDC_SHARES:
        mine = [
            record
            for number, record in enumerate(records)
            if owners[number % len(owners)] == label
        ]
        found[label] = folder / f"{label}.csv"
        found[label].write_text("".join([header, *mine]), encoding="utf-8", newline="")
    return found


def split_nrm(persons: pd.DataFrame, folder: Path) -> dict[str, Path]:
    """Give the ten largest first responders their own files, the rest one together."""
    sizes = persons["first_responder"].value_counts()
    largest = list(sizes.index[:LARGEST_RESPONDERS])
    numbers = {name: number for number, name in enumerate(largest, start=1)}
    owners = persons["first_responder"].map(numbers).fillna(LARGEST_RESPONDERS + 1)
    found: dict[str, Path] = {}
    for number, mine in persons.groupby(owners):
        label = f"responder-{int(number):02d}"
        found[label] = folder / f"{label}.csv"
        mine.to_csv(found[label], index=False)
    return found


def nrm_files(file: Path, folder: Path) -> dict[str, Path]:
    """Expand the published table and write one file for each agency."""
    persons = nrm_persons(file)
    assert len(persons) == NRM_PERSONS
    return split_nrm(persons, folder)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Agency:
    """One agent: what its ingest reported, and what answers for it."""

    report: Report
    answerer: StoreAnswerer
    lifted: StoreAnswerer
    """The same agent in the unsafe test mode, which lifts its own caps."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """The exact sum of all agencies' answers to one question."""

    policy: Policy
    query: Query
    terms: Terms
    vector: Vector = dataclasses.field(repr=False)

    def table(self) -> Table:
        """Return the counts."""
        return decoded(self.vector, self.terms)


class Agencies:
    """All agents of a world, and a hub's signature to ask them with."""

    def __init__(
        self,
        folder: Path,
        mapping: str,
        files: Mapping[str, Path],
        agreements: Iterable[str],
    ) -> None:
        """Ingest every file through the shipped mapping and freeze the edition."""
        self.model = shipped_model()
        self.agreements = {
            found.name: found
            for found in (agreement(text, self.model) for text in agreements)
        }
        self.edition = edition_due(
            next(iter(self.agreements.values())).form.editions.every, 0, NOW.date()
        )
        self._hub = ed25519.Ed25519PrivateKey.generate()
        self._pooled: dict[str, Pooled] = {}
        states = {label: AgentState.create(folder / label) for label in files}
        repository = signed_repository(
            {
                "members.yaml": members_text(states),
                f"models/{self.model.name}.yaml": MODEL_FILE.read_bytes(),
                **{
                    f"agreements/{found.name}.yaml": found.text
                    for found in self.agreements.values()
                },
            },
            hub_key=self._hub,
            freshness_key=key("freshness"),
            agencies={label: state.agency_key() for label, state in states.items()},
            now=NOW,
        )
        self._policies = repository.policies()
        self._fetch: Fetch = fetching(served(repository, key("freshness"), now=NOW))
        self.agencies = {}
        for label, state in states.items():
            Trusted(state.policies, label).pin(repository.root())
            self.agencies[label] = self._joined(state, label, mapping, files[label])

    def _joined(
        self, state: AgentState, label: str, mapping: str, file: Path
    ) -> Agency:
        text = mapping_file(mapping).read_text(encoding="utf-8")
        done = ingest(
            state,
            load_mapping(text, mapping, self.model),
            [file],
            state.settings().ingest,
            NOW,
        )
        answerer = self._answerer(state, label, unsafe=False)
        assert answerer.refresh(self._fetch)
        assert [held.name for held in answerer.editions()] == [self.edition]
        return Agency(
            report=done.report,
            answerer=answerer,
            lifted=self._answerer(state, label, unsafe=True),
        )

    def _answerer(
        self, state: AgentState, label: str, *, unsafe: bool
    ) -> StoreAnswerer:
        return StoreAnswerer(
            state,
            agency=label,
            settings=Settings(unsafe_test_mode=unsafe),
            clock=lambda: NOW,
        )

    def ask(
        self,
        name: str,
        question: Question,
        *,
        epsilon: int = 10_000,
        unsafe: bool = True,
    ) -> Pooled:
        """Have every agency answer, and add the answers up; a repeat asks nobody.

        Args:
            name: the agreement.
            question: what is asked.
            epsilon: what the requisition says that it costs.
            unsafe: lift the agencies' own caps, which 10,000 is far above.
        """
        asked = self.agreements[name]
        query = question.query(name, self.edition, self.model)
        if query.key() in self._pooled:
            return self._pooled[query.key()]
        found = terms(asked, self.model, query)
        mechanism = mechanism_for(asked, found, loss_for(asked, Fraction(epsilon)))
        payload = requisition_to_bytes(self._requisition(asked, query, mechanism))
        signature = sign_requisition(self._hub, payload)
        hub = HubRounds(
            {
                label: agency.lifted if unsafe else agency.answerer
                for label, agency in self.agencies.items()
            },
            self._fetch,
        )
        # With `noise: hub` the sum that opens is exact.
        opened = hub.whole((payload, signature), "all", sorted(self.agencies)).sum()
        assert opened.shape == (found.layout.size,)
        policy = self._policies.policy(name)
        assert policy is not None
        pooled = Pooled(policy=policy, query=query, terms=found, vector=opened)
        self._pooled[query.key()] = pooled
        return pooled

    def _requisition(
        self, asked: Agreement, query: Query, mechanism: Mechanism
    ) -> Requisition:
        found = terms(asked, self.model, query)
        policy = self._policies.policy(asked.name)
        assert policy is not None
        return Requisition(
            query_id=str(uuid.uuid4()),
            query=query,
            agreement_version=asked.form.version,
            agreement_digest=asked.digest,
            model_digest=self.model.digest,
            policy_digest=policy.digest,
            cohort="all",
            members=asked.cohorts["all"],
            mechanism=mechanism,
            loss=found.loss(mechanism),
            layout_digest=found.layout.digest(),
            purpose=PURPOSE,
            analyst=ANALYST,
            issued_at=NOW,
            expires_at=NOW + datetime.timedelta(minutes=10),
        )


def members_text(labels: Iterable[str]) -> str:
    """Return a list of members, without keys, whose lifetime is no limit here."""
    lines = ["network: real-data", "members:"]
    for label in labels:
        lines += [
            f"  {label}:",
            f"    name: The agency {label}",
            "    remit: {description: whatever it has cases of}",
            "    lifetime: {zcdp: {epsilon: 1000, delta: 1e-9}, pure: {epsilon: 1000}}",
        ]
    return "\n".join(lines) + "\n"


def decoded(vector: Vector, found: Terms) -> Table:
    """Return the counts that an exact vector stands for."""
    cells, scale = vector[:-2], found.vector.slots[0].scale
    assert not (cells % scale).any()
    return Table(
        cells={
            names: int(stored) // scale
            for names, stored in zip(found.layout.cells(), cells, strict=True)
            if stored
        },
        persons=int(vector[-2]),
        dropped=int(vector[-1]),
    )
