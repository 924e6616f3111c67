# SPDX-License-Identifier: Apache-2.0
"""A sharing agreement as a board writes it.

A document that parses is complete: every number that a decision needs is in it or has
the default of its form, and every cross-check between its entries has passed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from accord.core.agreement_checks import contradictions
from accord.core.agreement_form import EVERYONE, AgreementForm
from accord.core.canonical import bytes_digest, digest
from accord.core.document import DocumentError, parse_document, problem_at
from accord.core.measure import Bounds
from accord.core.model import DataModel
from accord.core.privacy import Accounting


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """An agreement that passed every check, with its exact bytes' digest."""

    form: AgreementForm
    digest: str
    """SHA-256 of the document's bytes, in hex."""
    text: str
    """The document itself, as boards read it."""

    @property
    def name(self) -> str:
        """Name by which queries call it."""
        return self.form.agreement

    @property
    def parties(self) -> tuple[str, ...]:
        """All parties, in the document's order."""
        return tuple(self.form.parties)

    @property
    def cohorts(self) -> Mapping[str, tuple[str, ...]]:
        """Permitted cohorts by name, members sorted; the largest come first."""
        named = {
            name: tuple(sorted(self.parties if members == EVERYONE else members))
            for name, members in self.form.cohorts.items()
        }
        return dict(sorted(named.items(), key=lambda item: (-len(item[1]), item[0])))

    @property
    def person_in_at_most(self) -> int:
        """A: agencies that may know one person; all parties unless said otherwise."""
        return self.form.protect.person_in_at_most or len(self.parties)

    @property
    def bounds(self) -> Bounds:
        """Bounds on one person's contribution in one agency."""
        protect = self.form.protect
        return Bounds(
            groups_per_person=protect.groups_per_person,
            cases_per_group=protect.cases_per_group,
            drop_cap=protect.drop_cap,
        )

    @property
    def accounting(self) -> Accounting:
        """The one way to account."""
        return self.form.spend.accounting

    def archive_digest(self, model: DataModel) -> str:
        """Return the digest that, with the query key, identifies stored releases.

        It covers what changes an answer to one query: data model, parties, cohorts
        and the protect-clauses; not caps, recipients or dates.
        """
        protect = self.form.protect.model_dump(mode="json")
        return digest(
            {
                "model": model.digest,
                "protect": protect,
                "person_in_at_most": self.person_in_at_most,
                "cohorts": {name: list(who) for name, who in self.cohorts.items()},
                "accounting": self.accounting.value,
                "editions": self.form.editions.model_dump(mode="json"),
            }
        )


def load_agreement(
    text: str, source: str, models: Mapping[str, DataModel]
) -> Agreement:
    """Read an agreement and check it against the data model that it names.

    Raises:
        DocumentError: with every problem found.
    """
    form = parse_document(text, AgreementForm, source=source)
    problems = [
        problem_at(text, path, sentence)
        for path, sentence in contradictions(form, models)
    ]
    if problems:
        raise DocumentError(source, problems)
    return Agreement(form=form, digest=bytes_digest(text.encode()), text=text)
