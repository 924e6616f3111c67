# SPDX-License-Identifier: Apache-2.0
"""The tables of format 3, the last that was counted by a number of its own.

An empty database gets them; one of format 3 has them and is taken over with all that
is in it.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

from accord.core.errors import ConfigurationError
from accord.hub.db.growing import growing_only, refusal
from accord.hub.db.transaction import LedgerTransaction
from accord.ledger import create_schema

revision = "0001_baseline"
down_revision = None

FORMAT: Final = 3

NUMBER: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

WRITERS: Final = sa.Table(
    "writers",
    sa.MetaData(),
    sa.Column("writer", sa.Text, primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
)

GROWING: Final = ("asked", "audit", "equivocations", "releases", "transcripts")

TABLES: Final = sa.MetaData()

sa.Table(
    "enrolment_tokens",
    TABLES,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("agency", sa.Text, nullable=False),
    sa.Column("secret_digest", sa.Text, nullable=False, unique=True),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Column("used_at", sa.BigInteger),
    sa.Column("used_by_key", sa.Text),
    sa.Column("revoked_at", sa.BigInteger),
)

sa.Table(
    "certificates",
    TABLES,
    sa.Column("serial", sa.Text, primary_key=True),
    sa.Column("agency", sa.Text, nullable=False, index=True),
    sa.Column("agency_key", sa.Text, nullable=False),
    sa.Column("issued_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Column("revoked_at", sa.BigInteger),
)

sa.Table(
    "analysts",
    TABLES,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("organisation", sa.Text, nullable=False),
    sa.Column("roles", sa.JSON, nullable=False),
    sa.Column("secret_digest", sa.Text, nullable=False, unique=True),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("revoked_at", sa.BigInteger),
)

sa.Table(
    "agent_sightings",
    TABLES,
    sa.Column("agency", sa.Text, primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("agent_version", sa.Text, nullable=False),
    sa.Column("ledger_height", sa.BigInteger, nullable=False),
    sa.Column("state_sequence", sa.BigInteger, nullable=False),
)

sa.Table(
    "editions",
    TABLES,
    sa.Column("agency", sa.Text, primary_key=True),
    sa.Column("every", sa.Text, primary_key=True),
    sa.Column("embargo_days", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("data_model", sa.Text, nullable=False),
    sa.Column("data_model_digest", sa.Text, nullable=False),
)

sa.Table(
    "submissions",
    TABLES,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("analyst", sa.Text, nullable=False),
    sa.Column("request_digest", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("agreement", sa.Text, nullable=False),
    sa.Column("agreement_digest", sa.Text, nullable=False),
    sa.Column("policy_digest", sa.Text, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("query_key", sa.Text, nullable=False),
    sa.Column("archive_digest", sa.Text, nullable=False),
    sa.Column("nano_rho", sa.BigInteger, nullable=False),
    sa.Column("nano_epsilon", sa.BigInteger, nullable=False),
    sa.Column("cohort", sa.Text, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=False),
    sa.Column("unsafe", sa.Boolean, nullable=False),
    sa.Column("complete_only", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Column("follows", sa.Text),
    sa.Column("settled_at", sa.BigInteger),
    sa.Column("release", sa.Text),
    sa.Column("from_archive", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("sentence", sa.Text),
    sa.Column("facts", sa.JSON),
    sa.CheckConstraint(
        "state IN ('collecting', 'released', 'failed')", name="submissions_state"
    ),
    sa.CheckConstraint(
        "(state = 'released') = (release IS NOT NULL)", name="submissions_release"
    ),
    sa.Index("submissions_by_question", "query_key", "archive_digest", "state"),
    sa.Index("submissions_by_state", "state"),
)

sa.Table(
    "rounds",
    TABLES,
    sa.Column("submission", sa.Text, primary_key=True),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("asked", sa.JSON, nullable=False),
    sa.Column("cohort", sa.Text),
    sa.Column("until", sa.BigInteger, nullable=False),
    sa.Column("refused", sa.JSON, nullable=False),
    sa.Column("missing", sa.JSON, nullable=False),
    sa.Column("ledger_entry", sa.Text, nullable=False),
    sa.CheckConstraint("stage IN ('ready', 'masked', 'reveal')", name="rounds_stage"),
    sa.CheckConstraint("(stage = 'ready') = (cohort IS NULL)", name="rounds_cohort"),
)

sa.Table(
    "round_readies",
    TABLES,
    sa.Column("submission", sa.Text, primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("agency", sa.Text, primary_key=True),
    sa.Column("ephemeral_key", sa.LargeBinary, nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=False),
    sa.Column("lacking", sa.JSON, nullable=False),
)

sa.Table(
    "round_receipts",
    TABLES,
    sa.Column("submission", sa.Text, primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("agency", sa.Text, primary_key=True),
    sa.Column("serial", sa.Text, nullable=False),
    sa.Column("transcript", sa.LargeBinary, nullable=False),
    sa.Column("vector_digest", sa.LargeBinary, nullable=False),
    sa.Column("seed_commitment", sa.LargeBinary, nullable=False),
    sa.Column("input_commitment", sa.LargeBinary, nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=False),
    sa.Column("vector", sa.LargeBinary, nullable=False),
)

sa.Table(
    "round_erasures",
    TABLES,
    sa.Column("submission", sa.Text, primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("agency", sa.Text, primary_key=True),
    sa.Column("signature", sa.LargeBinary, nullable=False),
)

sa.Table(
    "encapsulations",
    TABLES,
    sa.Column("sender", sa.Text, primary_key=True),
    sa.Column("receiver", sa.Text, primary_key=True),
    sa.Column("ciphertext", sa.LargeBinary, nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=False),
)

sa.Table(
    "transcripts",
    TABLES,
    sa.Column("release", sa.Text, primary_key=True),
    sa.Column("submission", sa.Text, nullable=False),
    sa.Column("spec_digest", sa.LargeBinary, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("cohort", sa.Text, nullable=False),
    sa.Column("noise", sa.Text, nullable=False),
    sa.Column("transcript", sa.LargeBinary, nullable=False),
    sa.Column("readies", sa.LargeBinary, nullable=False),
    sa.Column("receipts", sa.LargeBinary, nullable=False),
)

sa.Table(
    "equivocations",
    TABLES,
    sa.Column("submission", sa.Text, primary_key=True),
    sa.Column("agency", sa.Text, primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("agreement", sa.Text, nullable=False),
    sa.Column("spec_digest", sa.LargeBinary, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("cohort", sa.Text, nullable=False),
    sa.Column("noise", sa.Text, nullable=False),
    sa.Column("transcript", sa.LargeBinary, nullable=False),
    sa.Column("readies", sa.LargeBinary, nullable=False),
    sa.Column("receipts", sa.LargeBinary, nullable=False),
    sa.Column("other", sa.LargeBinary, nullable=False),
)

sa.Table(
    "releases",
    TABLES,
    sa.Column("number", NUMBER, primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("submission", sa.Text, nullable=False, unique=True),
    sa.Column("ledger_entry", sa.Text, nullable=False, unique=True),
    sa.Column("agreement", sa.Text, nullable=False),
    sa.Column("agreement_digest", sa.Text, nullable=False),
    sa.Column("query_key", sa.Text, nullable=False),
    sa.Column("archive_digest", sa.Text, nullable=False),
    sa.Column("nano_rho", sa.BigInteger, nullable=False),
    sa.Column("nano_epsilon", sa.BigInteger, nullable=False),
    sa.Column("cohort", sa.Text, nullable=False),
    sa.Column("unsafe", sa.Boolean, nullable=False),
    sa.Column("released_at", sa.BigInteger, nullable=False),
    sa.Column("message", sa.LargeBinary, nullable=False),
    sa.Column("summary", sa.LargeBinary, nullable=False),
    sa.Column("noisy", sa.LargeBinary, nullable=False),
    sa.Index("releases_by_question", "query_key", "archive_digest"),
    sa.Index("releases_by_agreement", "agreement", "number"),
)

sa.Table(
    "asked",
    TABLES,
    sa.Column("number", NUMBER, primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("submission", sa.Text, nullable=False),
    sa.Column("analyst", sa.Text, nullable=False),
    sa.Column("organisation", sa.Text, nullable=False),
    sa.Column("roles", sa.JSON, nullable=False),
    sa.Column("agreement", sa.Text, nullable=False),
    sa.Column("agreement_version", sa.Integer, nullable=False),
    sa.Column("policies_version", sa.Integer, nullable=False),
    sa.Column("policy_digest", sa.Text, nullable=False),
    sa.Column("query", sa.LargeBinary, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("epsilon", sa.Float, nullable=False),
    sa.Column("permitted", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("denied_by", sa.JSON, nullable=False),
    sa.Column("nano_rho", sa.BigInteger, nullable=False),
    sa.Column("nano_epsilon", sa.BigInteger, nullable=False),
    sa.Column("from_archive", sa.Boolean, nullable=False),
    sa.Index("asked_under_agreement", "agreement", "number"),
)

sa.Table(
    "proposals",
    TABLES,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("paths", sa.JSON, nullable=False),
    sa.Column("signed", sa.JSON, nullable=False),
    sa.Column("missing", sa.JSON, nullable=False),
    sa.Column("complete", sa.Boolean, nullable=False),
    sa.Column("offered_at", sa.BigInteger, nullable=False),
    sa.Column("published_at", sa.BigInteger),
    sa.Column("version", sa.Integer, unique=True),
    sa.CheckConstraint(
        "(version IS NULL) = (published_at IS NULL)", name="proposals_published"
    ),
)

sa.Table(
    "audit",
    TABLES,
    sa.Column("number", NUMBER, primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("facts", sa.JSON, nullable=False),
)


def upgrade() -> None:
    """Make the tables, or take over those that are there.

    Raises:
        ConfigurationError: DATABASE_FORMAT, they are of a format before 3.
    """
    connection = op.get_bind()
    WRITERS.create(connection, checkfirst=False)
    if sa.inspect(connection).has_table("hub_meta"):
        _take_over(connection)
        return
    TABLES.create_all(connection, checkfirst=False)
    dialect = connection.dialect.name
    for statement in refusal(dialect):
        op.execute(statement)
    for table in GROWING:
        for statement in growing_only(dialect, table):
            op.execute(statement)
    create_schema(LedgerTransaction(connection))


def _take_over(connection: sa.Connection) -> None:
    found = connection.execute(sa.text("SELECT format FROM hub_meta")).scalar_one()
    if found != FORMAT:
        raise ConfigurationError(
            "DATABASE_FORMAT",
            f"The hub's database has format {found}, and only format {FORMAT} can be"
            " brought up to date: install the version that wrote it. Nothing was"
            " changed.",
            found=str(found),
            expected=str(FORMAT),
        )
    op.drop_table("hub_meta")
