# SPDX-License-Identifier: Apache-2.0
"""What stands between the engines and the figures that are stated of them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.agent.store.columns import Columns
from benchmarks import accuracy_peers
from benchmarks.accuracy import CELLS as BY
from benchmarks.accuracy import asked, column
from benchmarks.accuracy_agency import policy_of, write_store
from benchmarks.accuracy_peers import (
    ENGINES,
    Engine,
    LeftOut,
    environment,
    measured,
    truth,
)
from benchmarks.case_table import MOST_GROUPS, case_table
from benchmarks.peers.exchange import (
    CELLS,
    Asked,
    Figure,
    read_answers,
    reply,
    write_rows,
)


@settings(max_examples=20, deadline=None)
@given(rows=st.integers(10, 400), seed=st.integers(0, 1000))
def test_the_truth_is_what_the_written_rows_say(
    tmp_path_factory: pytest.TempPathFactory, rows: int, seed: int
) -> None:
    table = case_table(rows, seed)
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    write_rows(table, path)
    with path.open(encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    assert len(written) == rows
    persons: dict[tuple[str, str], set[str]] = {cell: set() for cell in CELLS}
    for row in written:
        persons[row["month"], row["region"]].add(row["person_id"])
    assert truth(table).tolist() == [len(persons[cell]) for cell in CELLS]


def test_accord_counts_the_same_cells_in_the_same_order(tmp_path: Path) -> None:
    """At no bound and without noise it says the truth that all are measured by."""
    table = case_table(3000)
    policy = policy_of(table, MOST_GROUPS, "pure", 1)
    write_store(tmp_path, table, policy.model)
    with Columns.open(tmp_path) as columns:
        target = asked(columns, policy, "persons", *BY).target()
    assert column(target, "estimate").tolist() == truth(table).tolist()


def test_a_cell_without_a_row_is_an_answer_of_nobody(tmp_path: Path) -> None:
    """Engines answer in any order, and some leave cells out."""
    question = Asked(
        table=tmp_path / "rows.csv",
        epsilon=1,
        bound=3,
        releases=2,
        answers=tmp_path / "answers.json",
    )
    named = CELLS[:-3]

    def release() -> Iterator[Figure]:
        yield from ((*cell, 12) for cell in reversed(named))

    reply(question, "numpy", release)
    answered = read_answers(question.answers)
    assert answered.version == np.__version__
    assert [len(release) for release in answered.releases] == [len(CELLS)] * 2
    releases = [np.array(release, np.float64) for release in answered.releases]
    found = measured("somebody", "1", releases, np.full(len(CELLS), 10.0))
    off = (2 * len(named) + 10 * 3) / len(CELLS)
    assert found.error == pytest.approx(off)
    assert found.bias == pytest.approx((2 * len(named) - 10 * 3) / len(CELLS))
    assert (found.least, found.most, found.missing) == (found.error, found.error, 3)


def test_an_error_is_the_median_of_releases() -> None:
    true = np.zeros(4)
    releases = [np.full(4, value) for value in (-1.0, 2.0, 7.0)]
    found = measured("somebody", "1", releases, true)
    assert (found.least, found.error, found.most) == (1, 2, 7)
    assert found.bias == 2


def test_an_engine_without_its_java_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    (tumult,) = (engine for engine in ENGINES if engine.needs_java)
    with pytest.raises(LeftOut, match="install one"):
        environment(tumult)


@pytest.mark.slow
def test_an_engine_that_does_not_install_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Pip refuses what is not pinned before it asks any registry."""
    monkeypatch.setattr(accuracy_peers, "ROOT", tmp_path)
    monkeypatch.setattr(accuracy_peers, "MADE", tmp_path / ".venv-peers")
    peers = tmp_path / "benchmarks" / "peers"
    peers.mkdir(parents=True)
    (peers / "nobody.lock").write_text("nobody-has-this\n", encoding="utf-8")
    with pytest.raises(LeftOut, match=r"ERROR: .*nobody\.log"):
        environment(Engine(name="nobody", title="Nobody"))


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_has_its_module_and_its_lock(engine: Engine) -> None:
    peers = accuracy_peers.ROOT / "benchmarks" / "peers"
    for kind in ("py", "in", "lock"):
        assert (peers / f"{engine.name}.{kind}").is_file()
