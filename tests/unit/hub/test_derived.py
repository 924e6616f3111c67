# SPDX-License-Identifier: Apache-2.0
"""Sums of stored integers, with any way to keep the bound and any law of the noise."""

from __future__ import annotations

import datetime as dt
import uuid
from fractions import Fraction

import pytest

from accord.core.derivation import Derivation, derive
from accord.core.measure import Bounding
from accord.core.opened import standard_deviation
from accord.core.policy import Policy
from accord.core.privacy import mechanism_class
from accord.core.query import Query, canonical_query
from accord.core.terms import noise_plan, terms
from accord.hub.releases.derived import Finer, derived_release, finer_of
from accord.hub.releases.release import Published, make_release
from accord.v1 import analyst_pb2
from tests.unit.core.small_policies import AGREEMENT, MODEL, changed, policy

FIXED = changed(MODEL, dimensions__age__constant=True)
OPEN = changed(
    AGREEMENT,
    may_ask__measures=["persons", "cases"],
    may_ask__group_by={"age": "all", "place": "all", "kind": "all"},
)
PURE = changed(
    OPEN, spend__accounting="pure", spend__delta=..., protect__noise="agents"
)


def ask(found: Policy, *by: tuple[str, str | None]) -> Query:
    return canonical_query(
        agreement="trends",
        edition="2026-Q1",
        measure="persons",
        group_by=by,
        where={},
        model=found.model,
    )


def stored(
    found: Policy, query: Query, bounding: Bounding
) -> tuple[analyst_pb2.Release, list[int]]:
    """Return a release whose cells have 100, 101, ... persons and no noise."""
    agreement = found.agreement
    fixed = terms(agreement, found.model, query, bounding)
    mechanism = mechanism_class(agreement.accounting)(scale=Fraction(300))
    cohort = next(iter(agreement.cohorts))
    members = len(agreement.cohorts[cohort])
    published = Published(
        id=str(uuid.uuid4()),
        policy=found,
        query=query,
        terms=fixed,
        plan=noise_plan(agreement, fixed, mechanism, members),
        cohort=cohort,
        at=dt.datetime(2026, 6, 1, tzinfo=dt.UTC),
        unsafe=False,
    )
    scale = fixed.vector.slots[0].scale
    noisy = [(100 + cell) * scale for cell in range(fixed.layout.n_cells)]
    noisy += [500 * fixed.vector.persons.scale, 0]
    return make_release(published, noisy), noisy


@pytest.mark.parametrize(
    ("document", "bounding"),
    [(OPEN, Bounding.KEEP), (OPEN, Bounding.WEIGH), (PURE, Bounding.KEEP)],
    ids=["keep", "weigh", "pure"],
)
def test_every_kind_of_release_adds_up(
    document: dict[str, object], bounding: Bounding
) -> None:
    found = policy(document, model=FIXED)
    query, coarser = (
        ask(found, ("age", "fine"), ("place", None)),
        ask(found, ("place", None)),
    )
    release, noisy = stored(found, query, bounding)
    derivation = derive(found.model, query, coarser)
    assert isinstance(derivation, Derivation)
    assert derivation.is_exact
    finer = finer_of(found, release, noisy, query, derivation)
    assert isinstance(finer, Finer)
    made = derived_release(found, finer, coarser)
    places = len(made.rows)
    ages = len(release.rows) // places
    for place, row in enumerate(made.rows):
        exact = sum(100 + age * places + place for age in range(ages))
        assert row.estimate.estimate == pytest.approx(exact)
        assert row.estimate.lower <= exact <= row.estimate.upper
        spread = standard_deviation(finer.noise) / finer.scale * ages**0.5
        assert row.estimate.sd == pytest.approx(spread, rel=1e-6)
    assert made.bounding == release.bounding == bounding.value
    assert made.persons.estimate == release.persons.estimate
    half = made.rows[0].estimate.upper - made.rows[0].estimate.estimate
    assert finer.half_width() == pytest.approx(half)


def test_a_release_whose_noise_is_not_what_it_says_is_not_used() -> None:
    found = policy(OPEN, model=FIXED)
    query, coarser = ask(found, ("age", "fine")), ask(found)
    release, noisy = stored(found, query, Bounding.KEEP)
    derivation = derive(found.model, query, coarser)
    assert isinstance(derivation, Derivation)
    release.noise_scale *= 2
    assert finer_of(found, release, noisy, query, derivation) is None
    release.noise_scale /= 2
    assert finer_of(found, release, noisy[:-1], query, derivation) is None
    assert finer_of(found, release, noisy, query, derivation) is not None
    # The same noise in the extra entries, and cells at another scale than the terms'.
    doubled = [*(2 * entry for entry in noisy[:-2]), *noisy[-2:]]
    assert finer_of(found, release, doubled, query, derivation) is None
