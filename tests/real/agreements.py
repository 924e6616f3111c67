# SPDX-License-Identifier: Apache-2.0
"""Agreements of the agencies that share the published files, and who asks."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

from accord.core.agreement import Agreement, load_agreement
from accord.core.decide import Analyst
from accord.core.model import DataModel, load_model

ROOT = Path(__file__).resolve().parent.parent.parent
POLICIES = ROOT / "policies"
MODEL_FILE = POLICIES / "models" / "cases-v1.yaml"

PURPOSE = "testing"
ORGANISATION = "observatory"
ANALYST = Analyst(id="ana", organisation=ORGANISATION, roles=frozenset({"analyst"}))

DROP_CAP = 2
"""More than the default, so that `dropped` is more than a count of persons."""

ONE_AGENCY = """
  person_in_at_most: 1 agency
  reason_for_fewer_agencies: every record of the file is another person"""

NAMES = {3: "three-groups", 18: "all-groups"}
"""Agreements by the most groups of one person."""


def mapping_file(name: str) -> Path:
    """Return a mapping as it is shipped."""
    return POLICIES / "mappings" / f"{name}.yaml"


def shipped_model() -> DataModel:
    """Return the data model as it is shipped."""
    return load_model(MODEL_FILE.read_text(encoding="utf-8"), MODEL_FILE.name)


def agreement_text(
    name: str,
    parties: Sequence[str],
    today: datetime.date,
    *,
    groups: int,
    accounting: str = "zcdp",
    one_agency: bool = True,
) -> str:
    """Return an agreement that allows every question of these tests.

    Args:
        name: its name.
        parties: agencies.
        today: lies within its validity.
        groups: most groups of one person.
        accounting: ``zcdp`` or ``pure``.
        one_agency: whether a person is known to one agency at most, which is true of
            both files; otherwise the noise is for persons whom all agencies know.
    """
    delta = "delta: 1e-9" if accounting == "zcdp" else ""
    return f"""
agreement: {name}
version: 1
purpose: [{PURPOSE}]
hub_operator: regional-observatory
parties: [{", ".join(parties)}]
recipients: {{roles: [analyst], organisations: [{ORGANISATION}]}}
data_model: cases-v1
editions: {{every: month}}
may_ask:
  measures: [persons, cases]
  group_by:
    registered_month: all
    source_type: all
    gender: all
    age_band: all
    entry_age_band: all
    citizenship: all
    country_of_exploitation: all
    exploitation_type: all
    means_of_control: all
    recruiter_relation: all
  at_most_dimensions: 3
protect:
  groups_per_person: {groups}
  drop_cap: {DROP_CAP}
  suppress_below: 0
  noise: hub
  hub_sees_exact_pooled_sums: accepted{ONE_AGENCY if one_agency else ""}
spend:
  accounting: {accounting}
  {delta}
  each_release_at_most: {{epsilon: 3}}
  each_analyst: {{epsilon: 100, every: 90 days}}
  everyone: {{epsilon: 100, every: 365 days}}
approval: {{quorum: 1}}
valid:
  from: {today - datetime.timedelta(days=100)}
  until: {today + datetime.timedelta(days=100)}
  review_by: {today}
"""


def agreement(text: str, model: DataModel) -> Agreement:
    """Read an agreement."""
    return load_agreement(text, "agreement", {model.name: model})
