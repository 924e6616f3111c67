# SPDX-License-Identifier: Apache-2.0
"""Who signed a change, whose signature counts, and what is missing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from tuf.api.metadata import Root, Targets

from accord.core import approval
from accord.core.messages import sentence
from accord.core.policy import PolicySet
from accord.trust.drafting import signed_by_parties
from accord.trust.history import known_keys, signatures
from accord.trust.metadata import ROOT, TARGETS, role_of, signers
from accord.trust.state import AnyMetadata, State


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Who has signed a proposal, and what it lacks."""

    signed: tuple[str, ...]
    """Labels of board members, and of agencies for their signatories."""
    missing: tuple[str, ...]
    """In sentences; empty when it can be published."""

    @property
    def complete(self) -> bool:
        """Tell whether nothing is missing."""
        return not self.missing


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A change from one state to the next."""

    metadata: Mapping[str, AnyMetadata]
    """What is new, by role."""
    old: State | None
    new: State
    before: PolicySet | None
    after: PolicySet

    def may_sign(self, role: str) -> Mapping[str, str]:
        """Return whose signatures under a role count, by key, with their labels.

        Boards sign what parties sign too: a seat may have to. Parties sign for the
        board where an agreement of theirs becomes the board's.
        """
        known = known_keys(self.before, self.after)
        keys = {
            each.key
            for policies in (self.before, self.after)
            if policies is not None and policies.board is not None
            for each in policies.board.members.values()
        }
        for state in (self.old, self.new):
            delegations = state.targets.signed.delegations if state else None
            roles = (delegations.roles or {}) if delegations else {}
            if state is not None and role in roles:
                keys |= role_of(state.targets.signed, role)[0]
        if role == TARGETS and self.before is not None:
            keys |= _parties_that_give_up(self.before, self.after)
        return {key: known[key] for key in sorted(keys) if key in known}

    def standing(self, language: str) -> Standing:
        """Return who has signed, and what is missing."""
        missing = list(self._below_threshold(language))
        sets = (self.before, self.after)
        signed = signatures(self.old, self.new, sets)
        missing += approval.missing(*sets, signed, language)
        return Standing(signed=self._signers(), missing=tuple(dict.fromkeys(missing)))

    def _signers(self) -> tuple[str, ...]:
        """Return the labels of those who signed all that they may."""
        found: dict[str, bool] = {}
        for role, metadata in self.metadata.items():
            people = self.may_sign(role)
            signed = signers(metadata, people)
            for key, label in people.items():
                found[label] = found.get(label, True) and key in signed
        return tuple(sorted(label for label, complete in found.items() if complete))

    def _below_threshold(self, language: str) -> Iterator[str]:
        """Yield a sentence for every threshold of TUF that is not reached."""
        labels = known_keys(self.before, self.after)
        checks: list[tuple[str, str, Root | Targets]] = []
        if ROOT in self.metadata and self.old is not None:
            old, new = self.old.root.signed, self.new.root.signed
            if role_of(old, ROOT) != role_of(new, ROOT):
                checks.append((ROOT, "trust.missing.old", old))
        for role in sorted(self.metadata):
            if role in (ROOT, TARGETS):
                checks.append((role, "trust.missing.board", self.new.root.signed))
            else:
                checks.append((role, "trust.missing", self.new.targets.signed))
        for role, message, delegator in checks:
            keys, threshold = role_of(delegator, role)
            signed = signers(self.metadata[role], keys)
            if len(signed) < threshold:
                names = sorted(labels.get(each, each) for each in keys - signed)
                yield sentence(
                    message,
                    language,
                    count=threshold - len(signed),
                    role=role,
                    names=", ".join(names),
                )


def _parties_that_give_up(before: PolicySet, after: PolicySet) -> set[str]:
    """Return signatories of agreements that the board shall sign from now on."""
    keys = set()
    for name, agreement in before.agreements.items():
        now = after.agreements.get(name)
        if signed_by_parties(agreement) and now and not signed_by_parties(now):
            for party in agreement.parties:
                keys.add(before.members.members[party].signatory)
    return {key for key in keys if key is not None}
