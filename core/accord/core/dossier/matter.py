# SPDX-License-Identifier: Apache-2.0
"""What every part of a dossier draws on, and the sections that several share."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from accord.core.agreement_form import AgreementForm
from accord.core.board import BoardForm
from accord.core.dossier.document import Draft
from accord.core.explain import Passage, explain_agreement
from accord.core.policy import Policy


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """The agreement that a dossier is about."""

    policy: Policy
    board: BoardForm | None

    @property
    def form(self) -> AgreementForm:
        """The agreement as it is written."""
        return self.policy.agreement.form

    def passages(self, *sections: str) -> Iterable[Passage]:
        """Return the explanation's sentences of some sections."""
        explained = explain_agreement(self.policy, self.board)
        return (each for each in explained if each.section in sections)

    def explained(self, draft: Draft, *sections: str) -> None:
        """Write those sentences as points."""
        draft.bullets(each.text(draft.language) for each in self.passages(*sections))

    def name_of(self, label: str) -> str:
        """Return a party's name, or its label where it has none."""
        member = self.policy.members.members.get(label)
        return label if member is None else member.name


def write_parties(draft: Draft, matter: Matter) -> None:
    """Write a table of the parties: what they are there for, and their law."""
    rows: list[tuple[str, ...]] = []
    for label in matter.form.parties:
        member = matter.policy.members.members.get(label)
        law = matter.form.law.get(label)
        stated = draft.say("law-not-stated")
        rows.append(
            (
                f"{matter.name_of(label)} ({label})",
                "" if member is None else member.remit.description,
                stated if law is None else draft.say(f"regime-{law.regime}"),
                stated if law is None else law.basis,
                stated if law is None or law.assessment is None else law.assessment,
            )
        )
    draft.table(
        ("col-party", "col-remit", "col-regime", "col-basis", "col-assessment"), rows
    )


def write_data(draft: Draft, matter: Matter) -> None:
    """Write a table of the properties of a person that answers may show."""
    rows = []
    for name, finest in matter.form.may_ask.group_by.items():
        dimension = matter.policy.model.dimension(name)
        level = finest if finest in dimension.levels else dimension.levels[0]
        rows.append((name, dimension.title, level, str(len(dimension.domain(level)))))
    draft.table(("col-property", "col-meaning", "col-finest", "col-values"), rows)


def write_contacts(draft: Draft, matter: Matter) -> None:
    """Write whom to call."""
    contacts = matter.form.contacts
    if contacts is None:
        draft.paragraph("contacts-missing")
        return
    draft.table(
        ("col-matter", "col-contact"),
        [
            (draft.say(f"contact-{name}"), contact)
            for name, contact in (
                ("breach", contacts.breach),
                ("complaints", contacts.complaints),
                ("audit", contacts.audit),
            )
            if contact is not None
        ],
    )
