# SPDX-License-Identifier: Apache-2.0
"""A draft of a data-protection impact assessment."""

from __future__ import annotations

from accord.core.dossier.document import Draft
from accord.core.dossier.matter import (
    Matter,
    write_contacts,
    write_data,
    write_parties,
)


def write_assessment(draft: Draft, matter: Matter) -> None:
    """Write description, necessity, risks, measures and what is left open."""
    form = matter.form
    draft.heading("processing")
    draft.paragraph("processing-how", parties=len(form.parties))
    draft.points(
        "flow-agency",
        "flow-hub",
        f"flow-noise-{form.noise}",
        "flow-release",
        numbered=True,
    )
    draft.heading("purposes")
    draft.paragraph("purposes-are", purposes=", ".join(form.purpose))
    draft.heading("parties-and-law")
    write_parties(draft, matter)
    draft.heading("data")
    draft.paragraph("data-model", model=form.data_model)
    write_data(draft, matter)
    draft.paragraph("data-special")
    draft.heading("necessity")
    draft.points("necessity-aggregates", "necessity-minimum", "necessity-alternatives")
    matter.explained(draft, "what")
    draft.heading("risks")
    _write_risks(draft, matter)
    draft.heading("measures")
    matter.explained(draft, "protection", "cohorts", "person")
    draft.heading("open-risks")
    draft.points(*open_risks(matter))
    draft.heading("rights")
    draft.points("rights-agency", "rights-frozen", "rights-anonymous")
    draft.heading("governance")
    matter.explained(draft, "review", "emergency", "approval", "validity")
    draft.heading("contacts")
    write_contacts(draft, matter)
    draft.heading("counsel-decides")
    draft.points("ask-special", "ask-consent", "ask-anonymous", "ask-operator")


def _write_risks(draft: Draft, matter: Matter) -> None:
    """Write a table of risks, what stands against each, and what is left."""
    risks = ["membership", "inference", "group", "agency", "hub", "misuse", "breach"]
    if matter.form.linkage:
        risks.append("linkage")
    left = {"hub": f"hub-left-{matter.form.noise}"}
    draft.table(
        ("col-risk", "col-against", "col-left"),
        [
            (
                draft.say(f"risk-{risk}"),
                draft.say(f"risk-{risk}-against"),
                draft.say(f"risk-{left.get(risk, f'{risk}-left')}"),
            )
            for risk in risks
        ],
    )


def open_risks(matter: Matter) -> list[str]:
    """Return what the software does not protect against, by message id."""
    found = [f"open-hub-{matter.form.noise}", "open-collusion"]
    found += ["open-analyst", "open-time", "open-agency", "open-links"]
    if matter.policy.agreement.person_in_at_most < len(matter.form.parties):
        found.append("open-fewer")
    if matter.form.protect.no_agency_above is None:
        found.append("open-dominance")
    if matter.form.holds_answers:
        found.append("open-review")
    return found
