# SPDX-License-Identifier: Apache-2.0
"""A table or view of a database as a source: only named columns, a batch at a time.

Statements are built by SQLAlchemy from the names that the database itself reports, so
no text of a mapping becomes SQL; what is compared is bound. Nothing is ever written.
"""

from __future__ import annotations

import contextlib
import dataclasses
import decimal
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from accord.agent.sources.access import Access
from accord.agent.sources.table import BATCH_ROWS, Batch, Stream
from accord.agent.sources.values import columns_of
from accord.core.errors import SourceError, suggestion

if TYPE_CHECKING:
    import sqlalchemy as sa

KEYS_AT_ONCE = 400
"""Cases that one statement asks for."""

_MOST_SHOWN = 30
"""Names that one sentence lists."""

_BIT = "bit"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column as the database reports it."""

    name: str
    kind: sa.types.TypeEngine[Any]
    is_bit: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseTable:
    """A table or view that is open for reading."""

    access: Access
    connection: sa.Connection
    name: str
    """For messages and reports."""
    schema: str | None
    table: str
    columns: tuple[Column, ...]

    def stream(self) -> Stream:
        """Return the whole table as a source."""
        header = tuple(column.name for column in self.columns)
        return Stream(
            name=self.name, header=header, rows=self.rows, rows_of=self.rows_of
        )

    def rows(self, names: Sequence[str]) -> Iterator[Batch]:
        """Yield the named columns of all rows."""
        yield from self._read(self._select(names), names)

    def rows_of(
        self, names: Sequence[str], keys: Sequence[str], cases: Sequence[Sequence[str]]
    ) -> Iterator[Batch] | None:
        """Yield the named columns of the rows of some cases.

        Args:
            names: columns to yield.
            keys: columns that tell cases apart.
            cases: texts of these columns, as `rows` gave them.

        Returns:
            Nothing where the texts do not lead back to what the database compares; the
            caller then has to read all rows.
        """
        bound = self._bound(keys, cases)
        if bound is None:
            return None
        return self._rows_of(names, keys, bound)

    def _rows_of(
        self,
        names: Sequence[str],
        keys: Sequence[str],
        cases: Sequence[Sequence[object]],
    ) -> Iterator[Batch]:
        for start in range(0, len(cases), KEYS_AT_ONCE):
            some = cases[start : start + KEYS_AT_ONCE]
            statement = self._select(names).where(self._among(keys, some))
            yield from self._read(statement, names)

    def _among(
        self, keys: Sequence[str], cases: Sequence[Sequence[object]]
    ) -> sa.ColumnElement[bool]:
        """Return the condition that a row is of one of *cases*."""
        import sqlalchemy as sa

        columns = [self._column(name) for name in keys]
        if len(columns) == 1:
            given = [case[0] for case in cases if not _is_empty(case[0])]
            told = columns[0].in_(_bound("values", given, columns[0], several=True))
            absent = [case[0] for case in cases if _is_empty(case[0])]
            return sa.or_(told, *(_equals(columns[0], one) for one in absent))
        return sa.or_(
            *(
                sa.and_(
                    *(
                        _equals(column, value)
                        for column, value in zip(columns, case, strict=True)
                    )
                )
                for case in cases
            )
        )

    def _bound(
        self, keys: Sequence[str], cases: Sequence[Sequence[str]]
    ) -> list[list[object]] | None:
        """Return the texts of cases as values that the database can compare."""
        found: list[list[object]] = []
        kinds = {column.name: column.kind for column in self.columns}
        for place, name in enumerate(keys):
            back = _way_back(kinds[name])
            if back is None:
                return None
            try:
                values = [_value(back, case[place]) for case in cases]
            except (ValueError, ArithmeticError):
                return None
            found.append(values)
        return [list(case) for case in zip(*found, strict=True)]

    def _column(self, name: str) -> sa.ColumnClause[Any]:
        import sqlalchemy as sa

        kind = next(column.kind for column in self.columns if column.name == name)
        return sa.column(sa.quoted_name(name, quote=True), kind)

    def _select(self, names: Sequence[str]) -> sa.Select[Any]:
        """Return the statement for *names*; values stay as the driver has them."""
        import sqlalchemy as sa

        origin = sa.table(
            sa.quoted_name(self.table, quote=True),
            schema=None
            if self.schema is None
            else sa.quoted_name(self.schema, quote=True),
        )
        chosen: list[sa.ColumnClause[Any]] = [
            sa.column(sa.quoted_name(name, quote=True)) for name in names
        ]
        return sa.select(*chosen).select_from(origin)

    def _read(self, statement: sa.Select[Any], names: Sequence[str]) -> Iterator[Batch]:
        bits = [
            place
            for place, name in enumerate(names)
            if any(column.name == name and column.is_bit for column in self.columns)
        ]
        with (
            self.access.explained(),
            contextlib.closing(
                self.connection.execute(
                    statement.execution_options(yield_per=BATCH_ROWS)
                )
            ) as result,
        ):
            for rows in result.partitions():
                yield columns_of(rows, names, bits, self.name)


@contextlib.contextmanager
def open_database_table(access: Access, named: str) -> Iterator[DatabaseTable]:
    """Connect and find a table or view, as ``name`` or ``schema.name``.

    Raises:
        SourceError: DATABASE_TABLE, there is none that the user may see; while reading
            also DATABASE_RIGHTS, DATABASE_FAILED, SOURCE_TYPE or SOURCE_ENCODING.
        ConfigurationError: the settings of the database are wrong.
        Unreachable: DATABASE_UNREACHABLE.
    """
    with access.connected() as connection:
        yield _found(access, connection, named)


def _found(access: Access, connection: sa.Connection, named: str) -> DatabaseTable:
    with access.explained():
        for schema, table in readings(named):
            columns = columns_in(connection, schema, table)
            if columns:
                return DatabaseTable(
                    access=access,
                    connection=connection,
                    name=f"{access.name}:{named}",
                    schema=schema,
                    table=table,
                    columns=columns,
                )
        tables = tables_in(connection)
    hint = suggestion(named, tables) or _some_of(tables)
    raise SourceError(
        "DATABASE_TABLE",
        f"The database {access.name!r} shows its user no table or view "
        f"{named!r}.{hint}",
    )


def columns_in(
    connection: sa.Connection, schema: str | None, table: str
) -> tuple[Column, ...]:
    """Return the columns that the user may see; none where there is no such table."""
    import sqlalchemy as sa

    if connection.dialect.name == "mysql":
        return _mysql_columns(connection, schema, table)
    with _quiet():
        try:
            found = sa.inspect(connection).get_columns(table, schema=schema)
        except sa.exc.NoSuchTableError:
            return ()
    return tuple(Column(name=str(one["name"]), kind=one["type"]) for one in found)


def tables_in(connection: sa.Connection) -> list[str]:
    """Return the tables and views that the user may see, without those of a schema."""
    import sqlalchemy as sa

    with _quiet():
        inspector = sa.inspect(connection)
        return sorted([*inspector.get_table_names(), *inspector.get_view_names()])


def _mysql_columns(
    connection: sa.Connection, schema: str | None, table: str
) -> tuple[Column, ...]:
    """Ask the catalogue: SHOW CREATE TABLE wants more rights than a reader has."""
    import sqlalchemy as sa

    fields = ("column_name", "data_type", "table_schema", "table_name")
    catalogue = sa.table(
        "columns",
        *(sa.column(name) for name in (*fields, "ordinal_position")),
        schema="information_schema",
    )
    statement = (
        sa.select(catalogue.c.column_name, catalogue.c.data_type)
        .where(
            catalogue.c.table_schema
            == (sa.func.database() if schema is None else schema),
            catalogue.c.table_name == table,
        )
        .order_by(catalogue.c.ordinal_position)
    )
    found = connection.execute(statement).all()
    return tuple(
        Column(
            name=str(name),
            kind=_mysql_kind(str(kind).lower()),
            is_bit=str(kind).lower() == _BIT,
        )
        for name, kind in found
    )


def _mysql_kind(kind: str) -> sa.types.TypeEngine[Any]:
    import sqlalchemy as sa

    if kind.endswith("int"):
        return sa.BigInteger()
    if kind in ("char", "varchar") or kind.endswith("text"):
        return sa.String()
    if kind == "decimal":
        return sa.Numeric()
    return sa.types.NullType()


def readings(named: str) -> Iterator[tuple[str | None, str]]:
    """Yield what a name can mean: a dot may belong to the table's own name."""
    schema, dot, table = named.partition(".")
    if dot:
        yield schema, table
    yield None, named


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Let columns of types that SQLAlchemy does not know pass without a word."""
    import sqlalchemy as sa

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sa.exc.SAWarning)
        yield


def _way_back(kind: sa.types.TypeEngine[Any]) -> Callable[[str], object] | None:
    """Return the function from the text of a value to the value, if there is one."""
    import sqlalchemy as sa

    if isinstance(kind, sa.String):
        return str
    if isinstance(kind, sa.Integer):
        return int
    if isinstance(kind, sa.Uuid):
        return uuid.UUID
    if isinstance(kind, sa.Numeric) and not isinstance(kind, sa.Float):
        return decimal.Decimal
    return None


def _value(back: Callable[[str], object], text: str) -> object:
    """Return the value of a text; the empty one of what is no text is NULL."""
    return None if not text and back is not str else back(text)


def _is_empty(value: object) -> bool:
    return value is None or value == ""


def _equals(column: sa.ColumnClause[Any], value: object) -> sa.ColumnElement[bool]:
    import sqlalchemy as sa

    if value is None:
        return column.is_(None)
    same = column == _bound("value", value, column)
    return sa.or_(column.is_(None), same) if value == "" else same


def _bound(
    name: str, value: object, column: sa.ColumnClause[Any], *, several: bool = False
) -> sa.BindParameter[Any]:
    """Return a parameter whose name is ours: that of a column may hold anything."""
    import sqlalchemy as sa

    return sa.bindparam(name, value, type_=column.type, unique=True, expanding=several)


def _some_of(names: Sequence[str]) -> str:
    if not names:
        return " It shows none at all."
    more = ", …" if len(names) > _MOST_SHOWN else ""
    return f" It shows: {', '.join(names[:_MOST_SHOWN])}{more}."
