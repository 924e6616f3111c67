# SPDX-License-Identifier: Apache-2.0
"""What the demo's agencies record of an invented case, beside who, when and where.

Values are those of the data model; how often each occurs is made up.
"""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable, Iterable, Mapping

from accord.client.demo import people

Values = dict[str, tuple[str, ...]]
"""Recorded values by dimension; a dimension of which nothing is recorded is absent."""

Numbers = dict[str, int]
"""Recorded numbers by quantity, and ``age_when_trafficked``."""

TYPES = {
    "forced_labour": 0.42,
    "sexual_exploitation": 0.27,
    "servitude": 0.07,
    "criminal_exploitation": 0.11,
    "forced_begging": 0.04,
    "forced_marriage": 0.03,
    "child_labour": 0.02,
    "organ_removal": 0.005,
    "other": 0.035,
}
MEANS = {
    "false_promises": 9,
    "psychological_abuse": 9,
    "takes_earnings": 8,
    "excessive_working_hours": 7,
    "restricts_movement": 7,
    "debt_bondage": 6,
    "withholds_documents": 6,
    "physical_threats": 6,
    "physical_abuse": 5,
    "threats_to_children_or_family": 5,
    "withholds_necessities": 4,
    "threats_of_law_enforcement": 4,
    "restricts_financial_access": 4,
    "sexual_abuse": 3,
    "psychoactive_substances": 3,
    "restricts_medical_care": 3,
    "other": 2,
}
SECTORS = {
    "agriculture_forestry_fishing": 24,
    "construction": 20,
    "accommodation_and_food": 15,
    "manufacturing": 12,
    "households_as_employers": 10,
    "other_services": 8,
    "transport_and_storage": 5,
    "trade_and_vehicle_repair": 4,
}
SEX_TYPES = {
    "prostitution": 70,
    "private_sexual_services": 15,
    "pornography": 8,
    "remote_interactive_services": 7,
}
RELATIONS = {"acquaintance": 45, "stranger": 35, "family": 20}
METHODS = {
    "online_social_networks": 26,
    "friends_or_social_events": 20,
    "online_advertisement": 17,
    "at_work": 12,
    "family_or_family_events": 10,
    "at_a_place_of_business": 6,
    "newspaper_advertisement": 4,
    "other": 5,
}
PLATFORMS = {
    "facebook": 24,
    "whatsapp": 18,
    "telegram": 15,
    "instagram": 12,
    "tiktok": 10,
    "viber": 7,
    "wechat": 5,
    "snapchat": 5,
    "other": 4,
}
TRANSIT = {"LBY": 5, "TUR": 4, "SRB": 3, "ITA": 3, "ARE": 2, "MYS": 1}
CASE_STATUS = {"active": 30, "follow_up": 20, "closed": 35, "closed_referred": 15}
VICTIM_STATUS = {"possible_victim": 55, "actual_victim": 38, "not_a_victim": 7}
DECIDED_BY = {
    "police": 40,
    "ngo": 25,
    "other_government": 25,
    "court_or_prosecution": 10,
}
TYPE_KNOWN = 0.95
"""Share of cases whose type of exploitation is recorded."""


def circumstances(
    rng: random.Random,
    client: people.Client,
    registered: datetime.date,
    kind: str,
    *,
    thoroughness: float,
    care: bool,
) -> tuple[Values, Numbers]:
    """Draw what is recorded of a case whose main type of exploitation is *kind*.

    Args:
        rng: where chance comes from.
        client: the person as the agency knows them.
        registered: day of registration.
        kind: a key of `TYPES`.
        thoroughness: chance that a field is filled in.
        care: whether the agency looks after people.
    """

    def asked(share: float = 1.0) -> bool:
        return rng.random() < thoroughness * share

    types = _with_more(rng, kind)
    values: Values = client.values(registered)
    values["registered_month"] = (registered.strftime("%Y-%m"),)
    values["case_status"] = _one(rng, CASE_STATUS)
    if rng.random() < TYPE_KNOWN:
        values["exploitation_type"] = types
    values |= _recorded(rng, types, asked)
    if values.get("cross_border") == ("yes",) and asked(0.6):
        values["country_of_exploitation"] = _one(rng, TRANSIT)
    numbers: Numbers = {}
    if "victim_status" in values and asked():
        _add_decision(rng, values, numbers)
    if asked(0.7):
        _add_duration(rng, client, registered, values, numbers)
    if care and asked():
        numbers["days_in_care"] = min(int(rng.gammavariate(1.6, 45)), 730)
    if asked(0.5):
        numbers["number_of_children"] = min(int(rng.expovariate(1 / 1.1)), 8)
    return values, numbers


def _recorded(
    rng: random.Random, types: Iterable[str], asked: Callable[[], bool]
) -> Values:
    """Draw the values that any agency may record, where it asked."""
    held = {name: draw(rng) for name, draw in _OPTIONAL.items() if asked()}
    for type_ in types:
        if type_ in _OF_TYPE and asked():
            dimension, draw = _OF_TYPE[type_]
            held[dimension] = draw(rng)
    return held


_Draw = Callable[[random.Random], tuple[str, ...]]
_OPTIONAL: Mapping[str, _Draw] = {
    "victim_status": lambda rng: _one(rng, VICTIM_STATUS),
    "means_of_control": lambda rng: _several(rng, MEANS, most=9, none=0.06),
    "recruiter_relation": lambda rng: _one(rng, RELATIONS),
    "recruitment_method": lambda rng: _several(rng, METHODS, most=3),
    "recruitment_platform": lambda rng: _several(rng, PLATFORMS, most=4, none=0.3),
    "exploitation_platform": lambda rng: _several(rng, PLATFORMS, most=3, none=0.5),
    "cross_border": lambda rng: _one(rng, {"yes": 7, "no": 3}),
}
_OF_TYPE: Mapping[str, tuple[str, _Draw]] = {
    "forced_labour": ("labour_sector", lambda rng: _one(rng, SECTORS)),
    "sexual_exploitation": (
        "sex_exploitation_type",
        lambda rng: _several(rng, SEX_TYPES, most=2),
    ),
}


def _add_decision(rng: random.Random, values: Values, numbers: Numbers) -> None:
    values["decision_org_type"] = _one(rng, DECIDED_BY)
    numbers["days_to_decision"] = min(int(rng.expovariate(1 / 120)) + 5, 900)


def _add_duration(
    rng: random.Random,
    client: people.Client,
    registered: datetime.date,
    values: Values,
    numbers: Numbers,
) -> None:
    months = min(int(rng.expovariate(1 / 14)), 119)
    numbers["months_exploited"] = months
    values["duration_band"] = (_duration_band(months),)
    if client.birth_date is not None:
        age = max(people.age(client.birth_date, registered) - months // 12, 0)
        numbers["age_when_trafficked"] = age
        values["entry_age_band"] = (people.age_band(age),)


def _with_more(rng: random.Random, kind: str) -> tuple[str, ...]:
    """Return *kind*, and now and then one or two other types with it."""
    more = rng.choices((0, 1, 2), weights=(94.5, 5, 0.5))[0]
    others = [name for name in TYPES if name != kind]
    return (kind, *rng.sample(others, k=more))


def _one(rng: random.Random, weights: Mapping[str, int]) -> tuple[str, ...]:
    return (rng.choices(list(weights), weights=list(weights.values()))[0],)


def _several(
    rng: random.Random, weights: Mapping[str, int], *, most: int, none: float = 0.0
) -> tuple[str, ...]:
    """Draw one value or more, few far more often than many; or ``none``."""
    if rng.random() < none:
        return ("none",)
    count = min(1 + int(rng.expovariate(3 / most)), most)
    drawn = rng.choices(list(weights), weights=list(weights.values()), k=count)
    return tuple(dict.fromkeys(drawn))


def _duration_band(months: int) -> str:
    for last, band in ((12, "0-12"), (24, "13-24"), (60, "25-60")):
        if months <= last:
            return band
    return "61+"
