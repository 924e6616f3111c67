# SPDX-License-Identifier: Apache-2.0
"""A hub erases what its agreement lets it keep no longer; spent budget stays spent."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from accord.core.errors import NotFound
from accord.hub.backup.restoring import restore
from accord.hub.cli import app
from accord.hub.cli.common import governed
from accord.hub.db.engine import Store
from accord.hub.db.tables import ASKED, AUDIT, RELEASES
from accord.hub.log.verifying import verify_log
from accord.hub.retention.nightly import Nightly, apply
from accord.hub.serve import utc_now
from accord.hub.state import State
from accord.trust.keys import raw_public
from accord.v1 import analyst_pb2
from tests.unit.hub.scripted import until
from tests.unit.hub.test_backup import backup
from tests.unit.hub.world import (
    AGREEMENT,
    World,
    a_submission,
    account,
    add_analyst,
    audited,
    call,
    finished,
    make_state,
)


@pytest.fixture
def state(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> State:
    """Return the state of a hub that keeps figures for 30 days."""
    said = "retention: {releases: 3650 days, questions: 3650 days}"
    made = make_state(
        tmp_path, **{said: "retention: {releases: 30 days, questions: 400 days}"}
    )
    capsys.readouterr()
    return made


def later(days: int) -> dt.datetime:
    return utc_now() + dt.timedelta(days=days)


def apply_in(state: State, days: int) -> list[dict[str, int]]:
    """Apply as the command does, so many days from now."""
    store = Store(state.database)
    with governed(state) as standing:
        policies = standing.newest()
    try:
        return [step.erased for step in apply(store, policies, lambda: later(days))]
    finally:
        store.close()


async def test_an_erased_release_is_gone_and_its_question_is_a_new_one(
    world: World,
) -> None:
    await world.all_agents()
    stub = world.analyst(add_analyst(world.state, "ana"))
    first = a_submission(1.0)
    await call(stub.SubmitQuery(first))
    release = (await finished(stub, first.id)).reply.release
    spent = account(world, f"agreement/{AGREEMENT}")
    assert apply_in(world.state, 30) == []
    assert apply_in(world.state, 31) == [{"releases": 1}]
    for asked in (
        stub.GetRelease(analyst_pb2.GetReleaseRequest(id=release.id)),
        stub.GetSubmission(analyst_pb2.GetSubmissionRequest(id=first.id)),
    ):
        with pytest.raises(NotFound) as caught:
            await call(asked)
        assert caught.value.reason == "RELEASE_ERASED"
    listed = await call(stub.ListReleases(analyst_pb2.ListReleasesRequest()))
    assert not listed.releases
    assert account(world, f"agreement/{AGREEMENT}") == spent
    again = a_submission(1.0)
    await call(stub.SubmitQuery(again))
    reply = (await finished(stub, again.id)).reply
    assert not reply.from_archive
    assert reply.release.id != release.id
    assert account(world, f"agreement/{AGREEMENT}")[0] == 2 * spent[0]


async def test_after_both_times_nobody_is_named_and_the_log_still_verifies(
    world: World, tmp_path: Path
) -> None:
    await world.all_agents()
    stub = world.analyst(add_analyst(world.state, "maria-somebody"))
    asked = a_submission(1.0)
    await call(stub.SubmitQuery(asked))
    await finished(stub, asked.id)
    await world.stop()
    assert apply_in(world.state, 401)[0] == {"releases": 1}
    store = Store(world.state.database)
    with store.read() as tx:
        assert tx.execute(sa.select(ASKED)).all() == []
        kept = tx.execute(sa.select(RELEASES)).one()
    store.close()
    assert (kept.message, kept.noisy) == (None, None)
    orders = audited(world, "retention.applied")
    assert [each["kind"] for each in orders] == ["releases", "questions"]
    run = CliRunner().invoke(
        app, ["audit", "verify", "--json", "--state", str(world.state.root)]
    )
    assert run.exit_code == 0, run.output
    named = [
        each
        for event in ("query.accepted", "release.published", "opening.committed")
        for each in audited(world, event)
    ]
    assert named
    assert not any(named)

    folder = tmp_path / "export"
    exported = CliRunner().invoke(
        app, ["export", AGREEMENT, str(folder), "--state", str(world.state.root)]
    )
    assert exported.exit_code == 0, exported.output
    content = json.loads((folder / "export.json").read_text())
    assert content["questions"] == []
    assert [each["erased"] for each in content["releases"]] == [True]
    assert content["spent_epsilon"] > 0.9
    page = (folder / "index.html").read_text()
    assert "Its figures were erased after the days" in page


def test_no_byte_of_an_erased_name_is_left_in_the_file(state: State) -> None:
    """SQLite would leave what it frees as it is."""

    async def busy() -> None:
        world = World(state)
        await world.start()
        await world.all_agents()
        stub = world.analyst(add_analyst(state, "ana"))
        asked = a_submission(1.0, purpose="service planning")
        await call(stub.SubmitQuery(asked))
        await finished(stub, asked.id)
        await world.stop()

    asyncio.run(busy())
    assert b"service planning" in state.database.read_bytes()
    apply_in(state, 401)
    store = Store(state.database)
    with store.read() as tx:
        tx.exec_driver_sql("SELECT 1")
    store.close()
    left = state.database.read_bytes()
    wal = state.database.with_name("hub.db-wal")
    assert not wal.exists() or not wal.stat().st_size
    # What is left is the agreement itself, in the proposal that the board signed.
    assert left.count(b"service planning") <= left.count(b"prevention planning")


async def test_the_serving_hub_does_it_by_itself_each_night(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.all_agents()
    stub = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission(1.0)
    await call(stub.SubmitQuery(asked))
    await finished(stub, asked.id)
    monkeypatch.setattr("accord.hub.retention.nightly.LOOK_SECONDS", 0.01)
    store = Store(world.state.database)
    days = 0
    nightly = Nightly(store, world.hub.standing, lambda: later(days))
    running = asyncio.create_task(nightly.run())
    await asyncio.sleep(0.2)
    assert audited(world, "retention.applied") == []
    days = 31
    await until(lambda: bool(audited(world, "retention.applied")))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    store.close()


def test_the_command_tells_before_it_erases(state: State) -> None:
    def run(*options: str) -> dict[str, list[object]]:
        arguments = ["retention", "apply", "--json", "--state", str(state.root)]
        found = CliRunner().invoke(app, [*arguments, *options])
        assert found.exit_code == 0, found.output
        content: dict[str, list[object]] = json.loads(found.stdout)
        return content

    assert run("--dry-run") == {"to_erase": []}
    assert run() == {"erased": []}


async def test_what_was_erased_stays_so_in_a_restored_hub(
    world: World, tmp_path: Path
) -> None:
    await world.all_agents()
    stub = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission(1.0)
    await call(stub.SubmitQuery(asked))
    await finished(stub, asked.id)
    await world.stop()
    apply_in(world.state, 401)
    copy = backup(world.state, tmp_path / "backup.zip", with_keys=True)
    place = State(tmp_path / "restored")
    restore(copy, place, utc_now())
    store = Store(place.database)
    with store.read() as tx:
        gone = sa.select(sa.func.count()).where(AUDIT.c.facts.is_(sa.null()))
        assert tx.execute(gone).scalar_one() > 2
        assert tx.execute(sa.select(RELEASES.c.message)).scalars().all() == [None]
        found = verify_log(
            tx, hub_keys=[raw_public(world.parts.authority.hub_form.key)]
        )
        assert found.findings == ()
    with pytest.raises(sa.exc.DBAPIError), store.write() as tx:
        tx.execute(sa.text("UPDATE audit SET facts = NULL"))
    store.close()
