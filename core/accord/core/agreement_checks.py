# SPDX-License-Identifier: Apache-2.0
"""What the entries of an agreement must not say together.

Each check yields the path of the entry to change and one sentence. A check names the
entries that it believes, so that it can be left out where one of them is broken and the
others still run: a board sees every mistake at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import TypeAlias

from accord.core.agreement_form import EVERYONE, LEAST_HONEST, AgreementForm
from accord.core.bulletin_checks import bulletin_contradictions
from accord.core.cohorts import singled_out
from accord.core.epsilon_delta import (
    epsilon_to_rho_lower,
    epsilon_to_rho_tight,
    rho_to_epsilon_tight,
    rho_to_epsilon_upper,
)
from accord.core.errors import InvalidQuery, suggestion
from accord.core.measure import ComponentVector
from accord.core.messages import sentence
from accord.core.model import DataModel
from accord.core.placement import LEAST_SHARE_VARIANCE
from accord.core.privacy import Accounting, Loss, mechanism_class, nano_down
from accord.core.question_checks import question_contradictions
from accord.core.windows import CONTACTS, step

Finding: TypeAlias = tuple[Sequence[str | int], str]
"""Path of an entry, and what is wrong with it."""

Check: TypeAlias = Callable[[AgreementForm], Iterator[Finding]]

_CHECKS: list[tuple[tuple[str, ...], Check]] = []


def contradictions(
    form: AgreementForm,
    models: Mapping[str, DataModel],
    broken: Collection[str] = (),
) -> Iterator[Finding]:
    """Yield every contradiction in *form*, against the data models that exist.

    Args:
        form: the agreement.
        models: data models by name.
        broken: paths of entries that are not as the document has them; what depends on
            them is not checked.
    """
    for believed, check in _CHECKS:
        if not any(related(entry, each) for entry in believed for each in broken):
            yield from check(form)
    if "data_model" in broken:
        return
    model = models.get(form.data_model)
    if model is None:
        hint = suggestion(form.data_model, models) or sentence(
            "lint.known", names=", ".join(sorted(models)) or "none"
        )
        yield ("data_model",), sentence("lint.model-missing") + hint
    else:
        yield from question_contradictions(form, model)
        yield from bulletin_contradictions(form, model)


def related(one: str, other: str) -> bool:
    """Tell whether one dotted path lies in the other."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def _believes(*entries: str) -> Callable[[Check], Check]:
    def remember(check: Check) -> Check:
        _CHECKS.append((entries, check))
        return check

    return remember


def _cohorts(form: AgreementForm) -> dict[str, frozenset[str]]:
    return {
        name: frozenset(form.parties if members == EVERYONE else members)
        for name, members in form.cohorts.items()
    }


@_believes()
def _parties(form: AgreementForm) -> Iterator[Finding]:
    if len(set(form.parties)) != len(form.parties):
        yield ("parties",), sentence("lint.party-twice")


@_believes("hub_operator", "parties", "protect.noise")
def _operator(form: AgreementForm) -> Iterator[Finding]:
    if form.hub_operator in form.parties and form.noise == "hub":
        yield ("protect", "noise"), sentence("lint.noise-operator")


@_believes("parties")
def _cohort_members(form: AgreementForm) -> Iterator[Finding]:
    names = set(form.parties)
    for cohort, members in form.cohorts.items():
        if members == EVERYONE:
            continue
        path = ("cohorts", cohort)
        for member in sorted(set(members) - names):
            yield path, _no_party(member, names)
        if len(set(members)) != len(members):
            yield path, sentence("lint.member-twice")


def _no_party(label: str, parties: Collection[str]) -> str:
    return sentence("lint.no-party", party=label) + suggestion(label, parties)


@_believes("parties", "protect.at_least_agencies")
def _cohort_sizes(form: AgreementForm) -> Iterator[Finding]:
    least = form.protect.at_least_agencies
    for cohort, chosen in _cohorts(form).items():
        if len(chosen) < least:
            yield (
                ("cohorts", cohort),
                sentence("lint.cohort-small", members=len(chosen), least=least),
            )


@_believes("parties", "cohorts", "protect")
def _colluding(form: AgreementForm) -> Iterator[Finding]:
    """Two at least must be left, or the last one's figures stand alone.

    Cohorts that are too small anyway are left to `_cohort_sizes`.
    """
    most, least = form.protect.colluding_at_most, form.protect.at_least_agencies
    sizes = [len(chosen) for chosen in _cohorts(form).values() if len(chosen) >= least]
    smallest = min(sizes, default=0)
    if sizes and smallest - most < LEAST_HONEST:
        yield (
            ("protect", "colluding_at_most"),
            sentence(
                "lint.colluding-too-many",
                members=smallest,
                most=smallest - LEAST_HONEST,
            ),
        )


@_believes("parties", "cohorts")
def _differences(form: AgreementForm) -> Iterator[Finding]:
    """Yield what the answers of several cohorts would give away together."""
    known: dict[frozenset[str], str] = {}
    for cohort, chosen in _cohorts(form).items():
        other = known.setdefault(chosen, cohort)
        if other != cohort:
            yield ("cohorts", cohort), sentence("lint.cohort-same", other=other)
    for party in singled_out(known):
        yield ("cohorts",), sentence("lint.cohorts-single-out", party=party)


@_believes("parties")
def _of_parties(form: AgreementForm) -> Iterator[Finding]:
    names = set(form.parties)
    for entry, keys in (("linkage", form.linkage), ("law", form.law)):
        for party in keys:
            if party not in names:
                yield (entry, party), _no_party(party, names)


@_believes("parties", "protect.person_in_at_most", "protect.reason_for_fewer_agencies")
def _persons(form: AgreementForm) -> Iterator[Finding]:
    path = ("protect", "person_in_at_most")
    agencies = form.protect.person_in_at_most
    if agencies is None:
        return
    if agencies > len(form.parties):
        yield path, sentence("lint.only-parties", parties=len(form.parties))
    elif agencies < len(form.parties) and not form.protect.reason_for_fewer_agencies:
        yield path, sentence("lint.fewer-agencies-reason")


@_believes("parties", "cohorts", "protect")
def _coverage(form: AgreementForm) -> Iterator[Finding]:
    protect = form.protect
    largest = max((len(chosen) for chosen in _cohorts(form).values()), default=0)
    covering = protect.covered_by_at_least
    if covering is not None and covering > largest:
        yield (
            ("protect", "covered_by_at_least"),
            sentence("lint.covered-by-too-many", members=largest),
        )
    most = protect.no_agency_above
    if most is not None and largest and most * largest < 1:
        yield (
            ("protect", "no_agency_above"),
            sentence("lint.dominance-impossible", members=largest),
        )


@_believes("protect.noise", "protect.hub_sees_exact_pooled_sums", "spend.accounting")
def _noise(form: AgreementForm) -> Iterator[Finding]:
    protect, noise = form.protect, form.noise
    if noise == "shared" and form.spend.accounting is Accounting.PURE:
        yield ("protect", "noise"), sentence("lint.noise-shared-pure")
    if noise == "hub" and protect.hub_sees_exact_pooled_sums is None:
        yield ("protect", "noise"), sentence("lint.noise-hub-unaccepted")
    if noise != "hub" and protect.hub_sees_exact_pooled_sums is not None:
        path = ("protect", "hub_sees_exact_pooled_sums")
        yield path, sentence("lint.noise-hub-only")
    if noise != "shared" and protect.hub_sees_at_most is not None:
        yield ("protect", "hub_sees_at_most"), sentence("lint.noise-shared-only")


@_believes("protect.noise", "protect.hub_sees_at_most", "spend")
def _hub_sees(form: AgreementForm) -> Iterator[Finding]:
    """The hub reads the releases too, so that it never learns less than they tell."""
    sees, delta = form.protect.hub_sees_at_most, form.spend.delta
    if sees is None or form.noise != "shared" or delta is None:
        return
    single = form.spend.each_release_at_most.epsilon
    release = _rho(epsilon_to_rho_tight, single, delta)
    if _rho(epsilon_to_rho_lower, sees.epsilon, delta) < release:
        least = math.ceil(rho_to_epsilon_upper(release, delta) * 100) / 100
        yield (
            ("protect", "hub_sees_at_most"),
            sentence("lint.hub-sees-too-little", least=f"{least:g}"),
        )


def _rho(
    convert: Callable[[Fraction, Fraction], int], epsilon: Fraction, delta: Fraction
) -> int:
    """Return nano-rho; none where it is too little to be one."""
    try:
        return convert(epsilon, delta)
    except InvalidQuery:
        return 0


@_believes("rounds")
def _rounds(form: AgreementForm) -> Iterator[Finding]:
    rounds = form.rounds
    if rounds is None:
        return
    if rounds.every == "week" and rounds.on is None:
        yield ("rounds",), sentence("lint.rounds-weekday")
    if rounds.every != "week" and rounds.on is not None:
        yield ("rounds", "on"), sentence("lint.rounds-no-weekday")
    least = CONTACTS * step(rounds).days
    if rounds.deadline < least:
        yield ("rounds", "deadline"), sentence("lint.rounds-deadline", least=least)


@_believes("spend.accounting", "spend.delta")
def _accounting(form: AgreementForm) -> Iterator[Finding]:
    spend = form.spend
    if spend.accounting is Accounting.ZCDP and spend.delta is None:
        yield ("spend",), sentence("lint.delta-missing")
    if spend.accounting is Accounting.PURE and spend.delta is not None:
        yield ("spend", "delta"), sentence("lint.delta-pure")


@_believes("spend")
def _caps(form: AgreementForm) -> Iterator[Finding]:
    """Compare as epsilon: at one delta, more epsilon is never less rho."""
    spend = form.spend
    single = spend.each_release_at_most.epsilon
    larger: list[tuple[tuple[str, ...], Fraction]] = [
        (("spend", "each_analyst"), spend.each_analyst.epsilon),
        (("spend", "everyone"), spend.everyone.epsilon),
    ]
    if spend.lifetime is not None:
        larger.append((("spend", "lifetime"), spend.lifetime.epsilon))
    for path, cap in larger:
        if cap < single:
            yield path, sentence("lint.cap-too-small")


@_believes("spend.each_release_at_most", "emergency")
def _emergency_cap(form: AgreementForm) -> Iterator[Finding]:
    clause = form.emergency
    if clause and clause.spend.epsilon < form.spend.each_release_at_most.epsilon:
        yield ("emergency", "spend"), sentence("lint.cap-too-small")


@_believes("spend", "protect", "may_ask.measures", "parties", "cohorts")
def _noise_possible(form: AgreementForm) -> Iterator[Finding]:
    """Say so where one release may cost so little that no noise is large enough.

    Or so much that Gaussian shares would be too small to be added up: in the largest
    cohort, where they are smallest, and in a release over groups that can change.
    """
    spend, protect = form.spend, form.protect
    if (spend.accounting is Accounting.ZCDP) != (spend.delta is not None):
        return
    vector = ComponentVector.of_counts(
        spend.accounting,
        groups=protect.groups_per_person,
        drop_cap=protect.drop_cap,
        cases=protect.cases_per_group if "cases" in form.may_ask.measures else 1,
    )
    agencies = min(protect.person_in_at_most or len(form.parties), len(form.parties))
    path = ("spend", "each_release_at_most")
    d1, d2_squared = vector.d1(agencies), vector.d2_squared(agencies)
    build = mechanism_class(spend.accounting)
    try:
        build.for_loss(_release_cap(form), d1=d1, d2_squared=d2_squared)
    except InvalidQuery:
        yield path, sentence("lint.release-buys-nothing")
        return
    largest = max((len(chosen) for chosen in _cohorts(form).values()), default=0)
    parts = largest - protect.colluding_at_most
    if form.noise != "agents" or spend.delta is None or parts < 1:
        return
    most = nano_down(Fraction(d2_squared, 2 * parts * LEAST_SHARE_VARIANCE))
    single = spend.each_release_at_most.epsilon
    if _rho(epsilon_to_rho_tight, single, spend.delta) > most:
        epsilon = math.floor(rho_to_epsilon_tight(most, spend.delta) * 100) / 100
        yield path, sentence("lint.shares-too-small", most=f"{epsilon:g}")


def _release_cap(form: AgreementForm) -> Loss:
    spend = form.spend
    epsilon = spend.each_release_at_most.epsilon
    if spend.delta is None:
        return Loss(nano_epsilon=nano_down(epsilon))
    return Loss(nano_rho=epsilon_to_rho_lower(epsilon, spend.delta))


@_believes("review", "may_ask.sensitive")
def _review(form: AgreementForm) -> Iterator[Finding]:
    if form.review.reviewers:
        return
    if form.review.releases == "human":
        yield ("review",), sentence("lint.reviewers-missing")
    elif form.may_ask.sensitive:
        yield ("may_ask", "sensitive"), sentence("lint.reviewers-for-sensitive")


@_believes("retention", "spend.each_analyst", "spend.everyone")
def _retention(form: AgreementForm) -> Iterator[Finding]:
    """While a release is read, or its cost counts, the log says who asked for it."""
    kept, questions = form.retention.releases, form.retention.questions
    if questions is None:
        return
    path = ("retention", "questions")
    if kept is None:
        yield path, sentence("lint.retention-releases-unsaid")
    elif questions < kept:
        yield path, sentence("lint.retention-questions-first", least=kept)
    spend = form.spend
    least = max(spend.each_analyst.every, spend.everyone.every)
    if questions < least:
        yield path, sentence("lint.retention-before-refill", least=least)


@_believes("purpose", "emergency.purpose")
def _emergency_purpose(form: AgreementForm) -> Iterator[Finding]:
    if form.emergency is not None and form.emergency.purpose in form.purpose:
        yield ("emergency", "purpose"), sentence("lint.emergency-purpose")


@_believes("emergency.approvers")
def _approvers(form: AgreementForm) -> Iterator[Finding]:
    clause = form.emergency
    if clause is not None and len(set(clause.approvers)) != len(clause.approvers):
        yield ("emergency", "approvers"), sentence("lint.approver-twice")


@_believes("parties", "approval")
def _approval(form: AgreementForm) -> Iterator[Finding]:
    approval = form.approval
    if approval.signatories == "parties" and approval.quorum > len(form.parties):
        path = ("approval", "quorum")
        yield path, sentence("lint.only-parties", parties=len(form.parties))


@_believes("valid.from", "valid.until")
def _validity(form: AgreementForm) -> Iterator[Finding]:
    if form.valid.until < form.valid.first:
        yield ("valid", "until"), sentence("lint.last-before-first")


@_believes("valid")
def _review_date(form: AgreementForm) -> Iterator[Finding]:
    if not form.valid.first <= form.valid.review_by <= form.valid.until:
        yield ("valid", "review_by"), sentence("lint.review-outside")
