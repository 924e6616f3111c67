# SPDX-License-Identifier: Apache-2.0
"""What several policies say together, and what is no mistake but worth a thought."""

from __future__ import annotations

import dataclasses
import datetime
import enum
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import TypeAlias

from accord.core.agreement import Agreement
from accord.core.agreement_form import AgreementForm
from accord.core.board import DeclarationForm
from accord.core.cohorts import singled_out
from accord.core.epsilon_delta import epsilon_to_rho_tight
from accord.core.errors import InvalidQuery, suggestion
from accord.core.members import MemberForm, MembersForm
from accord.core.messages import sentence
from accord.core.model import DataModel
from accord.core.policy import MEMBERS
from accord.core.privacy import Accounting
from accord.core.question_checks import no_value

A_YEAR = datetime.timedelta(days=366)


class Severity(enum.StrEnum):
    """How bad it is."""

    ERROR = "error"
    """No program obeys these policies."""

    WARNING = "warning"
    """Programs obey; a board should know."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """All documents whose form could be read."""

    members: MembersForm | None
    has_board: bool
    models: Mapping[str, DataModel | None]
    """Nothing for a model that is there and broken."""
    agreements: Mapping[str, Agreement]
    """By path."""
    declarations: Mapping[str, DeclarationForm]
    """By path."""

    def answering(self, party: str) -> list[Agreement]:
        """Return the agreements that *party* is a party to."""
        return [each for each in self.agreements.values() if party in each.parties]


Located: TypeAlias = tuple[str, Sequence[str | int], str, Severity]
"""Path of a document, path of an entry, sentence, severity."""


def across(standing: Standing) -> Iterator[Located]:
    """Yield every finding that needs more than one entry's own document."""
    yield from _cohorts(standing)
    for path, agreement in standing.agreements.items():
        for entry, text in _thoughts(agreement.form, standing):
            yield path, entry, text, Severity.WARNING
    for path, declared in standing.declarations.items():
        for entry, text in _declared(declared, standing):
            yield path, entry, text, Severity.ERROR
    if standing.members is not None:
        yield from _members(standing, standing.members)


def _cohorts(standing: Standing) -> Iterator[Located]:
    """Yield parties whose own figures several agreements give away together.

    What single agreements give away by themselves is said there, and left out here.
    """
    for group in _connected(standing):
        if len(group) < 2:  # noqa: PLR2004 - one agreement is checked by itself
            continue
        cohorts = [
            (path, name, members)
            for path in group
            for name, members in standing.agreements[path].cohorts.items()
        ]
        alone = {
            party
            for path in group
            for party in singled_out(standing.agreements[path].cohorts.values())
        }
        for party in singled_out(members for _, _, members in cohorts):
            if party in alone:
                continue
            telling = _telling(party, cohorts)
            named = ", ".join(
                f"{name} of {standing.agreements[path].name}"
                for path, name, _ in telling
            )
            for path in dict.fromkeys(path for path, _, _ in telling):
                text = sentence("lint.agreements-single-out", party=party, named=named)
                yield path, ("cohorts",), text, Severity.ERROR


def _telling(
    party: str, cohorts: list[tuple[str, str, tuple[str, ...]]]
) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return cohorts that suffice to give *party* away, and no smaller part of them."""
    kept = list(cohorts)
    for each in cohorts:
        fewer = [other for other in kept if other != each]
        if party in singled_out(members for _, _, members in fewer):
            kept = fewer
    return kept


def _connected(standing: Standing) -> list[list[str]]:
    """Return the agreements in groups that share members, directly or by others."""
    groups: list[tuple[set[str], list[str]]] = []
    for path, agreement in sorted(standing.agreements.items()):
        parties = set(agreement.parties)
        joined = [group for group in groups if group[0] & parties]
        groups = [group for group in groups if not group[0] & parties]
        groups.append(
            (
                parties.union(*(group[0] for group in joined)),
                [*(each for group in joined for each in group[1]), path],
            )
        )
    return [sorted(paths) for _, paths in groups]


def _thoughts(
    form: AgreementForm, standing: Standing
) -> Iterator[tuple[Sequence[str | int], str]]:
    protect, valid = form.protect, form.valid
    if form.spend.lifetime is None:
        yield ("spend",), sentence("lint.no-lifetime")
    if valid.review_by - valid.first > A_YEAR:
        yield ("valid", "review_by"), sentence("lint.review-late")
    yield from _reviewing(form)
    covering = protect.covered_by_at_least
    if covering is not None and covering < protect.at_least_agencies:
        yield (
            ("protect", "covered_by_at_least"),
            sentence("lint.covered-by-few", least=protect.at_least_agencies),
        )
    if protect.no_agency_above is not None and standing.members is not None:
        known = standing.members.members
        silent = [
            party
            for party in form.parties
            if party in known and known[party].remit.persons_a_year is None
        ]
        if silent:
            text = sentence("lint.persons-unknown", parties=", ".join(silent))
            yield ("protect", "no_agency_above"), text


def _reviewing(form: AgreementForm) -> Iterator[tuple[Sequence[str | int], str]]:
    reviewers = sorted(set(form.review.reviewers))
    if reviewers and not form.holds_answers:
        yield ("review", "reviewers"), sentence("lint.reviewers-idle")
    elif len(reviewers) == 1:
        text = sentence("lint.reviewer-alone", reviewer=reviewers[0])
        yield ("review", "reviewers"), text


def _declared(
    declared: DeclarationForm, standing: Standing
) -> Iterator[tuple[Sequence[str | int], str]]:
    names = {each.name: each for each in standing.agreements.values()}
    agreement = names.get(declared.emergency)
    if declared.until < declared.first:
        yield ("until",), sentence("lint.last-before-first")
    if agreement is None:
        hint = suggestion(declared.emergency, names)
        yield ("emergency",), sentence("lint.no-agreement") + hint
        return
    clause = agreement.form.emergency
    if clause is None:
        yield ("emergency",), sentence("lint.no-emergency-clause")
    elif declared.until - declared.first >= datetime.timedelta(days=clause.at_most):
        yield ("until",), sentence("lint.emergency-long", days=clause.at_most)


def _members(standing: Standing, form: MembersForm) -> Iterator[Located]:
    if form.hub is None:
        yield MEMBERS, ("hub",), sentence("lint.hub-missing"), Severity.WARNING
    if not standing.has_board:
        yield MEMBERS, (), sentence("lint.board-missing"), Severity.WARNING
    owners: dict[str, str] = {}
    for label, member in form.members.items():
        entry = ("members", label)
        if member.key is None:
            yield MEMBERS, entry, sentence("lint.member-key"), Severity.WARNING
        for name, other in _shared_keys(label, member, owners):
            text = sentence("lint.member-key-twice", other=other)
            yield MEMBERS, (*entry, name), text, Severity.ERROR
        for below, text in _remit(member, standing):
            yield MEMBERS, (*entry, *below), text, Severity.ERROR
        for agreement in standing.answering(label):
            if _too_little(member, agreement):
                text = sentence("lint.lifetime-small", agreement=agreement.name)
                yield MEMBERS, (*entry, "lifetime"), text, Severity.ERROR
            delegated = agreement.form.approval.signatories == "parties"
            if delegated and member.signatory is None:
                text = sentence("lint.signatory-missing", agreement=agreement.name)
                yield MEMBERS, entry, text, Severity.WARNING


def _shared_keys(
    label: str, member: MemberForm, owners: dict[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield the first key that another agency has too, and which agency; it has all."""
    said: set[str] = {label}
    for name in ("key", "exchange", "kem"):
        key = getattr(member, name)
        other = owners.setdefault(key, label) if key is not None else label
        if other not in said:
            said.add(other)
            yield name, other


def _remit(
    member: MemberForm, standing: Standing
) -> Iterator[tuple[Sequence[str | int], str]]:
    """Yield what no data model knows; silent where a model cannot be read."""
    models = [model for model in standing.models.values() if model is not None]
    if len(models) < len(standing.models):
        return
    for name, values in member.remit.covers.items():
        path = ("remit", "covers", name)
        found = [m.dimensions[name] for m in models if name in m.dimensions]
        if not found:
            known = {each for model in models for each in model.dimensions}
            text = sentence("lint.remit-dimension", dimension=name)
            yield path, text + suggestion(name, known)
            continue
        for index, value in enumerate(values):
            for dimension in found:
                try:
                    dimension.leaves_under(value)
                except InvalidQuery:
                    continue
                break
            else:
                yield (*path, index), no_value(value, found[0])
    things = {name for m in models for name in (*m.dimensions, *m.quantities)}
    for name in member.remit.definitions:
        if name not in things:
            text = sentence("lint.remit-dimension", dimension=name)
            yield ("remit", "definitions", name), text + suggestion(name, things)


def _too_little(member: MemberForm, agreement: Agreement) -> bool:
    """Tell whether a lifetime cap cannot buy one release of an agreement."""
    spend = agreement.form.spend
    single = spend.each_release_at_most.epsilon
    if spend.accounting is Accounting.PURE:
        return member.lifetime.pure.epsilon < single
    if spend.delta is None:
        return False
    cap = member.lifetime.zcdp
    return _rho(cap.epsilon, cap.delta) < _rho(single, spend.delta)


def _rho(epsilon: Fraction, delta: Fraction) -> int:
    try:
        return epsilon_to_rho_tight(epsilon, delta)
    except InvalidQuery:
        return 0
