# SPDX-License-Identifier: Apache-2.0
"""Makes coded tables: statements that create, copy and swap them.

Nobody ever sees half a table. A new one is made under a name of its own, with its form
beside it, and both take their places together: in one transaction, or in the one
statement of MySQL and MariaDB that renames several tables at once. Spark has neither:
there the form comes before its table, so that whoever finds a table finds it whole,
and what a crash leaves in between is no table.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from sqlglot import exp

from accord.agent.pushdown.dialect import Dialect, column, number
from accord.agent.pushdown.session import Session
from accord.agent.pushdown.table import (
    FORMAT,
    CodedColumn,
    CodedTable,
    TableName,
)
from accord.core.errors import PreconditionFailed
from accord.core.model import DataModel

_FORM: Final = (
    CodedColumn("format", "INT"),
    CodedColumn("model", "VARCHAR(100)"),
    CodedColumn("model_digest", "VARCHAR(64)"),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TableForm:
    """What the table ``NAME_form`` says of a coded table."""

    model: str
    model_digest: str


def creating(
    table: TableName, columns: Iterable[CodedColumn], form: TableForm
) -> Iterator[exp.Expr]:
    """Yield the statements that make an empty table and its form."""
    yield _create(table, columns)
    yield _create(table.form, _FORM)
    values = [
        number(FORMAT),
        exp.Literal.string(form.model),
        exp.Literal.string(form.model_digest),
    ]
    yield exp.insert(
        exp.Values(expressions=[exp.Tuple(expressions=values)]),
        table.form.node(),
        columns=[exp.to_identifier(each.name, quoted=True) for each in _FORM],
    )


def copying(
    source: TableName, target: TableName, tests: Sequence[exp.Expr] = ()
) -> Iterator[exp.Expr]:
    """Yield the statements that copy a table and its form under another name.

    Args:
        source: is copied.
        target: is made.
        tests: rows that do not pass them stay behind.
    """
    rows = exp.select("*").from_(source.node())
    if tests:
        rows = rows.where(*tests)
    form = exp.select("*").from_(source.form.node())
    yield exp.Create(this=target.node(), kind="TABLE", expression=rows)
    yield exp.Create(this=target.form.node(), kind="TABLE", expression=form)


def dropping(*tables: TableName) -> Iterator[exp.Expr]:
    """Yield the statements that remove tables and their forms, if they are there."""
    for table in tables:
        for each in (table, table.form):
            yield exp.Drop(tables=[each.node()], kind="TABLE", exists=True)


def renaming(
    pairs: Sequence[tuple[TableName, TableName]], dialect: Dialect
) -> Iterator[str]:
    """Yield what gives tables other names, at once where a transaction does not."""
    if dialect is Dialect.MYSQL:
        moves = [
            f"{dialect.text(a.node())} TO {dialect.text(b.node())}" for a, b in pairs
        ]
        yield f"RENAME TABLE {', '.join(moves)}"
        return
    for old, new in pairs:
        if dialect is Dialect.SQL_SERVER:
            yield f"EXEC sp_rename '{old}', '{new.name}'"
        elif dialect is Dialect.SPARK:
            # A bare name would be looked for in the schema of the session.
            target = dialect.text(new.node())
            yield f"ALTER TABLE {dialect.text(old.node())} RENAME TO {target}"
        else:
            target = dialect.name_text(new.name)
            yield f"ALTER TABLE {dialect.text(old.node())} RENAME TO {target}"


def make_next(
    session: Session, table: TableName, columns: Sequence[CodedColumn], form: TableForm
) -> None:
    """Make an empty successor of *table*; what a crash left of one goes."""
    _run(session, dropping(table.next))
    _run(session, creating(table.next, columns, form))


def put_next(session: Session, table: TableName) -> None:
    """Put the successor in the place of *table*, for everybody at once."""
    _run(session, dropping(table.last))
    pairs = [(table.next.form, table.form), (table.next, table)]
    replaced = bool(session.columns(table))
    if not replaced and session.dialect is Dialect.SPARK:
        # A crash between two names has left the form of what was to come.
        _run(session, dropping(table))
    if replaced:
        pairs = [(table, table.last), (table.form, table.last.form), *pairs]
    for text in renaming(pairs, session.dialect):
        session.run(text)
    session.commit()
    if replaced:
        _run(session, dropping(table.last))
        session.commit()


def make_copy(
    session: Session,
    source: TableName,
    target: TableName,
    tests: Sequence[exp.Expr] = (),
) -> None:
    """Make the successor of *target* a copy of what passes *tests* in *source*."""
    _run(session, dropping(target.next))
    _run(session, copying(source, target.next, tests))


def drop_next(session: Session, table: TableName) -> None:
    """Give up the successor of *table*."""
    _run(session, dropping(table.next))
    session.commit()


def analysing(session: Session, table: TableName) -> None:
    """Let PostgreSQL count what it plans by; the others do so by themselves."""
    if session.dialect is Dialect.POSTGRESQL:
        session.run(f"ANALYZE {session.dialect.text(table.node())}")
        session.commit()


def open_table(session: Session, table: TableName, model: DataModel) -> CodedTable:
    """Return a coded table whose codes are those of *model*.

    Raises:
        PreconditionFailed: STORE_ABSENT, STORE_FORMAT or STORE_MODEL.
    """
    columns = session.columns(table)
    form = _form_of(session, table)
    if form.model_digest != model.digest:
        raise PreconditionFailed(
            "STORE_MODEL",
            f"The codes in the table {table} are those of another data model, or of "
            f"another version of {model.name}. Make the table anew.",
            model=model.name,
        )
    return CodedTable(name=table, columns=columns)


def model_named(session: Session, table: TableName) -> str:
    """Return the name of the data model whose codes a table has.

    Raises:
        PreconditionFailed: STORE_ABSENT or STORE_FORMAT.
    """
    return _form_of(session, table).model


def _form_of(session: Session, table: TableName) -> TableForm:
    if not session.columns(table) or not session.columns(table.form):
        raise PreconditionFailed(
            "STORE_ABSENT",
            f"The database has no complete table {table} with {table.form.name} beside "
            "it. Make them with `accord-agent pushdown export`, or as `accord-agent "
            "pushdown form` prints them.",
        )
    names = [column(each.name) for each in _FORM]
    described = exp.select(*names).from_(table.form.node())
    found = session.rows(session.dialect.text(described))
    if len(found) != 1 or found[0][0] != FORMAT:
        raise PreconditionFailed(
            "STORE_FORMAT",
            f"The table {table.form} has not one row of format {FORMAT}: the table "
            f"{table} was made for another version of this program. Make it anew.",
        )
    return TableForm(model=str(found[0][1]), model_digest=str(found[0][2]))


def _create(table: TableName, columns: Iterable[CodedColumn]) -> exp.Create:
    fields = [
        exp.ColumnDef(
            this=exp.to_identifier(each.name, quoted=True),
            kind=exp.DataType.build(each.kind),
            constraints=[]
            if each.optional
            else [exp.ColumnConstraint(kind=exp.NotNullColumnConstraint())],
        )
        for each in columns
    ]
    return exp.Create(
        this=exp.Schema(this=table.node(), expressions=fields), kind="TABLE"
    )


def _run(session: Session, statements: Iterable[exp.Expr]) -> None:
    for statement in statements:
        session.run(session.dialect.text(statement))
