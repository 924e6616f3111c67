# SPDX-License-Identifier: Apache-2.0
"""A sharing agreement as a board writes it.

A document that parses is complete: every number that a decision needs is in it or has
the default of its form, and every cross-check between its entries has passed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from accord.core.agreement_checks import contradictions
from accord.core.agreement_form import EVERYONE, AgreementForm, NoisePlacement
from accord.core.canonical import bytes_digest, digest
from accord.core.document import (
    DocumentError,
    parse_document,
    plain_document,
    problem_at,
)
from accord.core.epsilon_delta import epsilon_to_rho_lower
from accord.core.errors import suggestion
from accord.core.measure import Bounds
from accord.core.model import DataModel
from accord.core.preset import Preset
from accord.core.preset_checks import loosenings_of
from accord.core.privacy import Accounting


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """An agreement that passed every check, with its exact bytes' digest."""

    form: AgreementForm
    """With the preset's entries where the document says nothing."""
    digest: str
    """SHA-256 of the document's bytes, in hex."""
    text: str
    """The document itself, as boards read it."""
    preset: Preset | None = None

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

    @property
    def noise(self) -> NoisePlacement:
        """Who adds the noise, said or by the way to account."""
        return self.form.noise

    @property
    def hub_rho_cap(self) -> int | None:
        """Most nano-rho that the hub may learn of a person from one release.

        Rounded down, by a conversion that is the same to the last digit on every
        machine. None where the agreement says nothing: then it is
        `accord.core.placement.HUB_SEES` times the release's.
        """
        sees, delta = self.form.protect.hub_sees_at_most, self.form.spend.delta
        if sees is None or delta is None:
            return None
        return epsilon_to_rho_lower(sees.epsilon, delta)

    def archive_digest(self, model: DataModel) -> str:
        """Return the digest that, with the query key, identifies stored releases.

        It covers what changes an answer to one query: data model, parties, cohorts
        and the protect-clauses; not caps, recipients or dates.
        """
        protect = self.form.protect.model_dump(mode="json") | {"noise": self.noise}
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
    text: str,
    source: str,
    models: Mapping[str, DataModel],
    presets: Mapping[str, Preset] | None = None,
) -> Agreement:
    """Read an agreement and check it against the data model and preset that it names.

    Raises:
        DocumentError: with every problem found.
    """
    preset = _preset_of(text, source, presets or {})
    form = parse_document(
        text,
        AgreementForm,
        source=source,
        beneath=preset.entries() if preset else None,
    )
    findings = [
        *contradictions(form, models),
        *(loosenings_of(preset.form, form, models) if preset else ()),
    ]
    problems = [problem_at(text, path, sentence) for path, sentence in findings]
    if problems:
        raise DocumentError(source, problems)
    return Agreement(
        form=form, digest=bytes_digest(text.encode()), text=text, preset=preset
    )


def _preset_of(text: str, source: str, presets: Mapping[str, Preset]) -> Preset | None:
    named = plain_document(text, source).get("extends")
    if not isinstance(named, str) or named in presets:
        return presets.get(named) if isinstance(named, str) else None
    known = ", ".join(sorted(presets)) or "none"
    sentence = "there is no such preset here."
    hint = suggestion(named, presets) or f" Known: {known}."
    raise DocumentError(source, [problem_at(text, ("extends",), sentence + hint)])
