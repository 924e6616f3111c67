# SPDX-License-Identifier: Apache-2.0
"""What may be spent, what it buys, and what one person can lose by it."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from accord.core.afford import (
    BULLETINS,
    QUESTIONS,
    YEAR,
    Demand,
    Sensitivity,
    as_loss,
    bundle_cost,
    bundle_width,
    cap_in,
    cap_of,
    compared,
    cost_of_width,
    epsilon_of,
    in_window,
    noise_of,
    releases_within,
    sensitivity_of,
    width_for,
)
from accord.core.agreement import Agreement
from accord.core.bulletins import purpose_of
from accord.core.explain.passage import (
    Passage,
    as_written,
    passage,
    rounded_up,
    width,
)
from accord.core.members import MembersForm
from accord.core.messages import sentence
from accord.core.policy import Policy
from accord.core.privacy import Accounting, loss_of_person, nano_up

WANTED: Final = 15
"""Half-width in counts for which prices are told."""

_USUAL_DELTA: Final = Fraction(1, 10**9)


def about_spending(policy: Policy) -> Iterator[Passage]:
    """Explain the caps, what they buy, and both ways to account."""
    agreement = policy.agreement
    yield from _caps(agreement)
    yield from _bought(policy)
    yield from _comparison(agreement)
    yield from _bulletins(agreement)


def _caps(agreement: Agreement) -> Iterator[Passage]:
    spend = agreement.form.spend
    yield passage("spending", "spend.accounting", f"accounting-{spend.accounting}")
    if spend.delta is not None:
        yield passage(
            "spending", "spend.delta", "delta", chance=f"{1 / float(spend.delta):,.0f}"
        )
    yield passage(
        "spending",
        "spend.each_release_at_most",
        "cap-release",
        epsilon=as_written(spend.each_release_at_most.epsilon),
    )
    for clause, cap in (
        ("each_analyst", spend.each_analyst),
        ("everyone", spend.everyone),
    ):
        yield passage(
            "spending",
            f"spend.{clause}",
            f"cap-{clause.replace('_', '-')}",
            epsilon=as_written(cap.epsilon),
            days=cap.every,
        )
    if spend.lifetime is None:
        yield passage("spending", "spend.lifetime", "cap-lifetime-none")
    else:
        epsilon = as_written(spend.lifetime.epsilon)
        yield passage("spending", "spend.lifetime", "cap-lifetime", epsilon=epsilon)


def _bulletins(agreement: Agreement) -> Iterator[Passage]:
    form = agreement.form
    for name, bulletin in sorted(form.bulletins.items()):
        groups = ", ".join(
            f"{dimension} ({level})" for dimension, level in sorted(bulletin.by.items())
        )
        filters = "; ".join(
            f"{dimension} = {', '.join(values)}"
            for dimension, values in sorted(bulletin.where.items())
        )
        yield passage(
            "spending",
            f"bulletins.{name}",
            "bulletin",
            name=name,
            measure=bulletin.measure,
            groups=sentence("explain.bulletin-groups", groups=groups) if groups else "",
            filters=(
                sentence("explain.bulletin-filters", filters=filters) if filters else ""
            ),
            every=(bulletin.every or form.editions.every).value,
            purpose=purpose_of(form, bulletin),
            epsilon=as_written(bulletin.epsilon),
            days=form.spend.everyone.every,
        )


def _bought(policy: Policy) -> Iterator[Passage]:
    """Tell what caps buy, in releases over groups in which persons can change."""
    agreement = policy.agreement
    noise, spend = noise_of(agreement), agreement.form.spend
    sensitivity = sensitivity_of(agreement)
    single = cap_of(agreement, spend.each_release_at_most.epsilon)
    everyone = cap_of(agreement, spend.everyone.epsilon)
    analyst = cap_of(agreement, spend.each_analyst.epsilon)
    finest = width_for(noise, single, sensitivity)
    if finest is not None:
        yield passage(
            "spending", "spend.each_release_at_most", "buys-one", width=width(finest)
        )
    each = cost_of_width(noise, WANTED, sensitivity)
    if each is None or each > single:
        yield passage(
            "spending", "spend.each_release_at_most", "buys-none-at", wanted=WANTED
        )
    else:
        for clause, cap, days in (
            ("everyone", everyone, spend.everyone.every),
            ("each_analyst", analyst, spend.each_analyst.every),
        ):
            yield passage(
                "spending",
                f"spend.{clause}",
                f"buys-{clause.replace('_', '-')}",
                wanted=WANTED,
                releases=releases_within(cap, each),
                days=days,
                epsilon=rounded_up(epsilon_of(agreement, each)),
            )
    yield from _bundle(agreement, sensitivity, everyone, single)
    yield from _years(policy, everyone)


def _bundle(
    agreement: Agreement, sensitivity: Sensitivity, cap: int, single: int
) -> Iterator[Passage]:
    days = agreement.form.spend.everyone.every
    demand = Demand(
        sensitivity=sensitivity, releases=in_window(BULLETINS + QUESTIONS, days)
    )
    noise = noise_of(agreement)
    found = bundle_width(noise, cap, [demand], single)
    if found is None:
        yield passage("spending", "spend.everyone", "bundle-none")
        return
    yield passage(
        "spending",
        "spend.everyone",
        "bundle",
        bulletins=BULLETINS,
        questions=QUESTIONS,
        width=width(found),
    )
    needed = bundle_cost(noise, WANTED, [demand])
    if needed is None:
        return
    code = "bundle-enough" if needed <= cap else "bundle-needs"
    yield passage(
        "spending",
        "spend.everyone",
        code,
        bulletins=BULLETINS,
        questions=QUESTIONS,
        wanted=WANTED,
        epsilon=rounded_up(epsilon_of(agreement, needed)),
        days=days,
    )


def _years(policy: Policy, everyone: int) -> Iterator[Passage]:
    """Tell how long lifetime caps last at full spending."""
    own = policy.agreement.form.spend.lifetime
    if own is not None:
        yield passage(
            "spending",
            "spend.lifetime",
            "lifetime-own",
            windows=cap_of(policy.agreement, own.epsilon) // everyone,
            days=policy.agreement.form.spend.everyone.every,
        )
    lifetimes = lifetime_caps(policy.agreement, policy.members)
    if not lifetimes:
        return
    label = min(lifetimes, key=lambda each: (lifetimes[each], each))
    windows = lifetimes[label] // everyone
    yield passage(
        "spending",
        "spend.everyone",
        "lifetime-lasts" if windows else "lifetime-short",
        agency=policy.members.members[label].name,
        windows=windows,
        days=policy.agreement.form.spend.everyone.every,
    )


def _comparison(agreement: Agreement) -> Iterator[Passage]:
    """Tell what zcdp and pure would give for the same epsilon."""
    spend = agreement.form.spend
    delta = spend.delta or _USUAL_DELTA
    days = spend.everyone.every
    for code, epsilon, releases in (
        ("compare-one", spend.each_release_at_most.epsilon, 1),
        (
            "compare-year",
            spend.everyone.epsilon,
            in_window(BULLETINS + QUESTIONS, days),
        ),
    ):
        found = compared(agreement, epsilon, delta, releases)
        if found.zcdp is None or found.pure is None:
            continue
        yield passage(
            "comparison",
            "spend.accounting",
            code,
            epsilon=as_written(epsilon),
            releases=releases,
            zcdp=width(found.zcdp),
            pure=width(found.pure),
            days=days,
            delta=as_written(delta),
        )
    yield passage("comparison", "spend.accounting", f"compare-{agreement.accounting}")


def about_person(policy: Policy) -> Iterator[Passage]:
    """Tell what the answers can tell about one person, in a year and for ever."""
    agreement = policy.agreement
    agencies, parties = agreement.person_in_at_most, len(agreement.parties)
    yield passage("person", "protect.person_in_at_most", "person-intro")
    for known in sorted({1, 2, agencies, parties}):
        year = year_of_person(agreement, known)
        for_ever = lifetime_of_person(policy, known)
        if for_ever is not None:
            year = min(year, for_ever)
        yield passage(
            "person",
            "protect.person_in_at_most",
            "person-loss" if for_ever is not None else "person-loss-year",
            known=known,
            year=rounded_up(epsilon_of(agreement, year)),
            lifetime=""
            if for_ever is None
            else rounded_up(epsilon_of(agreement, for_ever)),
        )
    yield passage(
        "person",
        "spend.delta" if agreement.accounting is Accounting.ZCDP else "spend.everyone",
        f"person-reading-{agreement.accounting}",
    )


def year_of_person(agreement: Agreement, known_to: int) -> int:
    """Return the most that somebody known to *known_to* parties loses in a year.

    Outside emergencies; rounded up, in units of account. A window shorter than a year
    is filled anew as often as it can be.
    """
    spend = agreement.form.spend
    cap = cap_of(agreement, spend.everyone.epsilon) * -(-YEAR // spend.everyone.every)
    if spend.lifetime is not None:
        cap = min(cap, cap_of(agreement, spend.lifetime.epsilon))
    return _scaled(agreement, cap, known_to)


def lifetime_of_person(policy: Policy, known_to: int) -> int | None:
    """Return the most that such a person loses by this agreement, ever.

    A release of loss r takes r (a/A)^2 or r a/A, where a of the person's agencies took
    part. Over all releases that is at most a/A^2, or 1/A, times the sum of their caps,
    whichever agencies take part in which release. The agreement's own lifetime cap
    counts only where no emergency can be paid beside it.
    """
    agreement = policy.agreement
    calibrated = agreement.person_in_at_most
    bounds: list[Fraction] = []
    caps = sorted(lifetime_caps(agreement, policy.members).values(), reverse=True)
    if len(caps) >= known_to:
        total = sum(caps[:known_to])
        zcdp = agreement.accounting is Accounting.ZCDP
        bounds.append(
            Fraction(total * known_to, calibrated**2)
            if zcdp
            else Fraction(total, calibrated)
        )
    lifetime = agreement.form.spend.lifetime
    if lifetime is not None and agreement.form.emergency is None:
        cap = cap_of(agreement, lifetime.epsilon)
        bounds.append(Fraction(_scaled(agreement, cap, known_to)))
    return -(-min(bounds) // 1) if bounds else None


def lifetime_caps(agreement: Agreement, members: MembersForm) -> dict[str, int]:
    """Return the lifetime cap of every known party, in the agreement's unit."""
    caps: dict[str, int] = {}
    for label in agreement.parties:
        member = members.members.get(label)
        if member is None:
            continue
        zcdp = member.lifetime.zcdp
        caps[label] = (
            cap_in(Accounting.ZCDP, zcdp.epsilon, zcdp.delta)
            if agreement.accounting is Accounting.ZCDP
            else cap_in(Accounting.PURE, member.lifetime.pure.epsilon, None)
        )
    return caps


def _scaled(agreement: Agreement, nano: int, known_to: int) -> int:
    """Return the part of a loss that reaches such a person, rounded up."""
    loss = as_loss(agreement.accounting, nano)
    exact = loss.rho if agreement.accounting is Accounting.ZCDP else loss.epsilon
    return nano_up(
        loss_of_person(
            agreement.accounting,
            exact,
            known_to=known_to,
            calibrated_to=agreement.person_in_at_most,
        )
    )
