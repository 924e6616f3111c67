# SPDX-License-Identifier: Apache-2.0
"""With which keys this hub may have signed questions: those that boards listed for it.

A record of a charge outlives a change of the hub's keys, so the published changes of
the policies are read, which have every ``members.yaml`` that there was.
"""

from __future__ import annotations

import contextlib

import sqlalchemy as sa

from accord.core.errors import AccordError
from accord.core.members import load_members
from accord.core.policy import MEMBERS
from accord.hub.governance import proposals
from accord.hub.identity.authority import Authority
from accord.trust.keys import raw_public
from accord.trust.proposal_file import from_file


def hub_keys(tx: sa.Connection, authority: Authority) -> list[bytes]:
    """Return the raw public keys, the present one included.

    What a board published that this version cannot read any more lists none.
    """
    found = {raw_public(authority.hub_form.key)}
    for content in proposals.published_after(tx, 0):
        with contextlib.suppress(AccordError, UnicodeDecodeError):
            documents = from_file(content, "a published proposal").after
            if MEMBERS in documents:
                listed = load_members(documents[MEMBERS].decode(), MEMBERS).hub
                if listed is not None:
                    found.add(raw_public(listed.key))
    return sorted(found)
