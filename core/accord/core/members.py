# SPDX-License-Identifier: Apache-2.0
"""The agencies of a network, as the board lists them in ``members.yaml``."""

from __future__ import annotations

from typing import Annotated

import pydantic

from accord.core.agreement_form import Cap, Delta, Label, PositiveDecimal, Word
from accord.core.document import Strict, parse_document


class RemitForm(Strict):
    """What an agency is there for, in public."""

    description: Word


class LifetimeForm(Strict):
    """What an agency's records may ever lose, over all agreements."""

    zcdp: LifetimeZcdpForm
    pure: Cap


class LifetimeZcdpForm(Strict):
    """Lifetime cap of the zCDP account, as (epsilon, delta)."""

    epsilon: PositiveDecimal
    delta: Delta


class MemberForm(Strict):
    """One agency."""

    name: Word
    remit: RemitForm
    lifetime: LifetimeForm


class MembersForm(Strict):
    """The agencies of the network, as ``members.yaml``."""

    network: Label
    members: Annotated[dict[Label, MemberForm], pydantic.Field(min_length=1)]


def load_members(text: str, source: str) -> MembersForm:
    """Read ``members.yaml``.

    Raises:
        DocumentError: with every problem found.
    """
    return parse_document(text, MembersForm, source=source)
