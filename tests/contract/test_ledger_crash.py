# SPDX-License-Identifier: Apache-2.0
"""A process killed at any moment loses nothing that it knew and doubles nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from accord import ledger
from accord.ledger import State
from tests.contract import ledger_victim as victim
from tests.contract.ledger_stores import MAKERS, with_ledger
from tests.contract.postgres import Cluster

ROOT = Path(__file__).resolve().parent.parent.parent
KINDS = sorted(MAKERS)


@contextlib.contextmanager
def running(kind: str, directory: Path, *stop: str) -> Iterator[subprocess.Popen[str]]:
    """Start a victim on an empty ledger; it is killed at the latest here."""
    program = [sys.executable, "-m", "tests.contract.ledger_victim"]
    path = os.pathsep.join([str(ROOT), str(ROOT / "core")])
    with subprocess.Popen(
        [*program, kind, str(directory), *stop],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def kill(process: subprocess.Popen[str]) -> list[str]:
    """Kill without warning; return the rest of what it had said."""
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    assert process.stdout is not None
    # Not `communicate`: lines that came together are in this file's buffer already.
    return process.stdout.read().splitlines()


@pytest.fixture(params=[*KINDS, "postgresql"])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Make an empty ledger in the test's folder; return what it is kept by."""
    name = str(request.param)
    if name in MAKERS:
        MAKERS[name](tmp_path).close()
        return name
    pytest.importorskip("psycopg", reason="PostgreSQL's driver is not installed")
    server: Cluster = request.getfixturevalue("postgres")
    (tmp_path / "url").write_text(server.database())
    with_ledger(victim.opened(name, tmp_path)).close()
    return name


@pytest.mark.parametrize(
    ("stop", "found", "height"),
    [
        ("before reserve", None, 0),
        ("after reserve", State.RESERVED, 1),
        ("before charge", State.RESERVED, 1),
        ("after charge", State.CHARGED, 2),
        ("before give back", State.RESERVED, 1),
        ("after give back", State.RETURNED, 2),
        ("before rebuild", None, 0),
        ("after rebuild", State.CHARGED, 2),
    ],
)
def test_killed_around_a_commit(
    tmp_path: Path, kind: str, stop: str, found: State | None, height: int
) -> None:
    """Each row of the ledger's crash table."""
    with running(kind, tmp_path, stop) as process:
        assert process.stdout is not None
        for said in process.stdout:
            if said == "here\n":
                break
        else:
            pytest.fail("the process ended before its step")
        kill(process)
    store = victim.opened(kind, tmp_path)
    with store.transaction() as tx:
        assert ledger.verify(tx) == height
        entry = ledger.entry(tx, victim.entry_of(1))
    assert (entry.state if entry else None) == found

    # After the restart the same calls lead to the same end, whatever had happened.
    settlement = stop.split(maxsplit=1)[1].replace("reserve", "charge")
    if found is not State.RETURNED and settlement != "rebuild":
        victim.step(store, 1, "reserve")
    victim.step(store, 1, settlement)
    with store.transaction() as tx:
        assert ledger.verify(tx) == 2
        for line in victim.LINES:
            held = ledger.balance(tx, line.account, line.unit, victim.NOON)
            spent = 0 if settlement == "give back" else line.amount
            assert (held.spent, held.reserved) == (spent, 0)
    store.close()


@pytest.mark.parametrize("after", [1, 2, 7, 20, 41])
def test_killed_at_some_moment(tmp_path: Path, kind: str, after: int) -> None:
    """Killed while it works, wherever it is; then a second process goes on."""
    with running(kind, tmp_path) as process:
        assert process.stdout is not None
        said = [process.stdout.readline().strip() for _ in range(after)]
        said += kill(process)
    assert len(said) >= after
    store = victim.opened(kind, tmp_path)
    with store.transaction() as tx:
        height = ledger.verify(tx)
        found = {each.id: each.state for each in ledger.entries(tx, most=10_000)}
    # Every step that was acknowledged is there, and at most one more.
    assert len(said) <= height <= len(said) + 1
    expected: dict[str, State] = {}
    for each in said:
        of_round, _, name = each.partition(" ")
        expected[victim.entry_of(int(of_round))] = {
            "reserve": State.RESERVED,
            "charge": State.CHARGED,
            "give back": State.RETURNED,
        }[name]
    behind = {entry for entry in found if expected.get(entry) is not found[entry]}
    assert len(behind) == height - len(said)
    assert set(expected) <= set(found)

    rounds = len(said) // 2 + 2
    for number in range(rounds):
        if found.get(victim.entry_of(number)) is not State.RETURNED:
            victim.step(store, number, "reserve")
        victim.step(store, number, victim.settlement_of(number))
    charged = sum(victim.settlement_of(number) == "charge" for number in range(rounds))
    with store.transaction() as tx:
        assert ledger.verify(tx) == 2 * rounds
        for line in victim.LINES:
            held = ledger.balance(tx, line.account, line.unit, victim.NOON)
            assert (held.spent, held.reserved) == (charged * line.amount, 0)
    store.close()
