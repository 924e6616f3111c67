# SPDX-License-Identifier: Apache-2.0
"""Drafts of an annex to a memorandum and of a record of processing."""

from __future__ import annotations

from accord.core.agreement_form import Retention
from accord.core.dossier.document import Draft
from accord.core.dossier.matter import (
    Matter,
    write_contacts,
    write_data,
    write_parties,
)


def write_annex(draft: Draft, matter: Matter) -> None:
    """Write what the parties agree on, in the agreement's own values."""
    form = matter.form
    draft.heading("annex-scope")
    draft.paragraph("annex-scope-is", name=form.agreement, version=form.version)
    draft.heading("parties-and-law")
    write_parties(draft, matter)
    draft.paragraph("annex-operator", operator=form.hub_operator)
    for heading, sections in (
        ("annex-recipients", ("who",)),
        ("annex-questions", ("what",)),
        ("annex-protection", ("protection", "cohorts")),
        ("annex-spending", ("spending", "person")),
        ("annex-linkage", ("linkage",)),
        ("annex-review", ("review", "emergency")),
        ("annex-changes", ("approval", "validity")),
    ):
        draft.heading(heading)
        matter.explained(draft, *sections)
    draft.heading("annex-duties")
    draft.points(
        "duty-records", "duty-keys", "duty-mapping", "duty-budget", "duty-breach"
    )
    draft.heading("annex-leaving")
    draft.points("leaving-stop", "leaving-past", "leaving-parties")
    draft.heading("contacts")
    write_contacts(draft, matter)
    draft.heading("annex-signatures")
    draft.table(
        ("col-party", "col-signature", "col-date"),
        [(matter.name_of(label), "", "") for label in form.parties],
    )


def write_record(draft: Draft, matter: Matter) -> None:
    """Write who processes what, for whom, why, and how long it is kept."""
    form = matter.form
    draft.heading("record-controllers")
    write_parties(draft, matter)
    draft.paragraph("record-operator", operator=form.hub_operator)
    draft.heading("purposes")
    draft.paragraph("purposes-are", purposes=", ".join(form.purpose))
    draft.heading("record-subjects")
    draft.paragraph("subjects-are")
    draft.heading("data")
    write_data(draft, matter)
    draft.heading("record-recipients")
    draft.paragraph(
        "recipients-are",
        roles=", ".join(form.recipients.roles),
        organisations=", ".join(form.recipients.organisations),
    )
    draft.paragraph(f"onward-{form.recipients.onward_sharing}")
    draft.heading("record-transfers")
    draft.paragraph("transfers-are")
    draft.heading("record-retention")
    draft.table(
        ("col-what", "col-where", "col-kept"),
        [
            (
                draft.say(
                    f"kept-{what}-{form.noise}" if what == "sum" else f"kept-{what}"
                ),
                draft.say(f"kept-{what}-where"),
                _until(draft, what, form.retention),
            )
            for what in (
                "names",
                "store",
                "editions",
                "answers",
                "counts",
                "sum",
                "releases",
                "log",
                "budget",
                "policies",
                "tokens",
            )
        ],
    )
    draft.paragraph("kept-erasure")
    draft.heading("record-measures")
    draft.points(
        "measure-tls",
        "measure-masks",
        "measure-keys",
        "measure-policies",
        "measure-noise",
        "measure-log",
    )
    draft.heading("contacts")
    write_contacts(draft, matter)


def _until(draft: Draft, what: str, retention: Retention) -> str:
    """Return how long something is kept, by the agreement where it says so."""
    agreed = {"releases": retention.releases, "log": retention.questions}.get(what)
    if agreed is None:
        return draft.say(f"kept-{what}-until")
    return draft.say("kept-until-days", days=agreed)
