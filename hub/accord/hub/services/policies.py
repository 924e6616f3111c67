# SPDX-License-Identifier: Apache-2.0
"""Boards over TLS with a bearer token: signed files, proposals, what was asked.

To call is no power: a change is in force when enough signatures say so, whoever brings
it, and the callers verify on their own machines what they fetch.
"""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from accord.core.errors import NotFound
from accord.hub.db.engine import Store
from accord.hub.governance import proposals
from accord.hub.governance.proposals import Known
from accord.hub.governance.standing import Prepared, Standing
from accord.hub.governance.watch import Watch
from accord.hub.questions import asked
from accord.hub.releases.reading import page_number
from accord.hub.services.callers import Callers
from accord.trust.proposal_file import from_file
from accord.v1 import policy_pb2, policy_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]


class PolicyService(policy_pb2_grpc.PolicyServiceServicer):
    """Serves whoever has a token with the role of the board."""

    def __init__(
        self,
        *,
        store: Store,
        callers: Callers,
        standing: Standing,
        watch: Watch,
    ) -> None:
        """Keep what changes are made with."""
        self._store = store
        self._callers = callers
        self._standing = standing
        self._watch = watch

    async def FetchPolicyFile(
        self, request: policy_pb2.FetchPolicyFileRequest, context: Context
    ) -> policy_pb2.FetchPolicyFileResponse:
        """Give a signed file."""
        await self._callers.board_member(context)
        content = self._standing.file(request.name)
        return policy_pb2.FetchPolicyFileResponse(content=content)

    async def ListProposals(
        self, request: policy_pb2.ListProposalsRequest, context: Context
    ) -> policy_pb2.ListProposalsResponse:
        """List what waits for signatures, then what was published."""
        await self._callers.board_member(context)

        def look() -> list[Known]:
            with self._store.read() as tx:
                return proposals.listed(tx)

        found = await self._store.run(look)
        return policy_pb2.ListProposalsResponse(
            proposals=[_summary(known) for known in found]
        )

    async def FetchProposal(
        self, request: policy_pb2.FetchProposalRequest, context: Context
    ) -> policy_pb2.FetchProposalResponse:
        """Give a proposal with every signature that came in."""
        await self._callers.board_member(context)
        known = await self._known(request.id)
        return policy_pb2.FetchProposalResponse(content=known.content)

    async def OfferProposal(
        self, request: policy_pb2.OfferProposalRequest, context: Context
    ) -> policy_pb2.OfferProposalResponse:
        """Keep a proposal, or the signatures that it brings."""
        caller = await self._callers.board_member(context)
        proposal = await asyncio.to_thread(from_file, request.content, "the proposal")
        try:
            known = await self._known(proposal.id)
        except NotFound:
            known = None
        if known is None or known.version is None:
            await asyncio.to_thread(self._standing.consider, proposal)

            def offer() -> Known:
                with self._store.write() as tx:
                    return self._standing.offer(tx, proposal, by=caller.id)

            known = await self._store.run(offer)
        return policy_pb2.OfferProposalResponse(proposal=_summary(known))

    async def PublishProposal(
        self, request: policy_pb2.PublishProposalRequest, context: Context
    ) -> policy_pb2.PublishProposalResponse:
        """Put a complete proposal in force, and tell every agency that listens."""
        caller = await self._callers.board_member(context)
        known = await self._known(request.id)
        if known.version is None:

            def prepare() -> Prepared:
                proposal = from_file(known.content, "the proposal")
                return self._standing.prepare(proposal)

            prepared = await asyncio.to_thread(prepare)
            known = await asyncio.shield(
                asyncio.ensure_future(self._publish(prepared, caller.id))
            )
        return policy_pb2.PublishProposalResponse(
            proposal=_summary(known), policies_version=known.version or 0
        )

    async def ListQueries(
        self, request: policy_pb2.ListQueriesRequest, context: Context
    ) -> policy_pb2.ListQueriesResponse:
        """List what was asked under an agreement, with what was decided."""
        await self._callers.board_member(context)
        after = page_number(request.page_token) or 0

        def look() -> policy_pb2.ListQueriesResponse:
            with self._store.read() as tx:
                return asked.page(
                    tx,
                    request.agreement,
                    since=request.since,
                    until=request.until,
                    after=after,
                    most=request.page_size or asked.PAGE,
                )

        return await self._store.run(look)

    async def _publish(self, prepared: Prepared, by: str) -> Known:
        known = await self._store.run(self._standing.publish, prepared, by=by)
        await self._watch.tell()
        return known

    async def _known(self, proposal: str) -> Known:
        """Return a proposal.

        Raises:
            NotFound: PROPOSAL_UNKNOWN.
        """

        def look() -> Known:
            with self._store.read() as tx:
                return proposals.find(tx, proposal)

        return await self._store.run(look)


def _summary(known: Known) -> policy_pb2.ProposalSummary:
    return policy_pb2.ProposalSummary(
        id=known.id,
        comment=known.comment,
        paths=known.paths,
        signed=known.signed,
        missing=known.missing,
        complete=known.complete,
        published=known.version is not None,
        offered_at=int(known.offered_at.timestamp()),
    )
