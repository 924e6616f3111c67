# SPDX-License-Identifier: Apache-2.0
"""The two published files as sources of plain group-bys, coded by hand."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from ruamel.yaml import YAML

from tests.real.reference import (
    QUARTERS,
    UNKNOWN,
    YEARS,
    Facet,
    ModelOrder,
    Source,
    facet_of_flags,
    facet_of_many,
    facet_of_one,
)

CTDC_RECORDS = 193_025
NRM_PERSONS = 30_197

CTDC_GENDERS = {
    "Female": "woman",
    "Male": "man",
    "Transgender/NonConforming": "another_gender",
    "": UNKNOWN,
}
CTDC_EXPLOITATION = {
    "isForcedLabour": "forced_labour",
    "isSexualExploit": "sexual_exploitation",
    "isOtherExploit": "other",
}
CTDC_MEANS = {
    "meansOfControlDebtBondage": "debt_bondage",
    "meansOfControlTakesEarnings": "takes_earnings",
    "meansOfControlThreats": "threats_unspecified",
    "meansOfControlPsychologicalAbuse": "psychological_abuse",
    "meansOfControlPhysicalAbuse": "physical_abuse",
    "meansOfControlSexualAbuse": "sexual_abuse",
    "meansOfControlFalsePromises": "false_promises",
    "meansOfControlPsychoactiveSubstances": "psychoactive_substances",
    "meansOfControlRestrictsMovement": "restricts_movement",
    "meansOfControlRestrictsMedicalCare": "restricts_medical_care",
    "meansOfControlExcessiveWorkingHours": "excessive_working_hours",
    "meansOfControlThreatOfLawEnforce": "threats_of_law_enforcement",
    "meansOfControlWithholdsNecessities": "withholds_necessities",
    "meansOfControlWithholdsDocuments": "withholds_documents",
    "meansOfControlOther": "other",
}
CTDC_RECRUITERS = {
    "recruiterRelationIntimatePartner": "intimate_partner",
    "recruiterRelationFriend": "friend",
    "recruiterRelationFamily": "family",
    "recruiterRelationOther": "other",
}


def ctdc_source(file: Path, order: ModelOrder) -> Source:
    """Read the CTDC file."""
    text = pd.read_csv(file, dtype=str, keep_default_na=False)

    def ages(*, broad: bool) -> Facet:
        fine = text["ageBroad"].str.replace("--", "-", regex=False)
        fine = fine.replace({"09-17": "9-17", "": UNKNOWN})
        if not broad:
            return facet_of_one("age_band", order.fine("age_band"), fine)
        minor = fine.isin(["0-8", "9-17"])
        values = minor.map({True: "0-17", False: "18+"}).mask(fine == UNKNOWN, UNKNOWN)
        return facet_of_one("age_band", ["0-17", "18+", UNKNOWN], values)

    def countries(dimension: str, column: str, *, broad: bool) -> Facet:
        fine = text[column].replace({"": UNKNOWN})
        if not broad:
            return facet_of_one(dimension, order.fine(dimension), fine)
        values = fine.map(order.group_of(dimension))
        return facet_of_one(dimension, order.broad(dimension), values)

    def flags(dimension: str, columns: dict[str, str]) -> Facet:
        found = {value: text[column] for column, value in columns.items()}
        return facet_of_flags(dimension, order.fine(dimension), found)

    def genders() -> Facet:
        values = text["gender"].map(CTDC_GENDERS)
        return facet_of_one("gender", order.fine("gender"), values)

    def years() -> Facet:
        values = text["yearOfRegistration"].replace({"": UNKNOWN})
        return facet_of_one("registered_month", YEARS, values)

    world, here = "region_of_the_world", "country_of_exploitation"
    return Source(
        len(text),
        {
            ("registered_month", "year"): years,
            ("gender", "gender"): genders,
            ("age_band", "fine"): lambda: ages(broad=False),
            ("age_band", "broad"): lambda: ages(broad=True),
            ("citizenship", "country"): lambda: countries(
                "citizenship", "citizenship", broad=False
            ),
            ("citizenship", world): lambda: countries(
                "citizenship", "citizenship", broad=True
            ),
            (here, "country"): lambda: countries(
                here, "CountryOfExploitation", broad=False
            ),
            (here, world): lambda: countries(here, "CountryOfExploitation", broad=True),
            ("exploitation_type", "type"): lambda: flags(
                "exploitation_type", CTDC_EXPLOITATION
            ),
            ("means_of_control", "means"): lambda: flags(
                "means_of_control", CTDC_MEANS
            ),
            ("recruiter_relation", "relation"): lambda: flags(
                "recruiter_relation", CTDC_RECRUITERS
            ),
        },
    )


NRM_GENDERS = {
    "Female": "woman",
    "Male": "man",
    "Other": "another_gender",
    "Not Recorded": UNKNOWN,
    "Unknown": UNKNOWN,
}
NRM_AGES = {
    "Adult (18 or over)": "18+",
    "Child (17 or under)": "0-17",
    "Not specified or unknown": UNKNOWN,
}
NRM_EXPLOITATION = {
    "Sexual": "sexual_exploitation",
    "Labour": "forced_labour",
    "Domestic": "servitude",
    "Criminal": "criminal_exploitation",
    "Organ Harvesting": "organ_removal",
}
NRM_RESPONDERS = {
    "Government agency": "central_government",
    "Local Authority": "local_government",
    "NGO and third sector": "case_management",
    "Police": "police",
}


def nrm_persons(file: Path) -> pd.DataFrame:
    """Expand the table of the NRM to one row per person."""
    text = pd.read_csv(file, dtype=str, keep_default_na=False)
    people = text["people"].astype(int)
    expanded = text.loc[text.index.repeat(people)].drop(columns="people")
    return expanded.reset_index(drop=True)


def nrm_source(persons: pd.DataFrame, order: ModelOrder, mapping: Path) -> Source:
    """Return the persons of the NRM, all agencies together."""
    nationality = Nationalities(mapping)

    def quarters() -> Facet:
        values = persons["quarter"].str.slice(0, 4) + "-" + persons["quarter"].str[4:]
        return facet_of_one("registered_month", QUARTERS, values)

    def mapped(dimension: str, column: str, codes: dict[str, str]) -> Facet:
        values = persons[column].map(codes)
        return facet_of_one(dimension, order.fine(dimension), values)

    def ages() -> Facet:
        values = persons["age"].map(NRM_AGES)
        return facet_of_one("entry_age_band", ["0-17", "18+", UNKNOWN], values)

    def exploitations() -> Facet:
        known = {label: _exploitations(label) for label in set(persons["exploitation"])}
        values = persons["exploitation"].map(known)
        dimension = "exploitation_type"
        return facet_of_many(dimension, order.fine(dimension), values)

    def citizenships() -> Facet:
        known = {label: nationality(label) for label in set(persons["nationality"])}
        values = persons["nationality"].map(known)
        return facet_of_many("citizenship", order.fine("citizenship"), values)

    return Source(
        len(persons),
        {
            ("registered_month", "quarter"): quarters,
            ("source_type", "source_type"): lambda: mapped(
                "source_type", "first_responder_type", NRM_RESPONDERS
            ),
            ("gender", "gender"): lambda: mapped("gender", "gender", NRM_GENDERS),
            ("entry_age_band", "broad"): ages,
            ("exploitation_type", "type"): exploitations,
            ("citizenship", "country"): citizenships,
        },
    )


def _exploitations(label: str) -> list[str]:
    """Read a set such as ``Sexual, Labour & Domestic``."""
    if label == "Not specified or unknown":
        return []
    return [NRM_EXPLOITATION[word] for word in label.replace(" & ", ", ").split(", ")]


class Nationalities:
    """Reads ``Albanian``, ``Pakistani UK`` and ``Congolese (Drc) Unknown``.

    Which country an adjective means is taken from the mapping's entries for one
    nationality. How two of them stand in one label is found out here.
    """

    def __init__(self, mapping: Path) -> None:
        written: Any = YAML(typ="safe", pure=True).load(mapping)
        codes: dict[str, str | list[str]] = written["dimensions"]["citizenship"][
            "codes"
        ]
        single = {
            label.casefold(): code
            for label, code in codes.items()
            if isinstance(code, str) and not {"unknown"} & set(_lower_words(label))
        }
        self._countries: dict[str, list[str]] = {
            label: [code] for label, code in single.items()
        }
        self._countries["unknown"] = []

    def __call__(self, label: str) -> list[str]:
        """Return the countries of a label, in its order."""
        words = _lower_words(label)
        whole = self._countries.get(" ".join(words))
        if whole is not None:
            return whole
        splits = [
            (" ".join(words[:cut]), " ".join(words[cut:]))
            for cut in range(1, len(words))
        ]
        found = [
            self._countries[left] + self._countries[right]
            for left, right in splits
            if left in self._countries and right in self._countries
        ]
        if len(found) != 1:
            message = f"the label {label!r} can be read in {len(found)} ways"
            raise ValueError(message)
        return list(dict.fromkeys(itertools.chain.from_iterable(found)))


def _lower_words(label: str) -> Sequence[str]:
    return label.casefold().split()
