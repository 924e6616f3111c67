# SPDX-License-Identifier: Apache-2.0
"""What a hub does for a board: it keeps and passes on what members sign.

Nothing that comes from here is believed: files go through `accord.trust`, proposals
are verified by whoever reads them.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from accord.client.profile import Profile, find_profile
from accord.client.wire import Wire
from accord.rpc.tokens import TokenKind, parse
from accord.v1 import policy_pb2 as pb

QUERIES_A_PAGE = 500


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProposalSummary:
    """A change that waits at the hub, as the hub tells it."""

    id: str
    comment: str
    paths: tuple[str, ...]
    signed: tuple[str, ...]
    missing: tuple[str, ...]
    complete: bool
    published: bool
    offered_at: int
    """Seconds since 1970, UTC."""


class HubPolicies:
    """An open connection of a board member; close it, or use it in a ``with``."""

    def __init__(self, profile: Profile) -> None:
        """Connect; nothing is asked yet.

        Raises:
            Unauthenticated: the token is malformed, or this is not its hub.
            Unreachable: nobody answers at the address.
        """
        self.identity = parse(profile.token, TokenKind.ANALYST).fingerprint.hex()
        """Fingerprint of the hub's certificate authority."""
        self._wire = Wire(profile)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._wire.close()

    def file(self, name: str) -> bytes:
        """Return one file of the signed policies, unverified.

        Raises:
            NotFound: the hub has none of that name.
        """
        request = pb.FetchPolicyFileRequest(name=name)
        return self._wire.call(self._wire.policies.FetchPolicyFile, request).content

    def proposals(self) -> list[ProposalSummary]:
        """Return the changes that were offered, newest first."""
        request = pb.ListProposalsRequest()
        found = self._wire.call(self._wire.policies.ListProposals, request)
        return [_summary(message) for message in found.proposals]

    def proposal(self, identifier: str) -> bytes:
        """Return the file of a proposal, unverified.

        Raises:
            NotFound: there is none with that id.
        """
        request = pb.FetchProposalRequest(id=identifier)
        return self._wire.call(self._wire.policies.FetchProposal, request).content

    def offer(self, content: bytes) -> ProposalSummary:
        """Bring a proposal, or more signatures under one that the hub has."""
        request = pb.OfferProposalRequest(content=content)
        found = self._wire.call(self._wire.policies.OfferProposal, request)
        return _summary(found.proposal)

    def publish(self, identifier: str) -> tuple[ProposalSummary, int]:
        """Put a proposal in force; return it and the new version of the policies."""
        request = pb.PublishProposalRequest(id=identifier)
        found = self._wire.call(self._wire.policies.PublishProposal, request)
        return _summary(found.proposal), found.policies_version

    def queries(
        self, agreement: str, since: int, until: int
    ) -> Iterator[pb.AskedQuery]:
        """Yield what was asked under *agreement*, oldest first.

        Args:
            agreement: its name.
            since: seconds since 1970, UTC.
            until: the same; not included.
        """
        token = ""
        while True:
            request = pb.ListQueriesRequest(
                agreement=agreement,
                since=since,
                until=until,
                page_size=QUERIES_A_PAGE,
                page_token=token,
            )
            found = self._wire.call(self._wire.policies.ListQueries, request)
            yield from found.queries
            token = found.next_page_token
            if not token:
                return


def connect_board(hub: str | None = None, profile: str | None = None) -> HubPolicies:
    """Connect as the other commands do: options, environment, saved profile.

    Raises:
        ConfigurationError: no hub is configured.
        Unauthenticated: the token is wrong, or the hub is not the one that issued it.
        Unreachable: nobody answers.
    """
    environment = dict(os.environ)
    found = find_profile(hub=hub, token=None, name=profile, environment=environment)
    return HubPolicies(found)


def asked_queries(
    hub: str | None, profile: str | None, agreement: str, since: int, until: int
) -> list[pb.AskedQuery]:
    """Connect and return what was asked under *agreement*, oldest first."""
    with connect_board(hub, profile) as access:
        return list(access.queries(agreement, since, until))


def _summary(message: pb.ProposalSummary) -> ProposalSummary:
    return ProposalSummary(
        id=message.id,
        comment=message.comment,
        paths=tuple(message.paths),
        signed=tuple(message.signed),
        missing=tuple(message.missing),
        complete=message.complete,
        published=message.published,
        offered_at=message.offered_at,
    )
