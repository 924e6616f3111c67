# SPDX-License-Identifier: Apache-2.0
"""Which parts a dossier has, and what stands at the head of each."""

from __future__ import annotations

import datetime
import enum
from collections.abc import Callable, Mapping
from typing import Final

from accord.core.board import BoardForm
from accord.core.dossier.assessment import write_assessment
from accord.core.dossier.document import Document, Draft
from accord.core.dossier.matter import Matter
from accord.core.dossier.memorandum import write_annex, write_record
from accord.core.dossier.trouble import write_breach, write_orders
from accord.core.policy import Policy


class Part(enum.StrEnum):
    """The documents of a dossier."""

    ASSESSMENT = "assessment"
    """Data-protection impact assessment."""
    ANNEX = "annex"
    """To a memorandum of understanding."""
    RECORD = "record"
    """Of processing."""
    BREACH = "breach"
    """What to do when something went wrong."""
    ORDERS = "orders"
    """What a court order on agent, hub or analyst would yield."""


PARTS: Final = tuple(Part)

_WRITERS: Final[Mapping[Part, Callable[[Draft, Matter], None]]] = {
    Part.ASSESSMENT: write_assessment,
    Part.ANNEX: write_annex,
    Part.RECORD: write_record,
    Part.BREACH: write_breach,
    Part.ORDERS: write_orders,
}


def dossier(
    policy: Policy,
    board: BoardForm | None,
    part: Part,
    *,
    on: datetime.date,
    language: str = "en",
) -> Document:
    """Return one part of the dossier of an agreement.

    Args:
        policy: the agreement with what it depends on.
        board: who governs the network, where it is known.
        part: which document.
        on: the day that the draft carries.
        language: of the sentences; names and texts of the agreement stay as they are.
    """
    matter = Matter(policy=policy, board=board)
    draft = Draft(language)
    form = policy.agreement.form
    draft.paragraph(
        "source",
        name=form.agreement,
        version=form.version,
        digest=policy.agreement.digest,
        day=on,
    )
    draft.paragraph("for-counsel")
    _WRITERS[part](draft, matter)
    title = draft.say(f"title-{part}", name=form.agreement)
    return Document(title=title, mark=draft.say("mark"), blocks=tuple(draft.blocks))
