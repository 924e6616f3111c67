# SPDX-License-Identifier: Apache-2.0
"""The agency's own rules as its database keeps them, with who made them, when and why.

They are read anew for every requisition, so a rule is in force from the next one on,
in an agent that runs as well. Nothing is erased: a rule that was removed stays with who
removed it. A database of an older version has no table of rules and so no rules.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from accord.agent.machine.account import account_name
from accord.agent.rules.rules import Kind, Rule
from accord.agent.state import AgentState
from accord.core.errors import ConfigurationError, NotFound
from accord.ledger.sqlite import transaction
from accord.ledger.transaction import Transaction

_TABLE = """
CREATE TABLE IF NOT EXISTS local_rule (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    epsilon TEXT,
    number INTEGER,
    reason TEXT NOT NULL,
    made_by TEXT NOT NULL,
    made_at TEXT NOT NULL,
    removed_by TEXT,
    removed_at TEXT,
    removed_because TEXT
)
"""

_COLUMNS = (
    "id, kind, subject, epsilon, number, reason, made_by, made_at, removed_by, "
    "removed_at, removed_because"
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A rule as it is kept."""

    rule: Rule
    removed_by: str | None = None
    removed_at: datetime.datetime | None = None
    removed_because: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the rule for machines."""
        rule = self.rule
        made, removed = rule.made_at, self.removed_at
        return {
            "id": rule.id,
            "kind": rule.kind.value,
            "subject": rule.subject,
            "epsilon": None if rule.epsilon is None else str(rule.epsilon),
            "number": rule.number,
            "text": rule.text(),
            "reason": rule.reason,
            "made_by": rule.made_by,
            "made_at": None if made is None else made.isoformat(),
            "removed_by": self.removed_by,
            "removed_at": None if removed is None else removed.isoformat(),
            "removed_because": self.removed_because,
        }


def rules_in_force(tx: Transaction) -> tuple[Rule, ...]:
    """Return the rules that hold now.

    Raises:
        ConfigurationError: RULE_UNREADABLE; nothing may be answered then.
    """
    return tuple(kept.rule for kept in _kept(tx) if kept.removed_at is None)


def rules_of(state: AgentState, *, removed: bool = False) -> tuple[Kept, ...]:
    """Return the rules of an agency, oldest first.

    Args:
        state: of the agency.
        removed: also those that hold no more.
    """
    with state.ledger() as connection:
        found = _kept(connection)
    return tuple(kept for kept in found if removed or kept.removed_at is None)


def add_rule(state: AgentState, rule: Rule, now: datetime.datetime) -> Rule:
    """Put *rule* in force; one that demands the same already is kept and returned."""
    with _writing(state) as tx:
        for kept in _kept(tx):
            if kept.removed_at is None and kept.rule.substance == rule.substance:
                return kept.rule
        made = dataclasses.replace(rule, made_by=account_name(), made_at=now)
        tx.execute(
            "INSERT INTO local_rule (kind, subject, epsilon, number, reason, made_by, "
            "made_at) VALUES (:kind, :subject, :epsilon, :number, :reason, :by, :at)",
            {
                "kind": made.kind.value,
                "subject": made.subject,
                "epsilon": None if made.epsilon is None else str(made.epsilon),
                "number": made.number,
                "reason": made.reason,
                "by": made.made_by,
                "at": now.isoformat(),
            },
        )
        rows = tx.execute("SELECT last_insert_rowid()", {}).fetchall()
        return dataclasses.replace(made, id=int(rows[0][0]))


def remove_rule(
    state: AgentState, number: int, reason: str, now: datetime.datetime
) -> Rule:
    """Take the rule of that number out of force.

    Raises:
        NotFound: RULE_UNKNOWN, none of that number is in force.
    """
    with _writing(state) as tx:
        for kept in _kept(tx):
            if kept.rule.id == number and kept.removed_at is None:
                _mark_removed(tx, kept.rule, reason, now)
                return kept.rule
    raise NotFound(
        "RULE_UNKNOWN",
        f"No rule in force has the number {number}: see `accord-agent rules list`.",
    )


def resume(state: AgentState, reason: str, now: datetime.datetime) -> tuple[Rule, ...]:
    """End every stop of sharing and return those that held."""
    with _writing(state) as tx:
        stops = tuple(
            kept.rule
            for kept in _kept(tx)
            if kept.removed_at is None and kept.rule.kind is Kind.STOP_SHARING
        )
        for rule in stops:
            _mark_removed(tx, rule, reason, now)
    return stops


@contextlib.contextmanager
def _writing(state: AgentState) -> Iterator[Transaction]:
    with state.ledger() as connection, transaction(connection) as tx:
        tx.execute(_TABLE, {})
        yield tx


def _mark_removed(
    tx: Transaction, rule: Rule, reason: str, now: datetime.datetime
) -> None:
    tx.execute(
        "UPDATE local_rule SET removed_by = :by, removed_at = :at, "
        "removed_because = :reason WHERE id = :id",
        {
            "by": account_name(),
            "at": now.isoformat(),
            "reason": reason,
            "id": rule.id,
        },
    )


def _kept(tx: Transaction) -> tuple[Kept, ...]:
    table = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'local_rule'"
    if not tx.execute(table, {}).fetchall():
        return ()
    rows = tx.execute(f"SELECT {_COLUMNS} FROM local_rule ORDER BY id", {}).fetchall()  # noqa: S608
    return tuple(map(_read, rows))


def _read(row: Sequence[Any]) -> Kept:
    number, kind, subject, epsilon, count, reason, made_by, made_at, *removal = row
    removed_by, removed_at, removed_because = removal
    try:
        rule = Rule(
            id=number,
            kind=Kind(kind),
            subject=subject,
            epsilon=None if epsilon is None else Fraction(epsilon),
            number=count,
            reason=reason,
            made_by=made_by,
            made_at=datetime.datetime.fromisoformat(made_at),
        )
        ended = removed_at and datetime.datetime.fromisoformat(removed_at)
    except (ValueError, TypeError, ZeroDivisionError):
        raise ConfigurationError(
            "RULE_UNREADABLE",
            f"Rule {number} of this agency cannot be read, perhaps since a newer "
            "version made it. Nothing is answered until that version runs again.",
        ) from None
    return Kept(
        rule=rule,
        removed_by=removed_by,
        removed_at=ended or None,
        removed_because=removed_because,
    )
