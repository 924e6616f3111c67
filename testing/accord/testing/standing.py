# SPDX-License-Identifier: Apache-2.0
"""Policies that are in force from the beginning to the end of a world.

They are read, checked and used as a hub's are. Nobody compares them with others, and
no file or table has them: in a world nothing is ever changed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

from accord.hub.db.engine import Store
from accord.hub.governance.standing import InForce, Standing
from accord.hub.identity.authority import Authority
from accord.hub.policies import policies_of
from accord.hub.questions.accounts import convert_caps
from accord.trust.freshness import freshen
from accord.trust.proposal import Proposal
from accord.trust.repository import Repository
from accord.trust.store import Stored


class FixedStanding(Standing):
    """One signed proposal, for ever."""

    def __init__(
        self,
        proposal: Proposal,
        *,
        store: Store,
        authority: Authority,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """Put *proposal* in force.

        Raises:
            AccordError: the hub could not do what it says.
        """
        super().__init__(folder=Path(), store=store, authority=authority, clock=clock)
        policies = policies_of(proposal.after, proposal.version)
        convert_caps(policies)
        repository = Repository(proposal.files())
        fresh = freshen(repository, authority.freshness_key, now=clock())
        self._in_force = InForce(
            stored=Stored(repository, fresh),
            policies=policies,
            expires=repository.expires,
            ours=True,
        )

    def begin(self, *, sign: bool) -> None:
        """Do nothing: it has begun."""

    def look(self) -> None:
        """Do nothing: nobody publishes anything."""
