# SPDX-License-Identifier: Apache-2.0
"""The presets that are shipped: they load, say why, and their figures are right."""

from __future__ import annotations

import dataclasses
import math
import re
from fractions import Fraction

import pytest

from accord.core.afford import cost_of_width, noise_of, sensitivity_of
from accord.core.agreement_form import PRESETS
from accord.core.epsilon_delta import epsilon_to_rho_tight, rho_to_epsilon_tight
from accord.core.lint import errors, lint
from accord.core.placement import Placement
from accord.core.policy import load_policy_set
from accord.core.preset import Preset, load_preset
from tests.policies import shipped

DELTA = Fraction(1, 10**9)
EXTENDING = """\
agreement: extending
extends: {name}
version: 1
purpose: [prevention planning]
hub_operator: regional-observatory
parties:
  [shelter-north, city-police, national-hotline, labour-inspectorate, health-service]
recipients: {{roles: [analyst], organisations: [observatory]}}
data_model: cases-v1
editions: {{every: year, embargo: 90 days}}
may_ask:
  measures: [persons]
  group_by: {{registered_month: year, gender: all, age_band: broad}}
  at_most_dimensions: 2
protect: {{groups_per_person: 1}}
review: {{releases: {review}, reviewers: [dora]}}
law:
  shelter-north: {{regime: none, basis: its statute, assessment: A-1}}
  city-police: {{regime: none, basis: its statute, assessment: A-2}}
  national-hotline: {{regime: none, basis: its statute, assessment: A-3}}
  labour-inspectorate: {{regime: none, basis: its statute, assessment: A-4}}
  health-service: {{regime: none, basis: its statute, assessment: A-5}}
valid: {{from: 2026-01-01, until: 2027-12-31, review_by: 2026-12-31}}
"""


def preset(name: str) -> Preset:
    """Return a shipped preset."""
    path = f"presets/{name}.yaml"
    return load_preset(shipped()[path].decode(), path)


def extending(name: str, old: str = "", new: str = "") -> dict[str, bytes]:
    """Return the samples with an agreement that extends a preset."""
    review = preset(name).form.review.releases or "automatic"
    text = EXTENDING.format(name=name, review=review)
    assert old in text
    content = text.replace(old, new, 1).encode()
    return shipped() | {"agreements/extending.yaml": content}


def test_every_preset_is_shipped_and_no_other() -> None:
    """The names are part of the language."""
    names = {p for p in shipped() if p.startswith("presets/")}
    assert names == {f"presets/{name}.yaml" for name in PRESETS}


@pytest.mark.parametrize("name", PRESETS)
def test_an_agreement_can_extend_it_and_leave_the_rest_to_it(name: str) -> None:
    """Spending and approval come from the preset; nothing has to be said twice."""
    documents = extending(name)
    assert errors(lint(documents)) == ()
    found = load_policy_set(documents).agreements["extending"].form
    form = preset(name).form
    assert found.spend.everyone == form.spend.everyone
    assert found.spend.lifetime == form.spend.lifetime
    assert found.approval.quorum == form.approval.quorum
    assert found.protect.suppress_below == form.protect.suppress_below


@pytest.mark.parametrize("name", PRESETS)
def test_an_agreement_cannot_loosen_it(name: str) -> None:
    """Nor give the agreement a purpose that the preset rules out."""
    looser = extending(name, "groups_per_person: 1", "groups_per_person: 64")
    assert any(
        each.entry.startswith("protect.groups_per_person")
        for each in errors(lint(looser))
    )
    targeting = extending(name, "[prevention planning]", "[law enforcement targeting]")
    assert any(each.entry.startswith("purpose") for each in errors(lint(targeting)))


@pytest.mark.parametrize("name", PRESETS)
def test_it_gives_its_reasons_and_can_buy_a_release(name: str) -> None:
    """Boards read the reasons; every cap buys a release of the largest size."""
    form = preset(name).form
    assert len(form.because) >= 3
    spend = form.spend
    assert spend.each_release_at_most is not None
    assert spend.each_analyst is not None
    assert spend.everyone is not None
    assert spend.lifetime is not None
    single = spend.each_release_at_most.epsilon
    assert single <= spend.each_analyst.epsilon <= spend.everyone.epsilon
    assert spend.everyone.epsilon <= spend.lifetime.epsilon


def test_the_figures_for_a_person_known_to_several_agencies_are_right() -> None:
    """Computed again, as the sentences of the presets say them."""
    uk = " ".join(preset("uk_partner").form.because)
    year = epsilon_to_rho_tight(18, DELTA)
    for agencies, words in ((1, "8.2 if one"), (3, "29.5 if three"), (5, "57 if all")):
        rho = math.ceil(Fraction(year) * agencies**2 / 4)
        said = re.match(r"[0-9.]+", words)
        assert said
        assert words in uk
        assert float(rho_to_epsilon_tight(rho, DELTA)) <= float(said[0]) + 1e-9
        assert float(rho_to_epsilon_tight(rho, DELTA)) >= float(said[0]) - 0.1
    lifetime = epsilon_to_rho_tight(30, DELTA) / 1e9
    assert 2 * 2.8 <= lifetime < 3 * 2.8


def test_the_price_of_a_years_bulletin_and_questions_is_right() -> None:
    """And how much dearer the shares of the noise make it."""
    uk = " ".join(preset("uk_partner").form.because)
    known = "{person_in_at_most: 2, reason_for_fewer_agencies: counted}"
    documents = extending("uk_partner", "{groups_per_person: 1}", known)
    agreement = load_policy_set(documents).agreements["extending"]
    sensitivity, noise = sensitivity_of(agreement), noise_of(agreement)
    each = cost_of_width(noise, 15, sensitivity)
    by_hub = dataclasses.replace(noise, placement=Placement.HUB)
    alone = cost_of_width(by_hub, 15, sensitivity)
    assert each is not None
    assert alone is not None
    assert f"ρ = {each / 1e9:.3f}, ρ = {37 * each / 1e9:.1f} together" in uk
    assert f"about {100 * (each / alone - 1):.0f} % dearer" in uk


def test_the_figures_for_a_person_known_to_one_agency_are_right() -> None:
    """Of five, by the square of the share in rho."""
    for name, cap, said_one in (("us_vsp", 8, 1.4), ("crisis", 10, 1.8)):
        share = math.ceil(Fraction(epsilon_to_rho_tight(cap, DELTA), 25))
        assert f"about {said_one}" in " ".join(preset(name).form.because)
        loss = float(rho_to_epsilon_tight(share, DELTA))
        assert loss == pytest.approx(said_one, abs=0.06)
