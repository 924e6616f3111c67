# SPDX-License-Identifier: Apache-2.0
"""What retention may take from tables that only grow: exactly that, and nothing else.

A row of ``retention_orders``, which has its entry in the log, says of which agreement,
of which kind and from before which moment. Triggers let go of

- the facts of entries of the log under that agreement; number, moment, event and hash
  stay, and entries that order an erasure are never erased;
- the figures of its releases: the message and the noisy vector, nothing else of them;
- its rows of ``asked``, whole.

The text that `relaxed` gives is part of migrations and never changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

KEPT_OF_RELEASES: Final = (
    *("number", "id", "submission", "ledger_entry", "agreement", "agreement_digest"),
    *("query_key", "archive_digest", "nano_rho", "nano_epsilon", "cohort", "unsafe"),
    *("released_at", "summary"),
)
KEPT_OF_ENTRIES: Final = ("number", "at", "event")

_ORDERED: Final = """EXISTS (
    SELECT 1 FROM retention_orders AS ordered
    WHERE ordered.kind = '{kind}' AND ordered.before > {at} AND {agreement}
    )"""
_OF_ROW: Final = "ordered.agreement = OLD.agreement"
_NAMED_BY_ENTRY: Final = {
    # With `trusted_schema = OFF`, triggers of SQLite may not read JSON. Labels need no
    # escapes, and a quotation mark within a fact would be one.
    "sqlite": "instr(OLD.facts, '\"agreement\": \"' || ordered.agreement || '\"') > 0",
    "postgresql": "ordered.agreement = OLD.facts->>'agreement'",
}


def relaxed(dialect: str) -> Iterator[str]:
    """Yield the statements that put weaker triggers in the place of those that refuse.

    Args:
        dialect: ``sqlite`` or ``postgresql``.
    """
    same = "IS" if dialect == "sqlite" else "IS NOT DISTINCT FROM"
    yield from _guarded(
        dialect,
        "audit",
        "UPDATE",
        [
            *(f"NEW.{name} {same} OLD.{name}" for name in KEPT_OF_ENTRIES),
            "OLD.event <> 'retention.applied'",
            "NEW.facts IS NULL",
            _ORDERED.format(
                kind="questions", at="OLD.at", agreement=_NAMED_BY_ENTRY[dialect]
            ),
        ],
    )
    yield from _guarded(
        dialect,
        "releases",
        "UPDATE",
        [
            *(f"NEW.{name} {same} OLD.{name}" for name in KEPT_OF_RELEASES),
            "NEW.message IS NULL",
            "NEW.noisy IS NULL",
            _ORDERED.format(kind="releases", at="OLD.released_at", agreement=_OF_ROW),
        ],
    )
    yield from _guarded(
        dialect,
        "asked",
        "DELETE",
        [_ORDERED.format(kind="questions", at="OLD.at", agreement=_OF_ROW)],
    )


def _guarded(
    dialect: str, table: str, verb: str, conditions: list[str]
) -> Iterator[str]:
    """Yield the statements for one table, whose trigger has the name that it had."""
    name = f"{table}_no_{verb.lower()}"
    allowed = "\n    AND ".join(conditions)
    if dialect == "sqlite":
        yield f"DROP TRIGGER {name}"
        yield (
            f"CREATE TRIGGER {name} BEFORE {verb} ON {table}\n"
            f"WHEN (\n    {allowed}\n) IS NOT TRUE\n"
            f"BEGIN SELECT RAISE(ABORT, '{table} only grows'); END"
        )
        return
    yield f"DROP TRIGGER {name} ON {table}"
    yield (
        f"CREATE FUNCTION accord_{table}_erases_only() RETURNS trigger"
        " LANGUAGE plpgsql AS $$\n"
        f"BEGIN\n    IF {allowed}\n"
        f"    THEN RETURN {'NEW' if verb == 'UPDATE' else 'OLD'}; END IF;\n"
        f"    RAISE EXCEPTION '{table} only grows' USING ERRCODE = 'check_violation';\n"
        "END\n$$"
    )
    yield (
        f"CREATE TRIGGER {name} BEFORE {verb} ON {table}"
        f" FOR EACH ROW EXECUTE FUNCTION accord_{table}_erases_only()"
    )
