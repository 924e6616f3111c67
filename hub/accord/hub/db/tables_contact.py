# SPDX-License-Identifier: Apache-2.0
"""Whether the hub's ledger can be trusted, and what agencies say of theirs.

``charge_records`` is evidence and only grows: charges that this hub had forgotten, as
agencies proved them.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from accord.hub.db.growing import GROWING
from accord.hub.db.tables import METADATA

HUB_STANDING: Final = sa.Table(
    "hub_standing",
    METADATA,
    # One row, or none: epoch 0 and no doubt.
    sa.Column("one", sa.Integer, primary_key=True, autoincrement=False),
    # How often the ledger was rebuilt.
    sa.Column("epoch", sa.Integer, nullable=False),
    # Names the doubt that stands; nothing is admitted, opened or published then.
    sa.Column("doubt", sa.Text),
    sa.Column("behind_since", sa.BigInteger),
    # What began it: the hub was restored, or an agency knew more.
    sa.Column("cause", sa.Text),
    sa.Column("agency", sa.Text),
    # The last restore, and how old its copy was.
    sa.Column("restored_at", sa.BigInteger),
    sa.Column("copied_at", sa.BigInteger),
    sa.Column("reconciled_at", sa.BigInteger),
    sa.CheckConstraint("one = 1", name="hub_standing_one"),
    sa.CheckConstraint(
        "(doubt IS NULL) = (behind_since IS NULL)"
        " AND (doubt IS NULL) = (cause IS NULL)",
        name="hub_standing_doubt",
    ),
    sa.CheckConstraint(
        "cause IS NULL OR cause IN ('restored', 'agency')", name="hub_standing_cause"
    ),
)

AGENCY_CONTACTS: Final = sa.Table(
    "agency_contacts",
    METADATA,
    # What an agency said last, when it came.
    sa.Column("agency", sa.Text, primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    # What its own ledger has charged, ever.
    sa.Column("nano_rho", sa.BigInteger, nullable=False),
    sa.Column("nano_epsilon", sa.BigInteger, nullable=False),
    # Of the newest head of this hub's log that it accepted.
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("height", sa.BigInteger, nullable=False),
    # The doubt for which it has given every record of a charge.
    sa.Column("reported", sa.Text),
    # What the operator has decided to go on without.
    sa.Column("aside_rho", sa.BigInteger, nullable=False),
    sa.Column("aside_epsilon", sa.BigInteger, nullable=False),
    sa.Column("aside_epoch", sa.BigInteger, nullable=False),
    sa.Column("aside_height", sa.BigInteger, nullable=False),
)

CHARGE_RECORDS: Final = sa.Table(
    "charge_records",
    METADATA,
    sa.Column("agency", sa.Text, primary_key=True),
    sa.Column("query_id", sa.Text, primary_key=True),
    # The signed requisition, as in `submissions`.
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=False),
    sa.Column("cohort", sa.Text, nullable=False),
    sa.Column("transcript", sa.LargeBinary, nullable=False),
    sa.Column("charged_at", sa.BigInteger, nullable=False),
    sa.Column("countersignature", sa.LargeBinary, nullable=False),
    # The agency's public key at that time, hex: another may be listed later.
    sa.Column("agency_key", sa.Text, nullable=False),
    sa.Column("received_at", sa.BigInteger, nullable=False),
    info=GROWING,
)
