# SPDX-License-Identifier: Apache-2.0
"""How often what people approved was opened, where one word of theirs is remembered."""

from __future__ import annotations

from accord.ledger.transaction import Transaction


def left_over(tx: Transaction, subject: str, query_id: str) -> bool:
    """Tell whether people approved a question more often than it was opened.

    A hub alone can ask the same under as many ids as it likes, at once or in turn, and
    each opening takes noise off: one approval is good for one of them.

    Args:
        tx: an open transaction.
        subject: what people approve.
        query_id: whose own opening does not count.
    """
    found = tx.execute(
        "SELECT count(decided_by), coalesce(sum(query_id <> :query_id AND (EXISTS"
        " (SELECT 1 FROM receipt r WHERE r.query_id = approval.query_id AND"
        " r.charged_at IS NOT NULL) OR EXISTS (SELECT 1 FROM round o WHERE o.query_id ="
        " approval.query_id AND o.state = 'revealed'))), 0) FROM approval"
        " WHERE subject = :subject AND standing = 'approved'",
        {"subject": subject, "query_id": query_id},
    ).fetchall()
    approved, opened = found[0]
    return int(approved) > int(opened)
