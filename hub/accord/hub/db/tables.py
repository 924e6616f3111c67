# SPDX-License-Identifier: Apache-2.0
"""The hub's tables, beside those of the ledger.

No column holds an agency's figures, a seed that unmasks them, or an opened sum:
``round_receipts`` has masked vectors, which are uniformly random without every seed,
until their question has ended, and ``releases`` what was published, noise included.
``audit``, ``asked``, ``releases``, ``transcripts`` and ``equivocations`` only grow;
triggers refuse every change but what retention may erase (`accord.hub.db.erasing`).
Moments are microseconds since 1970, UTC. What changes
here needs a step in ``migrations/versions`` that does the same to a database in use.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from accord.hub.db.growing import GROWING

METADATA: Final = sa.MetaData()

NUMBER: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""Type of a number that the database counts up: SQLite does so for INTEGER only."""

WRITERS: Final = sa.Table(
    "writers",
    METADATA,
    # One for each program that writes; deleted a week after its last transaction.
    sa.Column("writer", sa.Text, primary_key=True),
    # Number of its newest transaction: whether that was committed can be read here.
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
)

TOKENS: Final = sa.Table(
    "enrolment_tokens",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("agency", sa.Text, nullable=False),
    sa.Column("secret_digest", sa.Text, nullable=False, unique=True),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Column("used_at", sa.BigInteger),
    # SHA-256 of the public key that it was traded for: the same key may ask again.
    sa.Column("used_by_key", sa.Text),
    sa.Column("revoked_at", sa.BigInteger),
)

CERTIFICATES: Final = sa.Table(
    "certificates",
    METADATA,
    sa.Column("serial", sa.Text, primary_key=True),
    sa.Column("agency", sa.Text, nullable=False, index=True),
    # The key that the board listed for the agency when it enrolled.
    sa.Column("agency_key", sa.Text, nullable=False),
    sa.Column("issued_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Column("revoked_at", sa.BigInteger),
)

ANALYSTS: Final = sa.Table(
    "analysts",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("organisation", sa.Text, nullable=False),
    sa.Column("roles", sa.JSON, nullable=False),
    sa.Column("secret_digest", sa.Text, nullable=False, unique=True),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("revoked_at", sa.BigInteger),
)

SIGHTINGS: Final = sa.Table(
    "agent_sightings",
    METADATA,
    sa.Column("agency", sa.Text, primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("agent_version", sa.Text, nullable=False),
    sa.Column("ledger_height", sa.BigInteger, nullable=False),
    # Highest that was ever heard: an agent with less was restored from an old copy.
    sa.Column("state_sequence", sa.BigInteger, nullable=False),
)

EDITIONS: Final = sa.Table(
    "editions",
    METADATA,
    sa.Column("agency", sa.Text, primary_key=True),
    sa.Column("every", sa.Text, primary_key=True),
    sa.Column("embargo_days", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("data_model", sa.Text, nullable=False),
    sa.Column("data_model_digest", sa.Text, nullable=False),
)

SUBMISSIONS: Final = sa.Table(
    "submissions",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("analyst", sa.Text, nullable=False),
    # SHA-256 of what was asked: the same id must stand for the same question.
    sa.Column("request_digest", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("agreement", sa.Text, nullable=False),
    sa.Column("agreement_digest", sa.Text, nullable=False),
    # Over everything that the agreement's meaning depends on.
    sa.Column("policy_digest", sa.Text, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("query_key", sa.Text, nullable=False),
    sa.Column("archive_digest", sa.Text, nullable=False),
    sa.Column("nano_rho", sa.BigInteger, nullable=False),
    sa.Column("nano_epsilon", sa.BigInteger, nullable=False),
    sa.Column("cohort", sa.Text, nullable=False),
    # The signed requisition: what agencies are asked, the same bytes every time.
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=False),
    sa.Column("unsafe", sa.Boolean, nullable=False),
    # Only an answer of the whole cohort that is asked will do.
    sa.Column("complete_only", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    # Another submission that asks the same and pays for it.
    sa.Column("follows", sa.Text),
    sa.Column("settled_at", sa.BigInteger),
    sa.Column("release", sa.Text),
    sa.Column("from_archive", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("sentence", sa.Text),
    sa.Column("facts", sa.JSON),
    sa.CheckConstraint(
        "state IN ('collecting', 'held', 'released', 'failed')",
        name="submissions_state",
    ),
    sa.CheckConstraint(
        "(state = 'released') = (release IS NOT NULL)", name="submissions_release"
    ),
    sa.Index("submissions_by_question", "query_key", "archive_digest", "state"),
    sa.Index("submissions_by_state", "state"),
)

ROUNDS: Final = sa.Table(
    "rounds",
    METADATA,
    # Of a submission that collects and follows nobody; gone once it has ended.
    sa.Column("submission", sa.Text, primary_key=True),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("stage", sa.Text, nullable=False),
    # Who is asked in this attempt, and the cohort once it is chosen.
    sa.Column("asked", sa.JSON, nullable=False),
    sa.Column("cohort", sa.Text),
    # When the present wait is over.
    sa.Column("until", sa.BigInteger, nullable=False),
    # Who declined, with reasons, and who did not come in time.
    sa.Column("refused", sa.JSON, nullable=False),
    sa.Column("missing", sa.JSON, nullable=False),
    # What pays, in the ledger.
    sa.Column("ledger_entry", sa.Text, nullable=False),
    # The replica that moves it; nobody where one process serves the database.
    sa.Column("owner", sa.BigInteger),
    # Whose people have to approve it, as far as they have said so.
    sa.Column("approving", sa.JSON),
    sa.CheckConstraint("stage IN ('ready', 'masked', 'reveal')", name="rounds_stage"),
    sa.CheckConstraint("(stage = 'ready') = (cohort IS NULL)", name="rounds_cohort"),
)

ROUND_READIES: Final = sa.Table(
    "round_readies",
    METADATA,
    sa.Column("submission", sa.Text, primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("agency", sa.Text, primary_key=True),
    sa.Column("ephemeral_key", sa.LargeBinary, nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=False),
    sa.Column("lacking", sa.JSON, nullable=False),
)

ROUND_RECEIPTS: Final = sa.Table(
    "round_receipts",
    METADATA,
    sa.Column("submission", sa.Text, primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("agency", sa.Text, primary_key=True),
    # Serial number of the certificate that it came under.
    sa.Column("serial", sa.Text, nullable=False),
    sa.Column("transcript", sa.LargeBinary, nullable=False),
    sa.Column("vector_digest", sa.LargeBinary, nullable=False),
    sa.Column("seed_commitment", sa.LargeBinary, nullable=False),
    sa.Column("input_commitment", sa.LargeBinary, nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=False),
    # Masked: little-endian 64-bit words.
    sa.Column("vector", sa.LargeBinary, nullable=False),
)

ROUND_ERASURES: Final = sa.Table(
    "round_erasures",
    METADATA,
    sa.Column("submission", sa.Text, primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("agency", sa.Text, primary_key=True),
    sa.Column("signature", sa.LargeBinary, nullable=False),
)

ENCAPSULATIONS: Final = sa.Table(
    "encapsulations",
    METADATA,
    # From the lower label of a pair to the higher one; the newest.
    sa.Column("sender", sa.Text, primary_key=True),
    sa.Column("receiver", sa.Text, primary_key=True),
    sa.Column("ciphertext", sa.LargeBinary, nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=False),
)

TRANSCRIPTS: Final = sa.Table(
    "transcripts",
    METADATA,
    # What an auditor needs to see who took part in a release, and in what.
    sa.Column("release", sa.Text, primary_key=True),
    sa.Column("submission", sa.Text, nullable=False),
    sa.Column("spec_digest", sa.LargeBinary, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("cohort", sa.Text, nullable=False),
    # Digest of the noise plan, hex.
    sa.Column("noise", sa.Text, nullable=False),
    sa.Column("transcript", sa.LargeBinary, nullable=False),
    # The messages CohortCall and RevealCall, as every member got them.
    sa.Column("readies", sa.LargeBinary, nullable=False),
    sa.Column("receipts", sa.LargeBinary, nullable=False),
    info=GROWING,
)

EQUIVOCATIONS: Final = sa.Table(
    "equivocations",
    METADATA,
    # An agency refused, or signed a receipt, since it was shown something else.
    sa.Column("submission", sa.Text, primary_key=True),
    sa.Column("agency", sa.Text, primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("agreement", sa.Text, nullable=False),
    # What the hub had then, as in `transcripts`; receipts as far as they had come.
    sa.Column("spec_digest", sa.LargeBinary, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("cohort", sa.Text, nullable=False),
    sa.Column("noise", sa.Text, nullable=False),
    sa.Column("transcript", sa.LargeBinary, nullable=False),
    sa.Column("readies", sa.LargeBinary, nullable=False),
    sa.Column("receipts", sa.LargeBinary, nullable=False),
    # The receipt for another transcript, a message MemberReceipt; else empty.
    sa.Column("other", sa.LargeBinary, nullable=False),
    info=GROWING,
)

RELEASES: Final = sa.Table(
    "releases",
    METADATA,
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
    # The message that every reader gets, byte for byte; nothing once it is erased.
    sa.Column("message", sa.LargeBinary),
    # What lists show of it.
    sa.Column("summary", sa.LargeBinary, nullable=False),
    # The whole vector with its noise, little-endian 64-bit integers.
    sa.Column("noisy", sa.LargeBinary),
    sa.CheckConstraint("(message IS NULL) = (noisy IS NULL)", name="releases_content"),
    sa.Index("releases_by_question", "query_key", "archive_digest"),
    sa.Index("releases_by_agreement", "agreement", "number"),
    info=GROWING,
)

ASKED: Final = sa.Table(
    "asked",
    METADATA,
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
    # The question as it was asked; no figure of any answer.
    sa.Column("query", sa.LargeBinary, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("epsilon", sa.Float, nullable=False),
    sa.Column("permitted", sa.Boolean, nullable=False),
    # Why not, and the codes of the clauses that denied it.
    sa.Column("reason", sa.Text),
    sa.Column("denied_by", sa.JSON, nullable=False),
    sa.Column("nano_rho", sa.BigInteger, nullable=False),
    sa.Column("nano_epsilon", sa.BigInteger, nullable=False),
    sa.Column("from_archive", sa.Boolean, nullable=False),
    sa.Index("asked_under_agreement", "agreement", "number"),
    info=GROWING,
)

PROPOSALS: Final = sa.Table(
    "proposals",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    # The proposal itself with every signature that came in.
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("paths", sa.JSON, nullable=False),
    sa.Column("signed", sa.JSON, nullable=False),
    sa.Column("missing", sa.JSON, nullable=False),
    sa.Column("complete", sa.Boolean, nullable=False),
    sa.Column("offered_at", sa.BigInteger, nullable=False),
    sa.Column("published_at", sa.BigInteger),
    # Of the list of policies that it put in force.
    sa.Column("version", sa.Integer, unique=True),
    sa.CheckConstraint(
        "(version IS NULL) = (published_at IS NULL)", name="proposals_published"
    ),
)

AUDIT: Final = sa.Table(
    "audit",
    METADATA,
    sa.Column("number", NUMBER, primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    # Names, ids, reasons and amounts; never a value that came from a record. Nothing
    # once they are erased.
    sa.Column("facts", sa.JSON(none_as_null=True)),
    info=GROWING,
)
