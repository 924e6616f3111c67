# SPDX-License-Identifier: Apache-2.0
"""How the demo's agencies write a case into their files: columns, codes and formats.

Columns are those of HTCDS 2.0. It has none for the day of registration, the area, the
source, the border, the duration and the length of care, so agencies added their own,
with the prefix of the table where they keep them.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Mapping

from accord.client.demo.people import Client, Spelling

COLUMNS = (
    "cas_CaseNumber",
    "cas_DateOfRegistration",
    "cas_Source",
    "cas_Status",
    "cas_CaseOwner",
    "cas_ReasonForCaseClosure",
    "cas_CrossBorder",
    "cas_DaysToDecision",
    "org_Region",
    "prs_FirstName",
    "prs_SecondName",
    "prs_Birthdate",
    "prs_IdentityNumber",
    "prs_MobilePhone",
    "prs_Gender",
    "prs_Citizenship",
    "prs_NumberOfChildren",
    "vic_TraffickingStatus",
    "vic_TraffickingStatusDecisionMakingOrg",
    "vic_RelationshipToTrafficker",
    "vic_AgeWhenTrafficked",
    "vic_MethodOfRecruitment",
    "vic_RecruitmentWebsitesAndApps",
    "vic_TypeOfExploitation",
    "vic_ForcedLabourIndustry",
    "vic_TypeOfSexExploitation",
    "vic_ExploitationWebsitesAndApps",
    "vic_MethodsOfControl",
    "vic_DurationOfExploitation",
    "vic_MonthsExploited",
    "hte_Country",
    "spl_DaysInCare",
)

VALUE_SEPARATOR = ";"
"""Between the values of one field, as Salesforce exports them."""

_PLATFORMS = {
    "facebook": "Facebook",
    "facebook_messenger": "FacebookMessenger",
    "instagram": "Instagram",
    "whatsapp": "WhatsApp",
    "telegram": "Telegram",
    "viber": "Viber",
    "snapchat": "SnapChat",
    "wechat": "WeChat",
    "tiktok": "TikTok",
    "other": "Other",
    "none": "None",
}

WORDS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "region": (
        "org_Region",
        {
            "norvale": "Norvale",
            "eastmere": "Eastmere",
            "sudmark": "Sudmark",
            "westholm": "Westholm",
            "port_calla": "PortCalla",
        },
    ),
    "source_type": (
        "cas_Source",
        {
            "case_management": "CaseManagement",
            "hotline": "Hotline",
            "police": "Police",
            "inspection": "LabourInspection",
            "health": "HealthService",
        },
    ),
    "case_status": (
        "cas_Status",
        {
            "active": "Active",
            "follow_up": "FollowUp",
            "closed": "Closed",
            "closed_referred": "ClosedReferred",
        },
    ),
    "cross_border": ("cas_CrossBorder", {"yes": "Yes", "no": "No"}),
    "gender": (
        "prs_Gender",
        {
            "woman": "Feminine",
            "man": "Masculine",
            "transgender_woman": "TransgenderFeminine",
            "transgender_man": "TransgenderMasculine",
            "non_conforming": "NonConforming",
        },
    ),
    "victim_status": (
        "vic_TraffickingStatus",
        {
            "possible_victim": "PossibleVictimOfTrafficking",
            "actual_victim": "ActualVictimOfTrafficking",
            "not_a_victim": "NotAVictimOfTrafficking",
        },
    ),
    "decision_org_type": (
        "vic_TraffickingStatusDecisionMakingOrg",
        {
            "police": "Police",
            "ngo": "NGO",
            "court_or_prosecution": "CourtOrProsecution",
            "other_government": "NonPoliceGovernmentalOrganization",
        },
    ),
    "recruiter_relation": (
        "vic_RelationshipToTrafficker",
        {"family": "Familial", "acquaintance": "Acquainted", "stranger": "Unaquainted"},
    ),
    "recruitment_method": (
        "vic_MethodOfRecruitment",
        {
            "at_a_place_of_business": "AtAPlaceOfBusiness",
            "at_work": "AtWork",
            "online_social_networks": "ThroughOnlineSocialNetworks",
            "online_advertisement": "ThroughAnOnlineAdvertisement",
            "newspaper_advertisement": "ThroughANewspaperAdvert",
            "family_or_family_events": "ThroughFamilyOrFamilyEvents",
            "friends_or_social_events": "ThroughFriendsOrSocialEvents",
            "other": "Other",
        },
    ),
    "recruitment_platform": ("vic_RecruitmentWebsitesAndApps", _PLATFORMS),
    "exploitation_platform": ("vic_ExploitationWebsitesAndApps", _PLATFORMS),
    "exploitation_type": (
        "vic_TypeOfExploitation",
        {
            "forced_labour": "ForcedLabour",
            "sexual_exploitation": "SexualExploitation",
            "servitude": "Servitude",
            "criminal_exploitation": "CriminalExploitation",
            "forced_begging": "ForcedBegging",
            "forced_marriage": "ForcedMarriage",
            "child_labour": "ChildLabour",
            "organ_removal": "OrganRemoval",
            "other": "Other",
        },
    ),
    "labour_sector": (
        "vic_ForcedLabourIndustry",
        {
            "agriculture_forestry_fishing": "A_AgricultureForestryAndFishing",
            "manufacturing": "C_Manufacturing",
            "construction": "F_Construction",
            "trade_and_vehicle_repair": (
                "G_WholesaleAndRetailTradeRepairOfMotorVehicles"
            ),
            "transport_and_storage": "H_TransportationAndStorage",
            "accommodation_and_food": "I_AccommodationAndFoodServiceActivities",
            "other_services": "S_OtherServiceActivities",
            "households_as_employers": "T_ActivitiesOfHouseholdsAsEmployers",
        },
    ),
    "sex_exploitation_type": (
        "vic_TypeOfSexExploitation",
        {
            "prostitution": "Prostitution",
            "pornography": "Pornography",
            "remote_interactive_services": "RemoteInteractiveServices",
            "private_sexual_services": "PrivateSexualServices",
        },
    ),
    "means_of_control": (
        "vic_MethodsOfControl",
        {
            "debt_bondage": "DebtBondage",
            "takes_earnings": "TakesEarnings",
            "restricts_financial_access": "RestrictsFinancialAccess",
            "physical_threats": "PhysicalThreats",
            "threats_of_law_enforcement": "ThreatsLawEnforcement",
            "threats_to_children_or_family": "ThreatensChildrenFamily",
            "psychological_abuse": "PsychologicalAbuse",
            "physical_abuse": "PhysicalAbuse",
            "sexual_abuse": "SexualAbuse",
            "false_promises": "FalsePromises",
            "psychoactive_substances": "PsychoactiveSubstance",
            "restricts_movement": "RestrictsMovement",
            "restricts_medical_care": "RestrictsMedicalCare",
            "excessive_working_hours": "ExcessiveWorkingHours",
            "withholds_necessities": "WithholdsNecessities",
            "withholds_documents": "WithholdsDocuments",
            "other": "Other",
            "none": "None",
        },
    ),
    "duration_band": (
        "vic_DurationOfExploitation",
        {
            "0-12": "UpTo12Months",
            "13-24": "UpTo24Months",
            "25-60": "UpTo60Months",
            "61+": "Over60Months",
        },
    ),
}
"""Dimension to its column and, by value of the data model, the value name in files.

Countries are written as they are, in ISO 3166-1 alpha-3.
"""

_PROPER = {"recruitment_platform", "exploitation_platform", "labour_sector"}
"""Dimensions whose value names are proper names or codes, written alike by all."""

_NUMBERS = {
    "days_to_decision": "cas_DaysToDecision",
    "number_of_children": "prs_NumberOfChildren",
    "age_when_trafficked": "vic_AgeWhenTrafficked",
    "months_exploited": "vic_MonthsExploited",
    "days_in_care": "spl_DaysInCare",
}

_CLOSING_NOTES = (
    "",
    "Moved on to housing of her own, safe for now.",
    "{name} returned home; flight booked with family, met at the airport.",
    "No contact since the last call.",
    "Referred to legal aid; asked not to be phoned before noon.",
    "",
    'Said "I can go on by myself now". Sister of {name} keeps in touch.',
    "Withdrew the statement.",
    "Works in a bakery; {name} sends regards to everybody.\nFile complete.",
    "",
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """The habits of one agency's case system."""

    prefix: str
    """Begins every case number."""
    staff: tuple[str, ...]
    spelling: Spelling
    delimiter: str = ","
    day_format: str = "%Y-%m-%d"
    labels: bool = False
    """Writes the label ``Forced labour``, not the value name ``ForcedLabour``."""
    own_words: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Value name of the standard to what the agency writes instead."""

    def row(
        self,
        *,
        number: int,
        registered: datetime.date,
        client: Client,
        values: Mapping[str, tuple[str, ...]],
        numbers: Mapping[str, int],
    ) -> list[str]:
        """Return one line of the file, in the order of `COLUMNS`."""
        born = client.birth_date
        closed = any(status.startswith("closed") for status in values["case_status"])
        note = _CLOSING_NOTES[number % len(_CLOSING_NOTES)] if closed else ""
        cells = {
            "cas_CaseNumber": f"{self.prefix}-{registered.year}-{number:05d}",
            "cas_DateOfRegistration": registered.strftime(self.day_format),
            "cas_CaseOwner": self.staff[number % len(self.staff)],
            "cas_ReasonForCaseClosure": note.format(name=client.given or "The caller"),
            "prs_FirstName": client.given,
            "prs_SecondName": client.family,
            "prs_Birthdate": born.strftime(self.day_format) if born else "",
            "prs_IdentityNumber": client.identity_number,
            "prs_MobilePhone": client.phone,
            "prs_Citizenship": VALUE_SEPARATOR.join(values.get("citizenship", ())),
            "hte_Country": "".join(values.get("country_of_exploitation", ())),
        }
        for dimension, (column, words) in WORDS.items():
            held = values.get(dimension, ())
            written = [self._word(dimension, words[value]) for value in held]
            cells[column] = VALUE_SEPARATOR.join(written)
        for name, column in _NUMBERS.items():
            cells[column] = str(numbers[name]) if name in numbers else ""
        return [cells[column] for column in COLUMNS]

    def _word(self, dimension: str, name: str) -> str:
        if name in self.own_words:
            return self.own_words[name]
        return label(name) if self.labels and dimension not in _PROPER else name


_LABELS = {
    "ThreatsLawEnforcement": "Threats of law enforcement",
    "ThreatensChildrenFamily": "Threatens children/family",
    "NonPoliceGovernmentalOrganization": "Non-police governmental organization",
    "TransgenderFeminine": "Transgender Feminine",
    "TransgenderMasculine": "Transgender Masculine",
    "NonConforming": "Non-Conforming",
    "NonSpecifiedUnknown": "Not Specified/Unknown",
    "ForcedMilitaryByNonStateActors": "Forced military (by non-state actors)",
    "FollowUp": "Follow Up",
    "ClosedReferred": "Closed Referred",
    "RemoteInteractiveServices": "Remote Interactive Services",
    "PrivateSexualServices": "Private Sexual Services",
}


_WORD_BEGINS = re.compile(
    r"(?<=[a-z])(?=[A-Z0-9])|(?<=[0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])"
)


def label(name: str) -> str:
    """Return the label that forms show for a value name of the standard."""
    if name in _LABELS or name.isupper():
        return _LABELS.get(name, name)
    return _WORD_BEGINS.sub(" ", name).capitalize()


POLICE = Dialect(
    prefix="CP",
    staff=("DC Aldous", "DC Marlow", "DS Prentice"),
    spelling=Spelling(own_script=0.1, upper_family=True, swapped=0.02, slips=0.03),
    day_format="%d/%m/%Y",
)
HOTLINE = Dialect(
    prefix="NH",
    staff=("adviser 11", "adviser 14", "adviser 27", "adviser 30"),
    spelling=Spelling(own_script=0.03, slips=0.05),
    labels=True,
)
SHELTER = Dialect(
    prefix="SN",
    staff=("K. Lindqvist", "R. Abara"),
    spelling=Spelling(own_script=0.6, slips=0.005),
)
INSPECTORATE = Dialect(
    prefix="LI",
    staff=("Inspector Hale", "Inspector Okonjo"),
    spelling=Spelling(own_script=0.15, swapped=0.04),
    delimiter=";",
    day_format="%d.%m.%Y",
)
HEALTH = Dialect(
    prefix="HS",
    staff=("ward 3", "ward 7", "outpatients"),
    spelling=Spelling(own_script=0.2),
    delimiter="\t",
    own_words={"Feminine": "F", "Masculine": "M"},
)
