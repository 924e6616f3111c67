# SPDX-License-Identifier: Apache-2.0
"""A hub that comes back from an old copy: agencies know what it forgot, and say so.

The commands are those of the operator's page, in its order; agents find the restored
hub where the other one was.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import accord.client as accord
from tests.federation.network import Network
from tests.federation.processes import wait_until
from tests.federation.small_world import PURPOSE, THREE

pytestmark = pytest.mark.federation

ABSENT = ("delta", "echo")
"""Listed by the board, and not running: the operator goes on without them."""


@pytest.fixture
def network(clones: Callable[..., Network]) -> Iterator[Network]:
    with clones() as made:
        made.start(THREE)
        yield made


def ask(network: Network, epsilon: float) -> accord.Result:
    with network.connect() as hub:
        question = hub.agreement("three").persons().by("district")
        return question.release(epsilon=epsilon, purpose=PURPOSE)


def refusal(network: Network) -> str:
    with pytest.raises(accord.AccordError) as error:
        ask(network, 7)
    return error.value.reason


def spent(network: Network, label: str) -> int:
    """Return what an agency's own ledger has charged."""
    sql = "SELECT used - reserved FROM ledger_account WHERE name = ?"
    rows = network.agent_rows(label, sql, f"agency/{label}")
    return int(rows[0][0]) if rows else 0


def reconcile(network: Network) -> None:
    """Do what the operator's page says, once all who can have reported."""

    def awaited() -> set[str]:
        shown = network.hub_command("ledger", "reconcile")
        return {each["agency"] for each in shown["agencies"] if not each["reported"]}

    wait_until(lambda: awaited() == set(ABSENT), "all who run have reported")
    early = network.try_hub_command("ledger", "reconcile", "--apply")
    assert early.code == 4
    assert "delta, echo" in early.err
    options = [word for label in ABSENT for word in ("--without", label)]
    done = network.hub_command("ledger", "reconcile", "--apply", *options)
    assert done["applied"]
    network.hub.wait_line("ledger.reconciled")


def wait_seen(network: Network, entries: int) -> None:
    """Return once all who run have seen more of the hub's log."""

    def sizes() -> list[int]:
        sql = "SELECT size FROM log_seen"
        return [network.agent_rows(label, sql)[0][0] for label in THREE]

    wait_until(lambda: min(sizes()) > entries, "agencies have seen the newest head")


def accept_log(network: Network) -> None:
    """Let staff of each agency accept that the hub's log is another one now."""
    for label in THREE:
        network.agents[label].wait_line("log.untrusted", reason="LOG_FORKED")
        network.agent_command(label, "log", "accept", "--yes")


def restored(network: Network, backup: Path) -> None:
    """Kill the hub, lose its folder but for the keys, and restore a backup."""
    network.hub.kill()
    lost = network.hub_state.with_name("lost")
    network.hub_state.rename(lost)
    network.hub_state.mkdir()
    shutil.copytree(lost / "keys", network.hub_state / "keys")
    network.hub_command("restore", str(backup))
    network.start_hub()
    for label in THREE:  # they would come back by themselves, after a while
        network.agents[label].stop()
    network.start_agents(THREE)


@pytest.mark.day
@pytest.mark.slow
def test_a_backup_that_is_restored_forgets_nothing_that_was_spent(
    network: Network, tmp_path: Path
) -> None:
    first = ask(network, 3)
    backup = tmp_path / "hub.accord"
    made = network.hub_command("backup", str(backup))
    for epsilon in (4, 5):
        ask(network, epsilon)
    before = network.charged()
    wait_seen(network, made["log_size"])

    restored(network, backup)
    assert network.charged() != before
    assert refusal(network) == "LEDGER_BEHIND"
    with network.connect() as hub:
        assert hub.release(first.id).rows == first.rows
    reconcile(network)
    assert network.charged() == before
    assert not network.reserved()
    for label in THREE:
        assert spent(network, label) == before[f"agency/{label}"]
    accept_log(network)
    wait_until(lambda: answers(network), "agencies answer again")
    assert network.hub_command("ledger", "reconcile")["epoch"] == 1
    network.hub_command("audit", "verify")  # what is there holds together


def answers(network: Network) -> bool:
    try:
        ask(network, 6)
    except accord.AccordError:
        return False
    return True


@pytest.mark.slow
def test_a_database_that_was_put_back_by_hand_is_found_out_by_any_agency(
    network: Network, tmp_path: Path
) -> None:
    ask(network, 3)
    copy = tmp_path / "copy.db"
    database = network.hub_state / "hub.db"
    with (
        contextlib.closing(sqlite3.connect(database)) as there,
        contextlib.closing(sqlite3.connect(copy)) as here,
    ):
        there.backup(here)
    ask(network, 4)
    before = network.charged()
    for label in THREE[1:]:
        network.agents[label].stop()
    network.hub.kill()
    for path in database.parent.glob("hub.db*"):
        path.unlink()
    shutil.copy(copy, database)
    network.start_hub()
    # one agency comes, knows more, and that is enough
    network.hub.wait_line("ledger.doubted", agency=THREE[0])
    network.agents[THREE[0]].wait_line("hub.doubted", reason="HUB_BEHIND")
    assert refusal(network) == "LEDGER_BEHIND"
    network.start_agents(THREE[1:])
    reconcile(network)
    assert network.charged() == before


@pytest.mark.slow
def test_twice_in_a_row_from_the_same_backup(network: Network, tmp_path: Path) -> None:
    backup = tmp_path / "hub.accord"
    made = network.hub_command("backup", str(backup))
    ask(network, 4)
    before = network.charged()
    wait_seen(network, made["log_size"])
    restored(network, backup)
    reconcile(network)
    accept_log(network)
    wait_until(lambda: answers(network), "agencies answer again")
    again = network.charged()
    assert again != before
    shutil.rmtree(network.hub_state.with_name("lost"))
    restored(network, backup)
    reconcile(network)
    assert network.charged() == again
    assert network.hub_command("ledger", "reconcile")["epoch"] == 2
