# SPDX-License-Identifier: Apache-2.0
"""Asks every bulletin once for every edition that ends one of its periods.

The id of a bulletin's question follows from network, agreement, name, edition and
attempt under the hub's own key, and asking is idempotent by id: a hub that was killed,
or several that serve one database, ask once and pay once. Nobody else can work an id
out, and take it before the hub does. A question that ended without a release is asked
again under the next attempt's id, a few times; one that was refused is looked at again
some hours later. Nobody's records decide on any of this.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import uuid
from collections.abc import Callable, Iterator
from typing import Final

import structlog

from accord.core.agreement import Agreement
from accord.core.agreement_form import AgreementForm, Bulletin
from accord.core.bulletins import ASKER, due, groups_of, purpose_of
from accord.core.decide import Analyst
from accord.core.errors import AccordError, PreconditionFailed
from accord.hub.governance.standing import Standing
from accord.hub.identity.authority import Authority
from accord.hub.policies import Policies
from accord.hub.questions.asking import Desk
from accord.hub.questions.planning import common_editions
from accord.hub.rounds.submissions import SubmissionState
from accord.v1 import analyst_pb2, common_pb2

LOOK_SECONDS: Final = 10.0
"""How often a hub looks whether agencies have a new edition."""

MOST_ATTEMPTS: Final = 5
"""Times that one bulletin is asked of agencies that do not answer."""

AGAIN_AFTER: Final = dt.timedelta(hours=6)
"""Wait after a question that was refused or ended without a release."""

_CONTEXT: Final = b"accord.bulletin.v1"
"""Stands before the place in what is signed, so that no other bytes fit."""


class Bulletins:
    """Asks what is due, for as long as the hub serves."""

    def __init__(
        self,
        desk: Desk,
        standing: Standing,
        authority: Authority,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """Keep where to ask; nothing is due before `run`."""
        self._desk = desk
        self._key = authority.requisition_key
        self._standing = standing
        self._clock = clock
        self._again: dict[str, dt.datetime] = {}
        self._log = structlog.get_logger()

    async def run(self) -> None:
        """Ask what is due, for ever."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Ask what is due now and was not asked yet."""
        try:
            policies = self._standing.now()
        except PreconditionFailed:
            return  # no policies are in force
        for agreement in self._scheduling(policies):
            try:
                await self._ask_due(policies, agreement)
            except AccordError as error:
                self._log.warning(
                    "bulletin.delayed", agreement=agreement.name, reason=error.reason
                )

    def _scheduling(self, policies: Policies) -> Iterator[Agreement]:
        today = self._clock().date()
        for _, agreement in sorted(policies.agreements.items()):
            valid = agreement.form.valid
            if agreement.form.bulletins and valid.first <= today <= valid.until:
                yield agreement

    async def _ask_due(self, policies: Policies, agreement: Agreement) -> None:
        model = policies.policy(agreement.name).model
        announced = await self._desk.announced(agreement)
        largest = next(iter(agreement.cohorts))
        editions = common_editions(agreement, model, announced, largest)
        if not editions:
            return
        network = policies.members.network
        for name, bulletin in due(agreement.form, editions[0]).items():
            place = "/".join((network, agreement.name, name, editions[0]))
            identifier = await self._open_attempt(place)
            if identifier is not None:
                request = _request(agreement.form, bulletin, editions[0], identifier)
                await self._ask(agreement, name, request)

    async def _open_attempt(self, place: str) -> str | None:
        """Return the id of the attempt to make; nothing where none is due."""
        for attempt in range(MOST_ATTEMPTS):
            identifier = self._identifier(f"{place}/{attempt}")
            known = await self._desk.find(identifier)
            if known is None:
                soonest = self._again.get(identifier)
                due_now = soonest is None or self._clock() >= soonest
                return identifier if due_now else None
            if known.state is not SubmissionState.FAILED:
                return None
            if self._clock() < known.created_at + AGAIN_AFTER:
                return None
        return None

    def _identifier(self, place: str) -> str:
        """Return the id of an attempt: of a signature, which is the same every time."""
        signed = self._key.sign(_CONTEXT + place.encode())
        return str(uuid.UUID(bytes=hashlib.sha256(signed).digest()[:16], version=4))

    async def _ask(
        self, agreement: Agreement, name: str, request: analyst_pb2.SubmitQueryRequest
    ) -> None:
        try:
            await self._desk.submit(_asker(agreement.form, name), request)
        except AccordError as error:
            self._again[request.id] = self._clock() + AGAIN_AFTER
            self._log.warning(
                "bulletin.refused", agreement=agreement.name, reason=error.reason
            )
            return
        self._log.info("bulletin.asked", agreement=agreement.name)


def _asker(form: AgreementForm, name: str) -> Analyst:
    """Return who asks: nobody, in the name of the agreement's recipients."""
    return Analyst(
        id=f"{ASKER}{name}",
        organisation=form.recipients.organisations[0],
        roles=frozenset(form.recipients.roles),
    )


def _request(
    form: AgreementForm, bulletin: Bulletin, edition: str, identifier: str
) -> analyst_pb2.SubmitQueryRequest:
    return analyst_pb2.SubmitQueryRequest(
        id=identifier,
        query=common_pb2.Query(
            agreement=form.agreement,
            edition=edition,
            measure=bulletin.measure,
            group_by=[
                common_pb2.Grouping(dimension=name, level=level or "")
                for name, level in groups_of(bulletin)
            ],
            where=[
                common_pb2.Filter(dimension=name, values=values)
                for name, values in sorted(bulletin.where.items())
            ],
        ),
        spending=analyst_pb2.Spending(epsilon=float(bulletin.epsilon)),
        purpose=purpose_of(form, bulletin),
    )
