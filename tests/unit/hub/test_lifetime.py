# SPDX-License-Identifier: Apache-2.0
"""What persons lose over all releases is never more than what is printed."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.epsilon_delta import delta_upper
from accord.core.privacy import NANO, Accounting, loss_of_person
from accord.hub.governance.proposals import published_after
from accord.hub.policies import policies_of
from accord.hub.questions.lifetime import Held, Lifetime, lifetimes, most_lost
from accord.ledger import Unit
from tests.policies import shipped
from tests.unit.hub.world import edit_agreement, make_state, store_of

AGENCIES = range(5)

releases = st.lists(
    st.tuples(
        st.integers(1, 10**9),
        st.sets(st.sampled_from(AGENCIES), min_size=1),
    ),
    max_size=8,
)


@given(releases, st.sampled_from(Accounting), st.integers(1, 5))
def test_nobody_loses_more_than_stated(
    published: list[tuple[int, set[int]]], accounting: Accounting, calibrated_to: int
) -> None:
    """Against all sets of agencies that anybody can be known to."""
    accounts = [
        sum(cost for cost, cohort in published if agency in cohort)
        for agency in AGENCIES
    ]
    total = sum(cost for cost, _ in published)
    for known_to in range(1, len(AGENCIES) + 1):
        stated = most_lost(
            accounting,
            accounts,
            known_to=known_to,
            calibrated_to=calibrated_to,
            total=total,
        )
        for person in itertools.combinations(AGENCIES, known_to):
            lost = sum(
                loss_of_person(
                    accounting,
                    Fraction(cost),
                    known_to=len(cohort.intersection(person)),
                    calibrated_to=calibrated_to,
                )
                for cost, cohort in published
            )
            assert lost <= stated


@pytest.mark.parametrize("accounting", Accounting)
def test_the_bound_is_reached_by_who_is_known_to_all(accounting: Accounting) -> None:
    """Where everybody answers everything, it is the sum of the prices."""
    bound = most_lost(accounting, [70] * 5, known_to=5, calibrated_to=5, total=70)
    assert bound == 70
    one = most_lost(accounting, [70] * 5, known_to=1, calibrated_to=5, total=70)
    assert one == (3 if accounting is Accounting.ZCDP else 14)  # 70/25 rounded up, 70/5


@pytest.fixture(scope="module")
def stated() -> list[Lifetime]:
    """After one release of three agencies at 0.02 rho, and another one of all."""
    policies = policies_of(shipped(), 1)
    members = sorted(policies.members.members)
    agreement = "agreement/regional-trends"
    used = dict.fromkeys(
        [agreement, f"{agreement}/analysts", f"{agreement}/analyst/a"], 50
    )
    for number, label in enumerate(members):
        used[f"agency/{label}"] = 50 if number < 3 else 30
    return list(
        lifetimes(
            policies,
            [
                Held(account=name, unit=Unit.NANO_RHO, used=amount * NANO // 1000)
                for name, amount in used.items()
            ]
            # Of an agreement that is gone, in the other way to account.
            + [
                Held(account=account, unit=Unit.NANO_EPSILON, used=7)
                for account in ("agency/x", "agreement/old/emergency")
            ],
            [],
        )
    )


def test_the_guarantee_is_quoted_for_one_to_all_agencies(
    stated: list[Lifetime],
) -> None:
    *stated, gone = stated
    assert [each.known_to for each in stated] == [1, 2, 3, 4, 5]
    assert {each.unit for each in stated} == {Unit.NANO_RHO}
    assert {each.calibrated_to for each in stated} == {5}
    assert (gone.unit, gone.known_to) == (Unit.NANO_EPSILON, 1)
    assert gone.delta == 0
    assert gone.lost == gone.at_most == Fraction(7, NANO)
    for each in stated:
        # Our own bound confirms what OpenDP says, rounded up.
        nano = most_lost(
            Accounting.ZCDP,
            [50_000_000] * 3 + [30_000_000] * 2,
            known_to=each.known_to,
            calibrated_to=5,
            total=50_000_000,
        )
        assert delta_upper(nano, each.lost) <= each.delta == Fraction(1, 10**9)
        assert delta_upper(nano, each.lost * 99 / 100) > each.delta
    assert [each.lost for each in stated] == sorted(each.lost for each in stated)


def test_full_accounts_lose_what_the_caps_say(stated: list[Lifetime]) -> None:
    """Known to all, each cap of epsilon 30: five of them in the sum, k/A^2 = 1/5."""
    assert 29.9 < stated[4].at_most <= 30
    assert stated[0].at_most < 30 / 4


def test_noise_of_an_older_version_is_not_forgotten(tmp_path: Path) -> None:
    fewer = "3 agencies\n  reason_for_fewer_agencies: nobody is known to four"
    all_of_them = "person_in_at_most: 5 agencies"
    state = make_state(tmp_path / "hub")
    edit_agreement(state, {all_of_them: f"person_in_at_most: {fewer}"})
    edit_agreement(state, {f"person_in_at_most: {fewer}": all_of_them})
    store = store_of(state)
    with store.read() as tx:
        published = published_after(tx, 0)
    store.close()
    policies = policies_of(shipped(), 1)
    assert len(published) == 3
    for versions, agencies in ((published[:1], 5), (published, 3)):
        (*_, known_to_all) = lifetimes(policies, [], versions)
        assert known_to_all.calibrated_to == agencies
