# SPDX-License-Identifier: Apache-2.0
"""Coded tables: statements as written, editions in a database, and who may not answer.

What databases make of the statements is tested in tests/contract/test_pushdown.py.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.agent.freezing import origin_of
from accord.agent.pushdown.dialect import Dialect, column
from accord.agent.pushdown.edition import CodedEdition, DatabaseOrigin
from accord.agent.pushdown.export import coded_rows
from accord.agent.pushdown.fold import fold
from accord.agent.pushdown.leaves import in_leaves, place_of
from accord.agent.pushdown.plan import plan
from accord.agent.pushdown.table import (
    CodedTable,
    TableName,
    columns_of_model,
    columns_of_store,
)
from accord.agent.rounds.auditing import audit
from accord.agent.rounds.sealing import AUDIT_KEY
from accord.agent.state import AgentState
from accord.agent.store.bound import bounded_vector
from accord.agent.store.columns import Columns
from accord.agent.store.editions import Calendar, freeze_due, held_editions
from accord.agent.store.entries import leaf_filters
from accord.agent.store.leaving import Leaving
from accord.core.calendar import Period
from accord.core.errors import (
    IntegrityError,
    InternalError,
    PreconditionFailed,
    RequisitionRefused,
)
from accord.core.layout import lay_out
from accord.core.measure import Bounding, Bounds, component_vector
from accord.core.privacy import Accounting
from tests.unit.agent.agencies import (
    MODEL,
    MODEL_TEXT,
    NOW,
    ask,
    ingest_rows,
    new_state,
    row,
)
from tests.unit.agent.agency_world import THREE, World, expected
from tests.unit.agent.agreements import AGENCY
from tests.unit.agent.command import Command
from tests.unit.agent.small_questions import MODEL as SMALL
from tests.unit.agent.small_questions import question

GOLDEN = Path(__file__).parents[2] / "golden" / "pushdown"
MONTHLY = Calendar(every=Period.MONTH, embargo_days=30, model=MODEL)
BOUNDS = Bounds(groups_per_person=2, cases_per_group=2, drop_cap=1)
TABLE = CodedTable(
    name=TableName(name="accord_cases"),
    columns=frozenset(each.name for each in columns_of_model(SMALL)),
)

WRITTEN = {
    "persons": (question("persons", ["work:broad"], {"year": ["y1", "y3"]}), "keep"),
    "weighed": (question("persons", ["work", "year"]), "weigh"),
    "cases": (question("cases", ["year"], {"means": ["force"]}), "keep"),
    "mean": (question("mean(days)", ["year"]), "keep"),
    "quantile": (question("quantile(days)", ["year"]), "keep"),
    "share": (question("share(means:broad)", ["year"]), "keep"),
    "values": (question("values(gender)", ["work"]), "keep"),
}
"""Questions whose statements are kept as people read them."""


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize("name", WRITTEN)
def test_statements_are_as_they_were_read(name: str, dialect: Dialect) -> None:
    """SQL Server is not run by any test: this is what it would be sent.

    ``ACCORD_GOLDEN=write`` writes the files anew.
    """
    query, bounding = WRITTEN[name]
    vector = component_vector(query, SMALL, BOUNDS, Accounting.ZCDP, Bounding(bounding))
    where = leaf_filters(query, SMALL)
    asked = plan(TABLE, lay_out(query, SMALL), where, vector, dialect)
    text = asked.text(pretty=True) + "\n"
    golden = GOLDEN / f"{name}.{dialect.value}.sql"
    if os.environ.get("ACCORD_GOLDEN") == "write":
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")
    assert asked.text() == plan(TABLE, asked.layout, where, vector, dialect).text()


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(st.sampled_from([0, 0, 1, 1, 1]), min_size=1, max_size=700),
    holes=st.sets(st.integers(0, 699)),
    stride=st.integers(1, 50),
)
def test_a_roll_up_is_what_its_table_says(
    steps: list[int], holes: set[int], stride: int
) -> None:
    """Every leaf, however the runs are cut; leaves without a place are out."""
    places = np.cumsum(steps).tolist()
    places = [-1 if leaf in holes else place for leaf, place in enumerate(places)]
    code = column("code")
    text = (
        f"SELECT code, {place_of(code, places, stride).sql('sqlite')} FROM leaves "
        f"WHERE {in_leaves(code, [each >= 0 for each in places]).sql('sqlite')}"
    )
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE leaves (code INTEGER)")
        every = [(leaf,) for leaf in range(-1, len(places) + 2)]
        connection.executemany("INSERT INTO leaves VALUES (?)", every)
        found = dict(connection.execute(text).fetchall())
    assert found == {
        leaf: place * stride for leaf, place in enumerate(places) if place >= 0
    }


@pytest.mark.parametrize(
    ("measure", "missing"),
    [
        ("persons", "year"),
        ("persons", "person_known"),
        ("persons", "order_key"),
        ("sum(days)", "days"),
        ("sum(days)", "case_place"),
        ("share(means)", "means__0"),
        ("share(gender)", "gender"),
    ],
)
def test_a_table_without_a_column_says_so_beforehand(
    measure: str, missing: str
) -> None:
    query = question(measure, ["year"])
    vector = component_vector(query, SMALL, BOUNDS, Accounting.ZCDP)
    table = dataclasses.replace(TABLE, columns=TABLE.columns - {missing})
    with pytest.raises(PreconditionFailed) as caught:
        plan(table, lay_out(query, SMALL), [], vector, Dialect.SQLITE)
    assert caught.value.reason == "STORE_COLUMN"
    assert "means" in str(caught.value) or missing in str(caught.value)


def test_a_bitmask_with_other_words_is_another_model_s() -> None:
    query = question("persons", ["work"])
    vector = component_vector(query, SMALL, BOUNDS, Accounting.ZCDP)
    table = dataclasses.replace(TABLE, columns=TABLE.columns | {"work__1"})
    with pytest.raises(IntegrityError) as caught:
        plan(table, lay_out(query, SMALL), [], vector, Dialect.SQLITE)
    assert caught.value.reason == "STORE_BROKEN"


def test_bounds_that_cannot_be_kept_are_refused() -> None:
    query = question("persons", ["year"])
    vector = component_vector(query, SMALL, BOUNDS, Accounting.ZCDP)
    broken = dataclasses.replace(vector, groups=0)
    with pytest.raises(InternalError) as caught:
        plan(TABLE, lay_out(query, SMALL), [], broken, Dialect.SQLITE)
    assert caught.value.reason == "BOUNDS_INVALID"


@pytest.mark.parametrize(
    "row_found",
    [
        (99, 0, 1, 0, 0, 0),
        (-1, 0, 1, 0, 0, 0),
        (0, 3, 1, 0, 0, 0),
        (None, 0, 1, 0, 0, 0),
        (0, 0, 1),
        (0, 0, 2**70, 0, 0, 0),
    ],
)
def test_an_answer_that_is_none_is_no_vector(row_found: tuple[object, ...]) -> None:
    query = question("persons", ["year"])
    vector = component_vector(query, SMALL, BOUNDS, Accounting.ZCDP)
    asked = plan(TABLE, lay_out(query, SMALL), [], vector, Dialect.SQLITE)
    with pytest.raises(IntegrityError) as caught:
        fold(asked, [row_found])
    assert caught.value.reason == "STORE_BROKEN"


# An agency whose editions lie in a file of SQLite


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    return Command(monkeypatch, capsys)


@pytest.fixture
def state(tmp_path: Path) -> AgentState:
    return in_database(new_state(tmp_path / "state"))


def in_database(state: AgentState) -> AgentState:
    """Let an agency freeze its editions in a database of its own."""
    file = state.root.parent / f"{state.root.name}.db"
    sqlite3.connect(file).close()
    state.config.write_text(
        f'[databases.own]\nurl = "sqlite:///{file}"\n'
        '[store]\nwhere = "database"\ndatabase = "own"\n',
        encoding="utf-8",
    )
    return state


def rows_in(state: AgentState, sql: str, *parameters: object) -> list[tuple[object]]:
    file = state.root.parent / f"{state.root.name}.db"
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        return connection.execute(sql, parameters).fetchall()


def tables_of(state: AgentState) -> set[str]:
    found = rows_in(state, "SELECT name FROM sqlite_master WHERE type = 'table'")
    return {str(name) for (name,) in found}


def frozen(state: AgentState) -> list[str]:
    done, waiting = freeze_due(
        state, [MONTHLY], NOW, origin_of(state, state.settings())
    )
    return [each.name for each in done] + [each.reason for each in waiting]


def test_an_edition_is_a_copy_that_no_export_changes(
    state: AgentState, command: Command
) -> None:
    ingest_rows(state, [row(), row(first="Bela", number="2", region="south")])
    with Columns.open(state.current) as columns:
        query, bounds = (
            ask("region"),
            Bounds(groups_per_person=2, cases_per_group=1, drop_cap=1),
        )
        vector = component_vector(query, MODEL, bounds, Accounting.ZCDP)
        question_ = (lay_out(query, MODEL), leaf_filters(query, MODEL), vector)
        expected_vector = bounded_vector(columns, *question_).tolist()
    assert frozen(state) == ["STORE_ABSENT"]
    said = command("pushdown", "export", "--state", state.root, "--json")
    assert json.loads(said.stdout) == {
        "database": "own",
        "table": "accord_cases",
        "cases": 2,
    }
    assert frozen(state) == ["2026-01"]
    assert frozen(state) == []
    assert [each.name for each in held_editions(state)] == ["2026-01"]
    ingest_rows(state, [row(first="Cara")])
    assert command("pushdown", "export", "own", "--state", state.root).status == 0
    assert rows_in(state, "SELECT count(*) FROM accord_cases") == [(1,)]
    folder = state.editions / "month-30" / "2026-01"
    assert sorted(path.name for path in folder.iterdir()) == [
        "database.json",
        "edition.json",
    ]
    with CodedEdition.open(state, folder, MODEL) as edition:
        assert str(edition.table.name) == "accord_cases_month_30_2026_01"
        assert edition.vector(*question_).tolist() == expected_vector
    said = command("pushdown", "check", "--state", state.root)
    model = state.root.parent / "small.yaml"
    assert (said.status, "no data model" in said.stderr) == (3, True)
    model.write_text(MODEL_TEXT, encoding="utf-8")
    said = command("pushdown", "check", "--model", model, "--state", state.root)
    assert (said.status, said.stdout.count("keeps the rules")) == (0, 2)
    assert tables_of(state) == {
        "accord_cases",
        "accord_cases_form",
        "accord_cases_month_30_2026_01",
        "accord_cases_month_30_2026_01_form",
    }


def test_an_export_that_ends_in_the_middle_leaves_the_table_as_it_was(
    state: AgentState, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest_rows(state, [row()])
    command("pushdown", "export", "--state", state.root)

    def half(columns: Columns, names: list[str]) -> Iterator[list[Any]]:
        yield next(coded_rows(columns, names, batch=1))
        raise PreconditionFailed("PUSHDOWN_RIGHTS", "The disk is full.")

    ingest_rows(state, [row(first="Bela"), row(first="Cara", number="2")])
    with monkeypatch.context() as patch:
        patch.setattr("accord.agent.pushdown.export.coded_rows", half)
        said = command("pushdown", "export", "--state", state.root)
    assert (said.status, "disk is full" in said.stderr) == (4, True)
    assert rows_in(state, "SELECT count(*) FROM accord_cases") == [(1,)]
    assert command("pushdown", "export", "--state", state.root).status == 0
    assert rows_in(state, "SELECT count(*) FROM accord_cases") == [(2,)]
    assert tables_of(state) == {"accord_cases", "accord_cases_form"}


def test_an_edition_is_made_without_cases_that_are_too_old(
    state: AgentState, command: Command
) -> None:
    """As one of the store is."""
    ingest_rows(
        state, [row(), row(number="2", date="2025-11-02"), row(first="B", number="3")]
    )
    command("pushdown", "export", "--state", state.root)
    origin = DatabaseOrigin(
        state=state, database="own", leaving=Leaving(today=NOW.date(), months=12)
    )
    done, waiting = freeze_due(state, [MONTHLY], NOW, origin)
    assert (len(done), waiting) == (1, [])
    table = "accord_cases_month_30_2026_01"
    assert rows_in(state, f"SELECT count(*) FROM {table}") == [(1,)]
    assert rows_in(state, "SELECT count(*) FROM accord_cases") == [(3,)]


def test_a_table_that_is_there_is_the_edition(
    state: AgentState, command: Command
) -> None:
    """After a crash between both, and where an agency makes its editions itself."""
    ingest_rows(state, [row()])
    command("pushdown", "export", "--state", state.root)
    origin = DatabaseOrigin(state=state, database="own")
    origin.freeze(MONTHLY, "2026-01", state.scratch / "crashed")
    ingest_rows(state, [row(), row(first="Bela")])
    command("pushdown", "export", "--state", state.root)
    assert frozen(state) == ["2026-01"]
    table = "accord_cases_month_30_2026_01"
    assert rows_in(state, f"SELECT count(*) FROM {table}") == [(1,)]


WRONG = {
    "region": "UPDATE accord_cases SET region = 9",
    "exploitation_type__0": "UPDATE accord_cases SET exploitation_type__0 = 1024",
    "person_known": "UPDATE accord_cases SET person_known = 2",
    "share a person": "UPDATE accord_cases SET person = 0, person_known = 0",
    "case_place": "UPDATE accord_cases SET person = 0, case_place = 5",
    "days": "UPDATE accord_cases SET days = -2147483648",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_table_that_breaks_a_rule_becomes_no_edition(
    state: AgentState, command: Command, wrong: str
) -> None:
    ingest_rows(state, [row(), row(first="Bela", number="2")])
    command("pushdown", "export", "--state", state.root)
    rows_in(state, WRONG[wrong])
    with pytest.raises(IntegrityError) as caught:
        frozen(state)
    assert caught.value.reason == "STORE_BROKEN"
    assert wrong in str(caught.value)
    assert held_editions(state) == []
    assert not [name for name in tables_of(state) if "2026" in name]


def test_a_table_of_another_model_or_program_waits(
    state: AgentState, command: Command
) -> None:
    ingest_rows(state, [row()])
    command("pushdown", "export", "--state", state.root)
    rows_in(state, "UPDATE accord_cases_form SET model_digest = 'other'")
    assert frozen(state) == ["STORE_MODEL"]
    rows_in(state, "UPDATE accord_cases_form SET format = 2")
    assert frozen(state) == ["STORE_FORMAT"]
    rows_in(state, "DELETE FROM accord_cases_form")
    assert frozen(state) == ["STORE_FORMAT"]
    rows_in(state, "DROP TABLE accord_cases_form")
    assert frozen(state) == ["STORE_ABSENT"]


def test_a_database_that_is_away_delays_an_edition(
    state: AgentState, command: Command
) -> None:
    ingest_rows(state, [row()])
    command("pushdown", "export", "--state", state.root)
    file = state.root.parent / "state.db"
    file.rename(file.with_suffix(".away"))
    assert frozen(state) == ["DATABASE_PATH"]
    file.with_suffix(".away").rename(file)
    assert frozen(state) == ["2026-01"]


def test_rows_are_the_same_in_batches_of_any_size(state: AgentState) -> None:
    """A person's cases can stand on both sides of a cut."""
    cases = [row(first=name, number=f"{n}") for name in "ABC" for n in range(4)]
    cases.append(row(number="x", days=""))
    ingest_rows(state, cases)
    with Columns.open(state.current) as columns:
        names = [each.name for each in columns_of_store(columns.form)]
        whole = [each for rows in coded_rows(columns, names) for each in rows]
        for batch in (1, 2, 3, 5):
            cut = coded_rows(columns, names, batch)
            assert [each for rows in cut for each in rows] == whole
    place = names.index("case_place")
    days = names.index("days")
    assert sorted(str(each[place]) for each in whole) == sorted([*"0123"] * 3 + ["0"])
    assert [each[days] for each in whole].count(None) == 1


# Rounds


@pytest.fixture
def pushed(world: World, command: Command) -> World:
    """A world in which one agency's edition lies in a database."""
    state = in_database(world.states[AGENCY])
    assert command("pushdown", "export", "--state", state.root).status == 0
    folder = state.editions / "month-30" / "2026-01"
    away = state.scratch / "moved"
    folder.rename(away)
    with state.ledger() as connection:
        connection.execute("DELETE FROM edition")
    world.answerers[AGENCY] = world.answerer(AGENCY, store=state.settings().store)
    world.hub.members[AGENCY] = world.answerers[AGENCY]
    assert [each.name for each in world.answerers[AGENCY].editions()] == ["2026-01"]
    assert (folder / "database.json").is_file()
    return world


def test_a_round_opens_the_same_sum(pushed: World) -> None:
    found = pushed.whole(pushed.asked())
    assert found.sum().tolist() == expected(THREE).tolist()
    state = pushed.states[AGENCY]
    seed = (state.keys / AUDIT_KEY).read_bytes()
    done = audit(state, found.query_id, seed, pushed.clock.now)
    assert done.as_json()["result"] == "agrees"


@pytest.mark.parametrize("measure", ["persons", "cases"])
@pytest.mark.parametrize(
    "grouped", [[], ["region"], ["region", "exploitation_type"]], ids=len
)
def test_a_table_of_its_own_is_counted_in_the_database_too(
    pushed: World, command: Command, measure: str, grouped: list[str]
) -> None:
    """It is the one of the store, to the last person."""
    state = pushed.states[AGENCY]
    options = ["--measure", measure, "--state", state.root, "--json"]
    options += [word for each in grouped for word in ("--by", each)]
    said = command("report", *options)
    assert said.status == 0, said.stderr
    frozen_ = json.loads(said.stdout)
    assert frozen_["records"] == "edition 2026-01"
    now = json.loads(command("report", *options, "--now").stdout)
    assert now["records"] == "the records as they are in the database"
    state.config.unlink()
    stored = json.loads(command("report", *options, "--now").stdout)
    assert stored["records"] == "the records as they were read in last"
    assert stored["total"] > 0
    assert frozen_["rows"] == now["rows"] == stored["rows"]
    assert frozen_["total"] == now["total"] == stored["total"]


def test_a_table_of_its_own_says_what_the_database_lacks(
    pushed: World, command: Command
) -> None:
    state = pushed.states[AGENCY]
    options = ("--by", "region", "--state", state.root)
    rows_in(state, "ALTER TABLE accord_cases RENAME COLUMN region TO elsewhere")
    said = command("report", *options, "--now")
    assert (said.status, "no column 'region'" in said.stderr) == (4, True)
    assert command("report", *options).status == 0
    (state.root.parent / f"{state.root.name}.db").unlink()
    said = command("report", *options)
    assert said.status != 0
    assert "Traceback" not in said.stderr


def test_without_its_database_an_agency_is_not_ready(pushed: World) -> None:
    """It says so with a reason of the closed list, and nothing is spent."""
    state = pushed.states[AGENCY]
    file = state.root.parent / f"{state.root.name}.db"
    file.unlink()
    with pytest.raises(RequisitionRefused) as caught:
        pushed.ready(pushed.asked())
    assert caught.value.reason == "STORE_UNAVAILABLE"
    assert pushed.spent(AGENCY) == (0, 0)


def test_without_a_column_an_agency_is_not_ready(pushed: World) -> None:
    state = pushed.states[AGENCY]
    table = "accord_cases_month_30_2026_01"
    rows_in(state, f"ALTER TABLE {table} RENAME COLUMN region TO elsewhere")
    with pytest.raises(RequisitionRefused) as caught:
        pushed.ready(pushed.asked())
    assert caught.value.reason == "STORE_UNAVAILABLE"
    assert pushed.spent(AGENCY) == (0, 0)


# Commands


def test_the_form_makes_a_table_that_an_agency_can_fill(
    state: AgentState, command: Command
) -> None:
    said = command(
        "pushdown", "form", "cases-v1", "--for", "sqlite", "--state", state.root
    )
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(said.stdout)
        names = connection.execute("SELECT * FROM accord_cases").description
        form = connection.execute("SELECT * FROM accord_cases_form").fetchall()
    assert {"person", "order_key", "case_place"} <= {name for name, *_ in names}
    assert [(form_, name) for form_, name, _ in form] == [(1, "cases-v1")]


def test_codes_are_those_of_the_store(state: AgentState, command: Command) -> None:
    said = command("pushdown", "codes", "cases-v1", "--state", state.root)
    lines = said.stdout.splitlines()
    assert lines[0] == "dimension,column,code,value"
    assert any(
        line.startswith("exploitation_type,exploitation_type__0,1,") for line in lines
    )


def test_without_a_database_of_the_settings_a_command_says_so(
    state: AgentState, command: Command
) -> None:
    state.config.write_text("", encoding="utf-8")
    ingest_rows(state, [row()])
    said = command("pushdown", "export", "--state", state.root)
    assert (said.status, "Say which database" in said.stderr) == (3, True)
