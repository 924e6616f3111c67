# SPDX-License-Identifier: Apache-2.0
"""A whole agreement in plain sentences."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Final

from accord.core.afford import cap_of, epsilon_of
from accord.core.agreement import Agreement
from accord.core.agreement_form import ALL_VALUES, Rounds
from accord.core.board import BoardForm
from accord.core.explain.governance import about_governance
from accord.core.explain.passage import (
    Passage,
    listed,
    passage,
    percent,
    rounded_up,
)
from accord.core.explain.spending import about_person, about_spending
from accord.core.placement import HUB_SEES
from accord.core.policy import Policy

_HOURS: Final = 24


def explain_agreement(
    policy: Policy, board: BoardForm | None = None
) -> tuple[Passage, ...]:
    """Return everything that an agreement says, section by section.

    Args:
        policy: the agreement with what it depends on.
        board: who holds the seats, where it is known.
    """
    return (
        *_about_people(policy),
        *_about_questions(policy),
        *_about_protection(policy),
        *_about_cohorts(policy),
        *about_spending(policy),
        *about_person(policy),
        *about_governance(policy, board),
    )


def _about_people(policy: Policy) -> Iterator[Passage]:
    form = policy.agreement.form
    yield passage(
        "who", "agreement", "agreement", name=form.agreement, version=form.version
    )
    yield passage("who", "version", "version", version=form.version)
    if form.extends is not None and policy.agreement.preset is not None:
        preset = policy.agreement.preset.form
        yield passage(
            "who", "extends", "extends", name=form.extends, title=preset.title
        )
    names = {
        label: policy.members.members[label].name
        for label in form.parties
        if label in policy.members.members
    }
    yield passage(
        "who",
        "parties",
        "parties",
        count=len(form.parties),
        parties="; ".join(names.get(label, label) for label in form.parties),
    )
    code = "operator-party" if form.hub_operator in form.parties else "operator"
    yield passage("who", "hub_operator", code, operator=form.hub_operator)
    recipients = form.recipients
    yield passage("who", "recipients.roles", "roles", roles=listed(recipients.roles))
    yield passage(
        "who",
        "recipients.organisations",
        "organisations",
        organisations=listed(recipients.organisations),
    )
    yield passage("who", "purpose", "purpose", purposes=listed(form.purpose))
    yield passage(
        "who", "recipients.onward_sharing", f"onward-{recipients.onward_sharing}"
    )


def _about_questions(policy: Policy) -> Iterator[Passage]:
    form, model = policy.agreement.form, policy.model
    ask = form.may_ask
    yield passage("what", "data_model", "data-model", model=form.data_model)
    yield passage(
        "what",
        "editions.every",
        "editions",
        every=form.editions.every.value,
    )
    yield passage("what", "editions.embargo", "embargo", days=form.editions.embargo)
    yield passage("what", "may_ask.measures", "measures", measures=listed(ask.measures))
    yield passage(
        "what",
        "may_ask.at_most_dimensions",
        "dimensions",
        limit=ask.at_most_dimensions,
    )
    for name, finest in ask.group_by.items():
        dimension = model.dimension(name)
        level = dimension.levels[0] if finest == ALL_VALUES else finest
        yield passage(
            "what",
            f"may_ask.group_by.{name}",
            "dimension",
            dimension=name,
            title=dimension.title,
            level=level,
            values=len(dimension.domain(level)),
        )
    for index, together in enumerate(ask.never_together):
        yield passage(
            "what",
            f"may_ask.never_together.{index}",
            "never-together",
            dimensions=listed(together),
        )
    for name, hidden in ask.hidden_values.items():
        yield passage(
            "what",
            f"may_ask.hidden_values.{name}",
            "hidden-values",
            dimension=name,
            values=listed(hidden),
        )
    if ask.sensitive:
        yield passage(
            "what", "may_ask.sensitive", "sensitive", dimensions=listed(ask.sensitive)
        )


def _about_protection(policy: Policy) -> Iterator[Passage]:
    agreement = policy.agreement
    protect = agreement.form.protect
    agencies, parties = agreement.person_in_at_most, len(agreement.parties)
    code = "person-all" if agencies >= parties else "person-fewer"
    yield passage(
        "protection",
        "protect.person_in_at_most",
        code,
        agencies=agencies,
        parties=parties,
    )
    if protect.reason_for_fewer_agencies is not None:
        yield passage(
            "protection",
            "protect.reason_for_fewer_agencies",
            "person-reason",
            reason=protect.reason_for_fewer_agencies,
        )
    for clause, number in (
        ("groups_per_person", protect.groups_per_person),
        ("cases_per_group", protect.cases_per_group),
        ("drop_cap", protect.drop_cap),
        ("at_least_agencies", protect.at_least_agencies),
        ("suppress_below", protect.suppress_below),
    ):
        code = clause.replace("_", "-")
        yield passage("protection", f"protect.{clause}", code, number=number)
    yield passage(
        "protection",
        "protect.covered_by_at_least",
        "coverage",
        number=protect.covered_by_at_least or protect.at_least_agencies,
    )
    if protect.no_agency_above is None:
        yield passage("protection", "protect.no_agency_above", "dominance-none")
    else:
        share = percent(protect.no_agency_above)
        yield passage("protection", "protect.no_agency_above", "dominance", share=share)
    yield from _about_noise(agreement)


def _about_noise(agreement: Agreement) -> Iterator[Passage]:
    """Tell who adds the noise, what the hub sees, and how many may collude."""
    protect, noise = agreement.form.protect, agreement.noise
    yield passage("protection", "protect.noise", f"noise-{noise}")
    if protect.hub_sees_exact_pooled_sums is not None:
        yield passage(
            "protection", "protect.hub_sees_exact_pooled_sums", "hub-sees-sums"
        )
    if protect.hub_sees_at_most is not None:
        yield passage(
            "protection",
            "protect.hub_sees_at_most",
            "hub-sees-at-most",
            epsilon=f"{float(protect.hub_sees_at_most.epsilon):g}",
        )
    elif noise == "shared":
        single = cap_of(agreement, agreement.form.spend.each_release_at_most.epsilon)
        yield passage(
            "protection",
            "protect.hub_sees_at_most",
            "hub-sees-default",
            epsilon=rounded_up(epsilon_of(agreement, HUB_SEES * single)),
        )
    most = protect.colluding_at_most
    kind = "colluding-hub" if noise == "hub" else "colluding"
    yield passage(
        "protection",
        "protect.colluding_at_most",
        f"{kind}-{'one' if most == 1 else 'many'}",
        number=most,
    )


def _about_cohorts(policy: Policy) -> Iterator[Passage]:
    parties = set(policy.agreement.parties)
    for name, members in policy.agreement.cohorts.items():
        absent = [label for label in policy.agreement.parties if label not in members]
        code = "cohort-all" if set(members) == parties else "cohort-fallback"
        yield passage(
            "cohorts",
            f"cohorts.{name}",
            code,
            name=name,
            members=listed(members),
            absent=listed(absent),
            count=len(members),
        )
    yield from _about_rounds(policy.agreement.form.rounds)


def _about_rounds(rounds: Rounds | None) -> Iterator[Passage]:
    if rounds is None:
        yield passage("cohorts", "rounds", "rounds-always")
        return
    first = datetime.time.fromisoformat(rounds.at)
    last = first.replace(hour=(first.hour + rounds.open) % _HOURS)
    yield passage(
        "cohorts",
        "rounds",
        f"rounds-{rounds.every}",
        weekday=(rounds.on or "").capitalize(),
        first=f"{first:%H:%M}",
        last=f"{last:%H:%M}",
        hours=rounds.open,
    )
    yield passage("cohorts", "rounds.deadline", "rounds-deadline", days=rounds.deadline)
