# SPDX-License-Identifier: Apache-2.0
"""Which policies are in force now, and the signed files that prove it to agents.

The database says which changes were published, in the transaction that notes them, and
has the hub's own word that they are the newest (`accord.hub.governance.freshness`); the
files in ``policies/`` follow from both. Whoever writes those files holds the database
as its only writer, so that several processes never do at once. A process that serves
looks at the database all the time and so takes over what another one published.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
import structlog

from accord.core.errors import (
    AccordError,
    InvalidQuery,
    PolicyDenied,
    PreconditionFailed,
    Unreachable,
)
from accord.hub.db.engine import Store
from accord.hub.governance import freshness, proposals
from accord.hub.governance.freshness import TIMESTAMP
from accord.hub.governance.proposals import Known
from accord.hub.governance.refusals import hub_keys_differ, outdated, unknown_file
from accord.hub.identity.authority import Authority
from accord.hub.policies import (
    Policies,
    check_whole,
    parties_of,
    policies_of,
)
from accord.hub.questions.accounts import convert_caps
from accord.trust.freshness import freshen, needs_freshening
from accord.trust.proposal import Proposal
from accord.trust.proposal_file import from_file
from accord.trust.repository import Repository
from accord.trust.store import Stored, load, save


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """One state of affairs; never changes."""

    stored: Stored
    policies: Policies
    expires: dt.datetime
    """When the board's own signatures end."""
    ours: bool
    """Whether the keys that the board lists for the hub are this hub's."""
    ended: frozenset[str] = frozenset()
    """Documents that parties or approvers let expire; the policies are without them."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A change that can be published, with the policies that it would make."""

    proposal: Proposal
    policies: Policies


class Standing:
    """The policies of one hub.

    What reads or writes files or the database belongs on the database's thread
    (`accord.hub.db.engine.Store.run`): `begin`, `look`, `offer` and `publish`. The rest
    may be called from anywhere.
    """

    def __init__(
        self,
        *,
        folder: Path,
        store: Store,
        authority: Authority,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """Begin with nothing; `begin` finds what there is."""
        self._folder = folder
        self._store = store
        self._keys = authority.hub_form
        self._authority = authority
        self._freshness_key = authority.freshness_key
        self._clock = clock
        self._in_force: InForce | None = None
        self._log = structlog.get_logger()

    @property
    def version(self) -> int:
        """Version of the newest policies that are here; 0 where there are none."""
        return self._in_force.policies.version if self._in_force else 0

    @property
    def in_force(self) -> InForce | None:
        """Everything about the newest policies that are here."""
        return self._in_force

    @property
    def fresh_until(self) -> dt.datetime | None:
        """Until when agents take the policies for the newest."""
        if self._in_force is None:
            return None
        signed = json.loads(self._in_force.stored.fresh[TIMESTAMP])["signed"]
        return dt.datetime.fromisoformat(signed["expires"])

    def now(self) -> Policies:
        """Return the policies to decide by, as one snapshot.

        Raises:
            PreconditionFailed: POLICIES_MISSING, POLICIES_EXPIRED, HUB_KEYS_DIFFER.
        """
        found = self._required()
        if not found.ours:
            raise hub_keys_differ(self._keys)
        if self._clock() >= found.expires:
            raise PreconditionFailed(
                "POLICIES_EXPIRED",
                "The board's signatures under the policies have ended: the board has"
                " to renew them before anything can be asked.",
            )
        return found.policies

    def current(self) -> Policies | None:
        """Return what `now` does, or nothing where it would refuse."""
        try:
            return self.now()
        except PreconditionFailed:
            return None

    def newest(self) -> Policies:
        """Return the policies by which agencies are known, even once they expired.

        Raises:
            PreconditionFailed: POLICIES_MISSING.
        """
        return self._required().policies

    def root(self) -> bytes:
        """Return the newest root: who the board is.

        Raises:
            PreconditionFailed: POLICIES_MISSING.
        """
        return self._required().stored.repository.root()

    def file(self, name: str) -> bytes:
        """Return a signed file by its name.

        Raises:
            NotFound: POLICY_UNKNOWN.
        """
        content = self._in_force.stored.file(name) if self._in_force else None
        if content is None:
            raise unknown_file()
        return content

    def file_for(self, agency: str, name: str) -> bytes:
        """Return a signed file that concerns an agency.

        Raises:
            NotFound: POLICY_UNKNOWN, also for agreements of others.
        """
        content = self.file(name)
        found = self._required()
        parties = parties_of(name, found.stored.files)
        if parties is not None and agency not in parties:
            raise unknown_file()
        return content

    def begin(self, *, sign: bool) -> None:
        """Take over what there is when a program starts.

        Args:
            sign: that it is the newest, as a program does that serves.

        Raises:
            AccordError: what is there cannot be used.
        """
        with self._store.write() as tx:
            self._take_over(tx, sign=sign)

    def look(self) -> None:
        """Take over what was published, and sign freshness anew where it is time.

        What parties or approvers let expire is left out from then on, as agents do.

        Raises:
            AccordError: what is there cannot be used; what was in force stays.
        """
        with self._store.read() as tx:
            newest = proposals.newest_version(tx)
            signed = freshness.newest_number(tx)
        stale = self._is_stale()
        if newest > self.version or stale or signed > self._number():
            with self._store.write() as tx:
                self._take_over(tx, sign=stale)
        self._leave_out_expired()

    def look_if_shared(self) -> None:
        """Do what `look` does where another process may have signed something.

        An agent that comes from there must find nothing older here.

        Raises:
            AccordError: as `look`.
        """
        if self._store.dialect != "sqlite":
            self.look()

    def consider(self, proposal: Proposal) -> Policies:
        """Return the policies that a proposal would make; needs no thread.

        Raises:
            Conflict: PROPOSAL_OUTDATED.
            PreconditionFailed: PROPOSAL_EXPIRED, HUB_KEYS_DIFFER, NETWORK_DIFFERS.
            ConfigurationError: this hub cannot do what they say.
        """
        base = self._in_force.stored.repository if self._in_force else None
        onto = proposal.is_onto(base) if base else not proposal.base_version
        if not onto:
            raise outdated()
        if self._clock() >= proposal.expires:
            raise PreconditionFailed(
                "PROPOSAL_EXPIRED",
                "The proposal would have ended by now: propose the change again.",
            )
        found = policies_of(proposal.after, proposal.version)
        check_whole(found)
        if found.members.hub != self._keys:
            raise hub_keys_differ(self._keys)
        if not self._authority.is_of(found.members.network):
            raise PreconditionFailed(
                "NETWORK_DIFFERS",
                f"members.yaml is of the network {found.members.network!r}, and this"
                " hub was made for another one.",
            )
        try:
            convert_caps(found)
        except InvalidQuery as error:
            raise PreconditionFailed(error.reason, error.sentence) from None
        return found

    def prepare(self, proposal: Proposal) -> Prepared:
        """Return a proposal ready to be published; needs no thread.

        Raises:
            AccordError: as `consider`.
            PolicyDenied: SIGNATURES_MISSING, naming whose.
        """
        found = self.consider(proposal)
        standing = proposal.standing()
        if not standing.complete:
            raise PolicyDenied(
                "SIGNATURES_MISSING",
                "The proposal is not complete: " + " ".join(standing.missing),
            )
        return Prepared(proposal=proposal, policies=found)

    def offer(self, tx: sa.Connection, proposal: Proposal, *, by: str | None) -> Known:
        """Keep a proposal that was considered, or the signatures that it brings.

        Raises:
            Conflict: PROPOSAL_OUTDATED, another change was quicker.
            PreconditionFailed: TOO_MANY_PROPOSALS, PROPOSAL_TOO_LARGE.
        """
        if proposals.newest_version(tx) >= proposal.version:
            raise outdated()
        return proposals.offer(tx, proposal, by=by, now=self._clock())

    def publish(self, prepared: Prepared, *, by: str | None) -> Known:
        """Put a change in force; afterwards its files are here, or `look` makes them.

        Raises:
            Conflict: PROPOSAL_OUTDATED, another change was quicker.
        """
        with self._store.write() as tx:
            known = proposals.look_up(tx, prepared.proposal.id)
            if known is not None and known.version is not None:
                return known
            if proposals.newest_version(tx) >= prepared.policies.version:
                raise outdated()
            known = proposals.publish(
                tx,
                prepared.proposal,
                version=prepared.policies.version,
                by=by,
                now=self._clock(),
            )
        try:
            with self._store.write() as tx:
                self._take_over(tx, sign=False)
        except AccordError as error:
            # It is decided: a full disk now is no reason to say that it failed.
            self._log.error("policies.unusable", reason=error.reason)
        return known

    def require_current(self, tx: sa.Connection, policies: Policies) -> None:
        """Refuse to write anything under policies that another process replaced.

        Raises:
            Unreachable: POLICIES_CHANGING.
        """
        if proposals.newest_version(tx) > policies.version:
            raise Unreachable(
                "POLICIES_CHANGING",
                "The policies are just being changed: try again in a moment with the"
                " same id.",
            )

    def _required(self) -> InForce:
        if self._in_force is None:
            raise PreconditionFailed(
                "POLICIES_MISSING",
                "No policies are in force at this hub yet: the board has to sign and"
                " publish the first ones (`accord-hub policies publish`).",
            )
        return self._in_force

    def _is_stale(self) -> bool:
        found = self._in_force
        if found is None or not found.ours:
            return False
        return needs_freshening(found.stored.fresh[TIMESTAMP], self._clock())

    def _number(self) -> int:
        """Number of the timestamp that is here; 0 where there is none."""
        return freshness.number_of(self._in_force.stored if self._in_force else None)

    def _take_over(self, tx: sa.Connection, *, sign: bool) -> None:
        """Bring files and memory to what the database says; it has no other writer."""
        stored = load(self._folder)
        repository = stored.repository if stored else None
        behind = proposals.published_after(tx, repository.version if repository else 0)
        for content in behind:
            proposal = from_file(content, "a published proposal")
            repository = proposal.onto(repository)
        if repository is None:
            return
        found, ended = _without_expired(repository, self._clock())
        ours = found.members.hub == self._keys
        if behind and not ours:
            raise hub_keys_differ(self._keys)
        previous, kept = stored, freshness.kept(tx)
        if kept is not None and kept.number > freshness.number_of(stored):
            previous = Stored(repository, kept.fresh)
            if kept.policies_version == repository.version:
                save(self._folder, repository, kept.fresh)
                stored = previous
                # Another process was quicker.
                sign = sign and needs_freshening(kept.fresh[TIMESTAMP], self._clock())
        if stored is None or stored.repository is not repository or (ours and sign):
            fresh = freshen(
                repository,
                self._freshness_key,
                now=self._clock(),
                previous=previous.fresh if previous else None,
            )
            save(self._folder, repository, fresh)
            stored = Stored(repository, fresh)
            freshness.keep(tx, stored)
        self._in_force = InForce(
            stored=stored,
            policies=found,
            expires=repository.expires,
            ours=ours,
            ended=ended,
        )

    def _leave_out_expired(self) -> None:
        found = self._in_force
        if found is None:
            return
        repository, moment = found.stored.repository, self._clock()
        if repository.state.expired(moment) != found.ended:
            policies, ended = _without_expired(repository, moment)
            self._in_force = dataclasses.replace(found, policies=policies, ended=ended)


def _without_expired(
    repository: Repository, moment: dt.datetime
) -> tuple[Policies, frozenset[str]]:
    """Return the policies to decide by, and the documents that they are without."""
    ended = repository.state.expired(moment)
    documents = repository.documents()
    left = {path: text for path, text in documents.items() if path not in ended}
    return policies_of(left, repository.version), ended
