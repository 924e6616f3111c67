# SPDX-License-Identifier: Apache-2.0
"""The agencies of a network and the hub that serves it, as boards sign them.

Who is not in ``members.yaml``, or has no key there, exists for nobody.
"""

from __future__ import annotations

from typing import Annotated

import pydantic

from accord.core.agreement_form import Cap, Delta, Label, PositiveDecimal, Word
from accord.core.document import Strict, parse_document, worded
from accord.core.model import Name

KEY = r"ed25519:[0-9a-f]{64}"
"""How public keys are written everywhere."""

KeyText = Annotated[
    str,
    worded(KEY, "a key is written ed25519: and 64 hexadecimal digits in lower case."),
]


class RemitForm(Strict):
    """What an agency is there for, in public."""

    description: Word
    covers: dict[Name, Annotated[list[str], pydantic.Field(min_length=1)]] = {}
    """Values, of any level, that it has cases of; every value where it says nothing."""
    persons_a_year: Annotated[int, pydantic.Field(ge=1, le=10_000_000)] | None = None
    """A round public figure, to tell whether one agency dominates; never a count."""


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
    key: KeyText | None = None
    """Of its agent; without one the agency cannot join."""
    signatory: KeyText | None = None
    """With which it signs the agreements that their own parties sign."""


class HubForm(Strict):
    """The keys of the hub."""

    key: KeyText
    """Signs requisitions."""
    freshness: KeyText
    """Signs only that these policies are still the newest."""


class MembersForm(Strict):
    """The agencies of the network, as ``members.yaml``."""

    network: Label
    hub: HubForm | None = None
    members: Annotated[dict[Label, MemberForm], pydantic.Field(min_length=1)]


def load_members(text: str, source: str) -> MembersForm:
    """Read ``members.yaml``.

    Raises:
        DocumentError: with every problem found.
    """
    return parse_document(text, MembersForm, source=source)
