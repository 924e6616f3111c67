# SPDX-License-Identifier: Apache-2.0
"""Editions that lie in a database: how one is frozen there, and how it answers.

The directory of such an edition has ``database.json`` in the place of the store: which
database, which table. The table is a copy that nothing changes any more; who may
change it there is up to the agency.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlglot import exp

from accord.agent.pushdown.checking import check_table
from accord.agent.pushdown.dialect import column, number, over
from accord.agent.pushdown.fold import fold
from accord.agent.pushdown.making import (
    analysing,
    drop_next,
    make_copy,
    open_table,
    put_next,
)
from accord.agent.pushdown.plan import Plan, plan
from accord.agent.pushdown.session import Session, session_in
from accord.agent.pushdown.table import CURRENT, CodedTable, TableName, edition_table
from accord.agent.state import AgentState
from accord.agent.store.bound import Vector
from accord.agent.store.durable import created_file, sync_directory
from accord.agent.store.editions import IN_DATABASE, Calendar
from accord.agent.store.entries import LeafFilter
from accord.agent.store.leaving import CONSENT_UNTIL, Leaving, day_code
from accord.core.document import Strict
from accord.core.errors import IntegrityError
from accord.core.layout import Layout
from accord.core.measure import ComponentVector
from accord.core.model import DataModel


class Place(Strict):
    """What ``database.json`` says."""

    database: str
    """As the settings call it."""
    table: str
    schema_name: str | None = None

    @property
    def name(self) -> TableName:
        """The table."""
        return TableName(name=self.table, schema=self.schema_name)


@dataclasses.dataclass(slots=True, kw_only=True)
class CodedEdition:
    """An edition in a database, with an open connection."""

    session: Session
    table: CodedTable
    today: datetime.date | None
    _stack: contextlib.ExitStack = dataclasses.field(repr=False)

    @classmethod
    def open(
        cls,
        state: AgentState,
        folder: Path,
        model: DataModel,
        today: datetime.date | None = None,
    ) -> Self:
        """Connect to where the edition in *folder* lies; no record is touched.

        Args:
            state: of the agency.
            folder: of the edition.
            model: by which its codes are read.
            today: cases whose consent has ended by then are not looked at.

        Raises:
            PreconditionFailed: STORE_ABSENT, STORE_FORMAT or STORE_MODEL.
            IntegrityError: EDITION_BROKEN
            AccordError: the database cannot be reached, or lets nobody in.
        """
        place = place_of_edition(folder)
        return cls._at(state, place.database, place.name, model, today)

    @classmethod
    def current(
        cls,
        state: AgentState,
        database: str,
        schema: str | None,
        model: DataModel,
        today: datetime.date | None = None,
    ) -> Self:
        """Connect to the table that the next edition will be a copy of.

        Args:
            state: of the agency.
            database: as the settings call it.
            schema: that the table is in.
            model: as for `open`.
            today: as for `open`.

        Raises:
            AccordError: as `open`.
        """
        name = TableName(name=CURRENT, schema=schema)
        return cls._at(state, database, name, model, today)

    @classmethod
    def _at(
        cls,
        state: AgentState,
        database: str,
        name: TableName,
        model: DataModel,
        today: datetime.date | None,
    ) -> Self:
        with contextlib.ExitStack() as stack:
            session = stack.enter_context(session_in(state, database))
            table = open_table(session, name, model)
            return cls(
                session=session, table=table, today=today, _stack=stack.pop_all()
            )

    def __enter__(self) -> Self:
        """Return the edition itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._stack.close()

    def plan(
        self, layout: Layout, where: Sequence[LeafFilter], vector: ComponentVector
    ) -> Plan:
        """Return the statement for a question; raises what counting would, before it.

        Raises:
            PreconditionFailed: STORE_COLUMN
            IntegrityError: STORE_BROKEN
        """
        dialect = self.session.dialect
        return plan(self.table, layout, where, vector, dialect, today=self.today)

    def vector(
        self, layout: Layout, where: Sequence[LeafFilter], vector: ComponentVector
    ) -> Vector:
        """Return what `bounded_vector` would of the same cases in a store.

        Raises:
            AccordError: as `plan`, or the database cannot do it.
        """
        asked = self.plan(layout, where, vector)
        return fold(asked, self.session.rows(asked.text()))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseOrigin:
    """Freezes editions of a coded table, in the database that has it.

    Satisfies `accord.agent.store.editions.Origin`.
    """

    state: AgentState
    database: str
    schema: str | None = None
    leaving: Leaving | None = None

    def require(self, calendar: Calendar, name: str) -> None:
        """Raise unless an edition could be frozen now."""
        with session_in(self.state, self.database) as session:
            table = self._target(calendar, name)
            if not session.columns(table):
                table = self._current
            open_table(session, table, calendar.model)

    def freeze(self, calendar: Calendar, name: str, folder: Path) -> None:
        """Copy the current table, and make *folder* say where the copy is.

        A table that is there already under the name of the edition is the edition: a
        crash came in between, or the agency makes its editions itself.

        Raises:
            IntegrityError: STORE_BROKEN, the table breaks a rule of its form.
            AccordError: the database refuses.
        """
        target, model = self._target(calendar, name), calendar.model
        with session_in(self.state, self.database) as session:
            made = bool(session.columns(target))
            if made:
                check_table(session, open_table(session, target, model), model)
        if not made:
            self._copy(target, model)
        place = Place(
            database=self.database, table=target.name, schema_name=target.schema
        )
        folder.mkdir(mode=0o700)
        with created_file(folder / IN_DATABASE) as file:
            file.write(place.model_dump_json(indent=1).encode())
        sync_directory(folder)

    @property
    def _current(self) -> TableName:
        return TableName(name=CURRENT, schema=self.schema)

    def _target(self, calendar: Calendar, name: str) -> TableName:
        return edition_table(calendar.name, name, self.schema)

    def _copy(self, target: TableName, model: DataModel) -> None:
        """Copy the current table; the copy is looked at before it takes its name."""
        with session_in(self.state, self.database, writes=True) as session:
            columns = open_table(session, self._current, model).columns
            make_copy(
                session, self._current, target, _staying(self.leaving, columns, model)
            )
            try:
                check_table(session, open_table(session, target.next, model), model)
            except IntegrityError:
                drop_next(session, target)
                raise
            put_next(session, target)
            analysing(session, target)


def _staying(
    leaving: Leaving | None, columns: frozenset[str], model: DataModel
) -> list[exp.Expr]:
    """Return what cases have to pass to be in an edition that is made now."""
    if leaving is None:
        return []
    tests: list[exp.Expr] = []
    if CONSENT_UNTIL in columns:
        tests.append(over(column(CONSENT_UNTIL), day_code(leaving.today) - 1))
    codes = leaving.codes(model)
    if codes:
        old = [number(code) for code in codes]
        tests.append(
            exp.Not(this=exp.In(this=column(leaving.registered), expressions=old))
        )
    return tests


def place_of_edition(folder: Path) -> Place:
    """Return where the edition in *folder* lies.

    Raises:
        IntegrityError: EDITION_BROKEN
    """
    try:
        return Place.model_validate_json((folder / IN_DATABASE).read_bytes())
    except (OSError, ValueError):
        # A pydantic.ValidationError is a ValueError.
        raise IntegrityError(
            "EDITION_BROKEN",
            f"The edition {folder.parent.name}/{folder.name} is damaged. Move its "
            "directory away; the agent answers from the others.",
        ) from None
