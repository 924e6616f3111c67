# SPDX-License-Identifier: Apache-2.0
"""A coded table answers as the store does, in every database that runs here."""

from __future__ import annotations

import dataclasses
import datetime
import random
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlglot import exp

from accord.agent.pushdown.checking import check_table
from accord.agent.pushdown.dialect import Dialect, column
from accord.agent.pushdown.export import export
from accord.agent.pushdown.fold import fold
from accord.agent.pushdown.making import make_copy, open_table, put_next
from accord.agent.pushdown.plan import plan
from accord.agent.pushdown.session import Session
from accord.agent.pushdown.table import CodedTable, TableName, edition_table
from accord.agent.store.bound import bounded_vector
from accord.agent.store.columns import Columns, write_columns
from accord.agent.store.entries import LeafFilter, leaf_filters
from accord.agent.store.leaving import CONSENT_UNTIL, NO_END
from accord.core.errors import IntegrityError
from accord.core.layout import Layout, lay_out
from accord.core.measure import ComponentVector
from tests.contract.coded_sessions import MAKERS
from tests.contract.mariadb import mariadb
from tests.contract.postgres import postgres
from tests.contract.spark import spark
from tests.unit.agent.reference_bound import Case, Rule
from tests.unit.agent.reference_slots import Record
from tests.unit.agent.small_questions import MODEL, Asked, questions, write_store
from tests.unit.agent.small_stores import (
    CREATED,
    DIGEST,
    Shape,
    World,
    declaration,
    layout_of,
    to_columns,
    worlds,
)

__all__ = ["mariadb", "postgres", "spark"]

CURRENT = TableName(name="accord_cases")

often = settings(
    max_examples=40, deadline=None, suppress_health_check=list(HealthCheck)
)
seldom = settings(
    max_examples=3, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(params=MAKERS, scope="module")
def session(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Session]:
    """A session that writes, in each kind of database."""
    folder = tmp_path_factory.mktemp("coded")
    with MAKERS[request.param](request, folder) as made:
        yield made


@pytest.fixture(params=[each for each in MAKERS if each != "spark"], scope="module")
def quick_session(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Session]:
    """The same where a table is made in less than a second."""
    with MAKERS[request.param](request, tmp_path_factory.mktemp("quick")) as made:
        yield made


@pytest.fixture(scope="module")
def spark_session(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Session]:
    with MAKERS["spark"](request, tmp_path_factory.mktemp("slow")) as made:
        yield made


def assert_same(
    session: Session,
    columns: Columns,
    layout: Layout,
    where: Sequence[LeafFilter],
    vector: ComponentVector,
) -> None:
    """The table that a store becomes answers as the store."""
    export(session, columns, CURRENT)
    table = CodedTable(name=CURRENT, columns=session.columns(CURRENT))
    asked = plan(table, layout, where, vector, session.dialect)
    found = fold(asked, session.rows(asked.text()))
    expected = bounded_vector(columns, layout, where, vector)
    assert found.dtype == np.int64
    assert found.tolist() == expected.tolist(), asked.text(pretty=True)


def assert_question(session: Session, asked: Asked) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "store")
        write_store(path, asked.records)
        with Columns.open(path) as columns:
            layout = lay_out(asked.query, MODEL)
            where = leaf_filters(asked.query, MODEL)
            assert_same(session, columns, layout, where, asked.vector)
    check_table(session, open_table(session, CURRENT, MODEL), MODEL)


def assert_world(session: Session, world: World) -> None:
    rule = world.rule
    where = [
        LeafFilter(
            dimension=name,
            wanted=tuple(leaf in wanted for leaf in range(world.shapes[name].leaves)),
        )
        for name, wanted in rule.where.items()
    ]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "store")
        write_columns(
            path,
            to_columns(world.cases, world.shapes),
            model="test",
            model_digest=DIGEST,
            created_at=CREATED,
        )
        with Columns.open(path) as columns:
            assert_same(session, columns, layout_of(rule), where, declaration(rule))


@pytest.mark.slow
@often
@given(asked=st.one_of(questions(), questions(ties=True)))
def test_every_measure_gives_the_vector_of_the_store(
    quick_session: Session, asked: Asked
) -> None:
    assert_question(quick_session, asked)


@pytest.mark.slow
@often
@given(world=worlds())
def test_every_layout_and_filter_gives_the_vector_of_the_store(
    quick_session: Session, world: World
) -> None:
    """Roll-ups with holes, bitmasks of several words, keys that collide."""
    assert_world(quick_session, world)


@pytest.mark.slow
@pytest.mark.timeout(900)  # Java starts, and every table is a set of files
@seldom
@given(asked=st.one_of(questions(), questions(ties=True)), world=worlds())
def test_spark_gives_the_vector_of_the_store(
    spark_session: Session, asked: Asked, world: World
) -> None:
    assert_question(spark_session, asked)
    assert_world(spark_session, world)


def one_case(path: Path, key: int = 1) -> Columns:
    """Return a store of one person."""
    record = Record(
        person=0,
        known=True,
        key=key,
        leaves={
            "year": frozenset({"y1"}),
            "means": frozenset({"threat"}),
            "work": frozenset({"farm"}),
            "gender": frozenset({"woman"}),
        },
        numbers={"days": 3, "change": None},
    )
    write_store(path, [record])
    return Columns.open(path)


def keys_in(session: Session, table: TableName) -> list[int]:
    statement = exp.select(column("order_key")).from_(table.node())
    return [int(row[0]) for row in session.rows(session.dialect.text(statement))]


def spoil(session: Session) -> None:
    """Add a case of another person with a code that no gender has."""
    names = sorted(session.columns(CURRENT))
    read = exp.select(*map(column, names)).from_(CURRENT.node())
    (row,) = session.rows(session.dialect.text(read))
    wrong = dict(zip(names, row, strict=True)) | {"person": 1, "gender": 77}
    session.insert(CURRENT, names, [[wrong[name] for name in names]])
    session.commit()


@pytest.mark.slow
def test_an_edition_is_a_copy_that_later_exports_leave_alone(
    session: Session, tmp_path: Path
) -> None:
    edition = edition_table("month-60", "2026-01", None)
    with one_case(tmp_path / "one") as columns:
        assert export(session, columns, CURRENT) == 1
    make_copy(session, CURRENT, edition)
    put_next(session, edition)
    with one_case(tmp_path / "two", 2**64 - 1) as columns:
        export(session, columns, CURRENT)
    assert keys_in(session, CURRENT) == [2**63 - 1]
    assert keys_in(session, edition) == [1 - 2**63]
    for table in (CURRENT, edition):
        check_table(session, open_table(session, table, MODEL), MODEL)
        assert not session.columns(table.next)
        assert not session.columns(table.last)
    spoil(session)
    with pytest.raises(IntegrityError) as caught:
        check_table(session, open_table(session, CURRENT, MODEL), MODEL)
    assert "gender" in str(caught.value)
    assert "77" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("persons", [True, False])
def test_bitmasks_of_several_words_count_a_value_once(
    session: Session, persons: bool
) -> None:
    draw = random.Random(5)
    cases = [
        Case(
            person=number // 3,
            known=True,
            key=number,
            leaves={"b": frozenset(draw.sample(range(130), draw.randint(1, 4)))},
        )
        for number in range(60)
    ]
    axes = [("b", 129, [*range(129), 128])]
    rule = Rule(persons=persons, axes=axes, where={}, l0=2, linf=2, drop_cap=3)
    shapes = {"b": Shape(leaves=130, multi=True)}
    assert_world(session, World(shapes=shapes, cases=cases, rule=rule))


def store_of(path: Path, kept: list[int], until: list[int]) -> Columns:
    """Return a store with some of three cases, and when their consent ends."""
    every: dict[str, npt.NDArray[Any]] = {
        "person": np.array([0, 0, 1], np.uint32),
        "person_known": np.ones(3, np.uint8),
        "order_key": np.array([1, 2, 3], np.uint64),
        "a": np.array([0, 1, 1], np.uint8),
        CONSENT_UNTIL: np.array(until, np.uint16),
    }
    columns = [(name, values[kept]) for name, values in every.items()]
    write_columns(path, columns, model="test", model_digest=DIGEST, created_at=CREATED)
    return Columns.open(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("day", "kept"), [(11, [0, 1, 2]), (12, [1, 2]), (13, [1])], ids=str
)
def test_a_case_whose_consent_has_ended_counts_as_if_it_were_not_there(
    session: Session, tmp_path: Path, day: int, kept: list[int]
) -> None:
    rule = Rule(
        persons=True, axes=[("a", 2, range(2))], where={}, l0=1, linf=1, drop_cap=1
    )
    today = datetime.date(1970, 1, 1) + datetime.timedelta(days=day)
    until = [11, NO_END, 12]
    with store_of(tmp_path / "all", [0, 1, 2], until) as columns:
        export(session, columns, CURRENT)
    table = CodedTable(name=CURRENT, columns=session.columns(CURRENT))
    layout, vector = layout_of(rule), declaration(rule)
    asked = plan(table, layout, [], vector, session.dialect, today=today)
    found = fold(asked, session.rows(asked.text()))
    with store_of(tmp_path / "kept", kept, until) as columns:
        assert found.tolist() == bounded_vector(columns, layout, [], vector).tolist()


@pytest.mark.slow
def test_a_table_can_be_in_a_schema_of_its_own(
    session: Session, tmp_path: Path
) -> None:
    if session.dialect not in (Dialect.POSTGRESQL, Dialect.SPARK):
        pytest.skip("schemas are tried in PostgreSQL and in Spark")
    session.run("CREATE SCHEMA apart")
    table = TableName(name="accord_cases", schema="apart")
    with one_case(tmp_path / "here") as columns:
        export(session, columns, CURRENT)
    for key in (1, 2):
        with one_case(tmp_path / str(key), key) as columns:
            export(session, columns, table)
    assert keys_in(session, table) == [2 - 2**63]
    check_table(session, open_table(session, table, MODEL), MODEL)


class Interrupted(Exception):
    """The program is killed, or the cluster."""


@dataclasses.dataclass
class Interruption:
    """A session that breaks at a change of a name."""

    session: Session
    left: int
    """So many names are changed before."""
    dialect: Dialect = Dialect.SPARK

    def columns(self, table: TableName) -> frozenset[str]:
        return self.session.columns(table)

    def rows(self, text: str) -> Sequence[Sequence[Any]]:
        return self.session.rows(text)

    def run(self, text: str) -> None:
        if text.startswith("ALTER TABLE"):
            if not self.left:
                raise Interrupted
            self.left -= 1
        self.session.run(text)

    def insert(
        self, table: TableName, names: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        self.session.insert(table, names, rows)

    def commit(self) -> None:
        self.session.commit()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_spark_shows_a_whole_table_or_none_wherever_a_swap_ends(
    spark_session: Session, tmp_path: Path
) -> None:
    """It changes one name at a time; the next export finds its way from everywhere."""
    session, table = spark_session, TableName(name="accord_cases_swapped")
    # The first two have nothing to replace, the others what stood there before.
    for turn, left in enumerate((0, 1, 0, 1, 2, 3)):
        with one_case(tmp_path / str(turn), turn + 1) as columns:
            if turn == 2:
                export(session, columns, table)
            with pytest.raises(Interrupted):
                export(Interruption(session, left), columns, table)
            if session.columns(table):
                check_table(session, open_table(session, table, MODEL), MODEL)
            if turn != 1:
                export(session, columns, table)
                assert keys_in(session, table) == [turn + 1 - 2**63]
