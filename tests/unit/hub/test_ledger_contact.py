# SPDX-License-Identifier: Apache-2.0
"""A hub on an old copy of its database: noticed, stopped, and made whole again."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from accord.core.errors import AccordError, PreconditionFailed
from accord.core.privacy import Loss
from accord.hub.cli.books import status
from accord.hub.cli.common import governed
from accord.hub.cli.reconciling import reconcile_ledger
from accord.hub.contact import contacts, reconcile
from accord.hub.contact.heights import Seen, knows_more
from accord.hub.contact.hub_keys import hub_keys
from accord.hub.contact.reconcile import Reconciled
from accord.hub.contact.records import opened_entry
from accord.hub.contact.standing import LedgerStanding, standing
from accord.hub.contact.survey import Survey, survey
from accord.hub.db.engine import LedgerTransaction
from accord.hub.identity.authority import load_authority
from accord.hub.policies import Policies
from accord.hub.serve import utc_now
from accord.ledger import verify
from accord.rpc.contact import ChargeRecord
from accord.v1 import agent_pb2, analyst_pb2, common_pb2, log_pb2
from tests.contract.hub_databases import on_every_database
from tests.unit.hub.scripted import ScriptedAgent, answering, silent, until
from tests.unit.hub.world import (
    AGREEMENT,
    DOCUMENT,
    FALLBACK,
    PARTIES,
    World,
    a_query,
    a_submission,
    account,
    add_analyst,
    audited,
    call,
    change,
    edit_agreement,
    finished,
    store_of,
)

PLACES = (
    f"agreement/{AGREEMENT}",
    f"agreement/{AGREEMENT}/analyst/ana",
    f"agreement/{AGREEMENT}/analysts",
    *(f"agency/{label}" for label in PARTIES),
)

LATER = log_pb2.LogSeen(size=99, root=bytes(32), ledger_height=99, epoch=0)
"""A head of the log that this hub never had."""

Within: TypeAlias = Callable[[int], Awaitable[World]]

# The decision


losses = st.builds(Loss, nano_rho=st.integers(0, 3), nano_epsilon=st.integers(0, 3))
seens = st.builds(
    Seen, charged=losses, epoch=st.integers(0, 2), height=st.integers(0, 3)
)


@given(seens, seens)
def test_who_knows_more_is_larger_somewhere(said: Seen, here: Seen) -> None:
    larger = (
        said.charged.nano_rho > here.charged.nano_rho
        or said.charged.nano_epsilon > here.charged.nano_epsilon
        or said.epoch > here.epoch
        or (said.epoch == here.epoch and said.height > here.height)
    )
    assert knows_more(said, here) == larger
    assert not knows_more(said, here.or_more(said))
    assert not knows_more(here, here.or_more(said))


def test_a_rebuilt_ledger_may_be_lower_than_the_one_before() -> None:
    assert not knows_more(Seen(epoch=0, height=900), Seen(epoch=1, height=7))


# A hub, its copies, and its operator


@dataclasses.dataclass(slots=True)
class Operator:
    """Copies a hub's database, puts copies back, and reconciles."""

    world: World
    folder: Path
    copies: int = 0

    def copy(self) -> Path:
        """Return a copy of the database as it is now."""
        self.copies += 1
        path = self.folder / f"copy-{self.copies}.db"
        with (
            contextlib.closing(sqlite3.connect(self.world.state.database)) as there,
            contextlib.closing(sqlite3.connect(path)) as here,
        ):
            there.backup(here)
        return path

    async def put_back(self, copy: Path) -> None:
        """Start the hub on a copy; agents have to come back by themselves."""
        await self.world.stop_hub()
        database = self.world.state.database
        for path in database.parent.glob(f"{database.name}*"):
            path.unlink()
        shutil.copyfile(copy, database)
        await self.world.start()

    def look(self) -> Survey:
        with self._store() as tx:
            return survey(tx, self._policies(), self._keys(tx))

    def apply(self, *without: str) -> Reconciled:
        policies = self._policies()
        store = store_of(self.world.state)
        try:
            with store.write() as tx:
                keys = self._keys(tx)
                return reconcile.apply(
                    tx, policies, keys, without=without, at=utc_now()
                )
        finally:
            store.close()

    def standing(self) -> LedgerStanding:
        with self._store() as tx:
            return standing(tx)

    def balances(self) -> dict[str, tuple[int, int]]:
        return {place: account(self.world, place) for place in PLACES}

    async def hear_all(self) -> None:
        """Return once every agency of the network has reported."""
        for label in PARTIES:
            await self.world.agent(label)
        await until(lambda: not self.look().awaited)

    async def hear_all_but(self, label: str) -> None:
        """Do so for all others; that one has come in its own way."""
        for other in PARTIES:
            if other != label:
                await self.world.agent(other)
        await until(lambda: not self.look().awaited)

    @contextlib.contextmanager
    def _store(self) -> Iterator[sa.Connection]:
        store = store_of(self.world.state)
        try:
            with store.read() as tx:
                verify(LedgerTransaction(tx))
                yield tx
        finally:
            store.close()

    def _policies(self) -> Policies:
        with governed(self.world.state) as found:
            return found.newest()

    def _keys(self, tx: sa.Connection) -> list[bytes]:
        return hub_keys(tx, load_authority(self.world.state.keys, utc_now()))


@pytest.fixture
def operator(world: World, tmp_path: Path) -> Operator:
    return Operator(world, tmp_path)


@pytest.fixture
def token(world: World) -> str:
    return add_analyst(world.state, "ana")


async def ask(
    world: World, token: str, dimension: str = "gender"
) -> analyst_pb2.SubmitQueryRequest:
    """Return a question that was released."""
    query = a_query(group_by=[common_pb2.Grouping(dimension=dimension)])
    asked = a_submission(query=query)
    await call(world.analyst(token).SubmitQuery(asked))
    found = await finished(world.analyst(token), asked.id)
    assert found.state == analyst_pb2.SUBMISSION_STATE_RELEASED
    return asked


async def refused(world: World, token: str) -> str:
    with pytest.raises(AccordError) as error:
        await call(world.analyst(token).SubmitQuery(a_submission()))
    return error.value.reason


async def test_an_old_copy_is_recognised_refuses_and_is_made_whole(
    world: World, operator: Operator, token: str
) -> None:
    await world.all_agents()
    first = await ask(world, token)
    copy = operator.copy()
    lost = await ask(world, token, "region")
    before = operator.balances()

    await operator.put_back(copy)
    assert operator.balances() != before
    police = await world.agent("city-police")
    assert police.welcome is not None
    assert police.welcome.held.nano_rho < world.agency("city-police").charged().nano_rho
    doubt = operator.standing().doubt
    assert doubt is not None
    assert doubt.agency == "city-police"
    assert audited(world, "ledger.doubted") == [{"agency": "city-police"}]
    assert await refused(world, token) == "LEDGER_BEHIND"
    with pytest.raises(PreconditionFailed) as early:
        operator.apply()
    assert early.value.reason == "LEDGER_REPORTS_AWAITED"
    assert "shelter-north" in early.value.sentence
    # what was published before is read as ever
    reply = (await finished(world.analyst(token), first.id)).reply
    assert reply.release.id

    await operator.hear_all()
    [missing] = operator.look().missing
    assert missing.charge.query_id == lost.id
    assert missing.proven_by == PARTIES
    done = operator.apply()
    assert (done.epoch, len(done.rebuilt)) == (1, 1)
    assert operator.balances() == before
    assert operator.standing().doubt is None
    [noted] = audited(world, "charge.rebuilt")
    assert noted["submission"] == lost.id
    assert audited(world, "ledger.reconciled")[0]["epoch"] == 1

    # who asked learns what became of it, and the hub goes on
    ended = await finished(world.analyst(token), lost.id)
    assert ended.state == analyst_pb2.SUBMISSION_STATE_FAILED
    assert ended.failure.reason == "ANSWER_LOST"
    await until(lambda: all(e.ended is not None for e in world.agents.values()))
    await world.all_agents()
    await ask(world, token, "region")
    with pytest.raises(PreconditionFailed) as again:
        operator.apply()
    assert again.value.reason == "LEDGER_NOT_BEHIND"


@on_every_database
async def test_a_copy_of_a_log_that_an_agency_has_seen_grow_is_recognised(
    world: World, operator: Operator
) -> None:
    """Even by one that was not part of what is lost."""
    seen = log_pb2.LogSeen(size=9, root=bytes(32), ledger_height=1, epoch=0)
    await world.agent("city-police", log_seen=seen)
    assert operator.standing().doubt is not None
    for label in PARTIES[1:]:
        await world.agent(label)
    await until(lambda: not operator.look().awaited)
    done = operator.apply()
    assert not done.rebuilt
    # the same head is of an older epoch now
    await until(lambda: world.agents["city-police"].ended is not None)
    await world.agent("city-police", log_seen=seen)
    assert operator.standing().doubt is None


@pytest.mark.slow
async def test_one_member_of_a_cohort_proves_the_charge_of_all(
    world: World, operator: Operator, token: str
) -> None:
    await world.all_agents()
    copy = operator.copy()
    await ask(world, token)
    before = operator.balances()
    await operator.put_back(copy)
    await world.agent("national-hotline")
    await until(lambda: "national-hotline" not in operator.look().awaited)
    others = [label for label in PARTIES if label != "national-hotline"]
    done = operator.apply(*others)
    assert done.without == tuple(others)
    assert operator.balances() == before
    assert audited(world, "ledger.reconciled")[0]["without"] == others


def charged(before: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """Return the balances once all that was reserved is charged."""
    return {place: (used, 0) for place, (used, _) in before.items()}


async def opening(world: World, token: str, operator: Operator) -> tuple[str, Path]:
    """Return a question of which four agencies gave their seeds, and a copy before."""
    await world.all_agents()
    await world.agent("shelter-north", silent, stop_before="reveal")
    asked = a_submission()
    await call(world.analyst(token).SubmitQuery(asked))
    shelter = world.agents["shelter-north"]
    await until(lambda: bool(shelter.asked))
    copy = operator.copy()
    await shelter.asked[0].answer()
    others = [world.agency(label) for label in PARTIES if label != "shelter-north"]
    await until(lambda: all(each.charged() != Loss() for each in others))
    return asked.id, copy


async def test_a_copy_from_before_an_opening_has_its_reservation_and_is_found(
    world: World, operator: Operator, token: str
) -> None:
    """It is charged once, to everybody, and its answer can never be published."""
    query, copy = await opening(world, token, operator)
    before = operator.balances()
    await operator.put_back(copy)
    assert operator.balances() == before  # it was reserved, and still is
    await operator.hear_all()
    [missing] = operator.look().missing
    assert "shelter-north" not in missing.proven_by
    done = operator.apply()
    assert done.ended == (query,)
    assert operator.balances() == charged(before)
    await until(lambda: world.agents["shelter-north"].ended is not None)
    await world.all_agents()
    ended = await finished(world.analyst(token), query)
    assert ended.failure.reason == "ANSWER_LOST"
    assert "was charged" in ended.failure.sentence
    # what was masked there is erased, for nobody will ever open it
    shelter = world.agency("shelter-north")
    again = agent_pb2.Readies(readies=[shelter.ready_message(shelter.parts[query])])
    await world.agents["shelter-north"].say(agent_pb2.ConnectRequest(readies=again))
    await until(lambda: query in shelter.erased)


async def test_a_restart_in_the_middle_of_an_opening_begins_no_doubt(
    world: World, operator: Operator, token: str
) -> None:
    """What agencies have charged is held here: the opening is committed."""
    query, _ = await opening(world, token, operator)
    await world.restart()
    await world.all_agents()
    found = await finished(world.analyst(token), query)
    assert found.state == analyst_pb2.SUBMISSION_STATE_RELEASED
    for label in PARTIES:  # and so it is once it was published
        await world.agent(label)
    assert operator.standing().doubt is None
    assert not audited(world, "ledger.doubted")


async def test_a_copy_from_within_an_opening_never_publishes_it(
    world: World, operator: Operator, token: str
) -> None:
    """The first hub may have done so: a second answer would have other noise."""
    query, _ = await opening(world, token, operator)
    copy = operator.copy()
    shelter = world.agents["shelter-north"]
    await until(lambda: bool(shelter.reveals))
    await shelter.reveal(shelter.reveals[0])
    found = await finished(world.analyst(token), query)
    assert found.state == analyst_pb2.SUBMISSION_STATE_RELEASED
    before = operator.balances()
    await operator.put_back(copy)
    await world.agent("city-police", log_seen=LATER)
    await operator.hear_all()
    assert not operator.look().missing
    assert operator.apply().ended == (query,)
    assert operator.balances() == before
    await world.all_agents()
    found = await finished(world.analyst(token), query)
    assert found.failure.reason == "ANSWER_LOST"


@pytest.mark.slow
async def test_followers_of_what_is_lost_end_without_a_charge(
    world: World, operator: Operator, token: str
) -> None:
    query, _ = await opening(world, token, operator)
    bob = add_analyst(world.state, "bob")
    behind = a_submission()
    await call(world.analyst(bob).SubmitQuery(behind))
    await operator.put_back(operator.copy())
    await world.agent("city-police", log_seen=LATER)
    await operator.hear_all()
    assert set(operator.apply().ended) == {query, behind.id}
    found = await finished(world.analyst(bob), behind.id)
    assert found.failure.reason == "ANSWER_LOST"
    assert "Nothing was charged" in found.failure.sentence


async def test_a_question_that_waits_goes_on_after_the_doubt(
    world: World, operator: Operator, token: str
) -> None:
    """Nobody is asked meanwhile, and nothing is given up or erased."""
    for label in PARTIES:
        await world.agent(label, silent)
    asked = a_submission()
    await call(world.analyst(token).SubmitQuery(asked))
    await until(lambda: all(each.asked for each in world.agents.values()))
    await world.agent("city-police", silent, log_seen=LATER)
    await operator.hear_all()
    await asyncio.sleep(0.2)
    assert not any(each.asked for each in world.agents.values())
    assert not any(each.settled for each in world.agents.values())
    assert operator.apply().ended == ()
    await until(lambda: all(e.ended is not None for e in world.agents.values()))
    await world.all_agents()
    found = await finished(world.analyst(token), asked.id)
    assert found.state == analyst_pb2.SUBMISSION_STATE_RELEASED


@pytest.mark.slow
async def test_what_was_given_back_before_anybody_knew_is_charged_after_all(
    world: World, operator: Operator, token: str
) -> None:
    query, copy = await opening(world, token, operator)
    # The copy is of a question that has expired before anybody comes.
    with contextlib.closing(sqlite3.connect(copy)) as connection:
        connection.execute("UPDATE submissions SET created_at = 0, expires_at = 1")
        connection.execute("UPDATE rounds SET until = 1")
        connection.commit()
    before = operator.balances()
    await operator.put_back(copy)
    found = await finished(world.analyst(token), query)
    assert found.state == analyst_pb2.SUBMISSION_STATE_FAILED
    assert account(world, PLACES[0]) == (0, 0)
    await operator.hear_all()
    operator.apply()
    assert operator.balances() == charged(before)


# Fallbacks, and agreements that are gone


async def fallback(world: World, token: str) -> str:
    """Return a question that the smaller cohort answered."""
    for label in PARTIES:
        await world.agent(label, answering if label in FALLBACK else silent)
    asked = a_submission()
    await call(world.analyst(token).SubmitQuery(asked))
    found = await finished(world.analyst(token), asked.id)
    assert found.state == analyst_pb2.SUBMISSION_STATE_RELEASED
    return asked.id


@pytest.mark.slow
async def test_a_fallback_is_charged_to_its_members_alone(
    within: Within, operator: Operator, token: str
) -> None:
    world = await within(1)
    await world.all_agents()
    copy = operator.copy()
    query = await fallback(world, token)
    before = operator.balances()
    assert before["agency/health-service"] == (0, 0)
    await operator.put_back(copy)
    await operator.hear_all()
    [missing] = operator.look().missing
    assert missing.members == FALLBACK
    operator.apply()
    assert operator.balances() == before
    with contextlib.closing(sqlite3.connect(world.state.database)) as connection:
        rows = connection.execute("SELECT id FROM ledger_entry").fetchall()
    assert rows == [(opened_entry(query, "all", "fallback"),)]


@pytest.mark.slow
async def test_where_the_agreement_was_changed_all_who_were_asked_pay(
    within: Within, operator: Operator, token: str
) -> None:
    """Nobody knows any more who was in that cohort."""
    world = await within(1)
    await world.all_agents()
    copy = operator.copy()
    await fallback(world, token)
    before = operator.balances()
    await operator.put_back(copy)
    await operator.hear_all()
    edit_agreement(world.state, {"groups_per_person: 3": "groups_per_person: 2"})
    operator.apply()
    after = operator.balances()
    assert after["agency/health-service"] == before["agency/city-police"]
    assert after["agency/city-police"] == before["agency/city-police"]
    assert after[PLACES[0]] == before[PLACES[0]]


@pytest.mark.slow
async def test_an_agreement_that_is_gone_is_charged_all_the_same(
    world: World, operator: Operator, token: str
) -> None:
    await world.all_agents()
    copy = operator.copy()
    await ask(world, token)
    before = operator.balances()
    await operator.put_back(copy)
    await operator.hear_all()
    change(world.state, {DOCUMENT: None})
    operator.apply()
    assert operator.balances() == before


# Agencies that lie, and operators that try again


@pytest.mark.slow
@on_every_database
async def test_an_agency_that_claims_what_it_cannot_prove_is_named(
    world: World, operator: Operator, token: str
) -> None:
    await world.all_agents()
    await ask(world, token)
    before = operator.balances()
    claim = Loss(nano_rho=2 * before["agency/city-police"][0])
    await world.agent("city-police", charged=claim)
    await operator.hear_all_but("city-police")
    assert operator.look().unproven == ["city-police"]
    with pytest.raises(PreconditionFailed) as error:
        operator.apply()
    assert error.value.reason == "CHARGES_UNPROVEN"
    assert "city-police" in error.value.sentence
    done = operator.apply("city-police")
    assert not done.rebuilt
    assert operator.balances() == before
    # the same claim stops nobody again, and a larger one does
    await world.agent("city-police", charged=claim)
    assert operator.standing().doubt is None
    await world.agent("city-police", charged=claim + Loss(nano_rho=1))
    assert operator.standing().doubt is not None


@pytest.mark.slow
@pytest.mark.parametrize("epoch", [1001, 2**32 - 1])
async def test_an_epoch_that_cannot_be_is_a_claim_too(
    world: World, operator: Operator, epoch: int
) -> None:
    seen = log_pb2.LogSeen(size=9, root=bytes(32), ledger_height=2**60, epoch=epoch)
    await world.agent("city-police", log_seen=seen)
    await operator.hear_all_but("city-police")
    assert operator.look().unproven == ["city-police"]
    assert operator.apply("city-police").epoch == 1
    await world.agent("city-police", log_seen=seen)
    assert operator.standing().doubt is None


def lies_of(world: World, agent: ScriptedAgent) -> dict[str, ChargeRecord]:
    """Return what an agency could send that proves nothing, by how it lies."""
    [true] = agent.agency.records()
    [others] = world.agency("shelter-north").records()
    own = agent.agency.secret.sign(others.signed_bytes(agent.agency.label))
    return {
        "another agency's": others,
        "unsigned": dataclasses.replace(true, countersignature=bytes(64)),
        "never asked": dataclasses.replace(
            others, signature=bytes(64), countersignature=own
        ),
        "edited": dataclasses.replace(true, payload=true.payload + b"\x08\x01"),
    }


@pytest.mark.parametrize(
    "lie",
    [
        "another agency's",
        *(
            pytest.param(lie, marks=pytest.mark.slow)
            for lie in ("unsigned", "never asked", "edited")
        ),
    ],
)
async def test_a_record_that_proves_nothing_is_noted_and_dropped(
    world: World, operator: Operator, token: str, lie: str
) -> None:
    await world.all_agents()
    copy = operator.copy()
    await ask(world, token)
    await operator.put_back(copy)
    police = world.stream(world.agents["city-police"].identity)
    police.proves = lambda: [lies_of(world, police)[lie]] * 300
    world.agents["city-police"] = police
    await police.start(answering)
    await until(lambda: bool(audited(world, "charge.rejected")))
    assert audited(world, "charge.rejected") == [{"agency": "city-police"}]
    assert operator.look().missing == ()
    assert operator.look().unproven == ["city-police"]


@pytest.mark.slow
async def test_what_one_agency_alone_says_is_charged_and_shown(
    world: World, operator: Operator, token: str
) -> None:
    """The worst lie there is: a question that was masked was opened, it says."""
    await world.all_agents()
    shelter = await world.agent("shelter-north", silent, stop_before="masked")
    asked = a_submission()
    await call(world.analyst(token).SubmitQuery(asked))
    await until(lambda: bool(shelter.asked))
    await shelter.asked[0].answer()
    parts = world.agency("city-police").parts
    await until(lambda: any(part.receipt for part in parts.values()))
    parts[asked.id].revealed = True
    await operator.hear_all()
    [missing] = operator.look().missing
    assert missing.proven_by == ("city-police",)
    assert operator.apply().ended == (asked.id,)
    used, reserved = account(world, "agency/shelter-north")
    assert (used > 0, reserved) == (True, 0)


@pytest.mark.slow
async def test_another_copy_begins_another_doubt(
    world: World, operator: Operator, token: str
) -> None:
    """Who reported before the second one has to do so again."""
    await world.all_agents()
    copy = operator.copy()
    await ask(world, token)
    before = operator.balances()
    await operator.put_back(copy)
    await operator.hear_all()
    first = operator.standing().doubt
    operator.apply()
    await operator.put_back(copy)
    await world.agent("city-police")
    second = operator.standing().doubt
    assert first is not None
    assert second is not None
    assert first.id != second.id
    assert "shelter-north" in operator.look().awaited
    await operator.hear_all()
    operator.apply()
    assert operator.balances() == before


@pytest.mark.slow
async def test_a_copy_from_within_a_doubt_is_still_in_it(
    world: World, operator: Operator, token: str
) -> None:
    await world.all_agents()
    copy = operator.copy()
    await ask(world, token)
    before = operator.balances()
    await operator.put_back(copy)
    await operator.hear_all()
    in_doubt = operator.copy()
    operator.apply()
    await operator.put_back(in_doubt)
    assert operator.standing().doubt is not None
    assert await refused(world, token) == "LEDGER_BEHIND"
    operator.apply()
    assert operator.balances() == before


@pytest.mark.slow
async def test_a_copy_from_before_a_rebuilding_is_known_by_its_epoch(
    world: World, operator: Operator
) -> None:
    seen = log_pb2.LogSeen(size=1, root=bytes(32), ledger_height=0, epoch=2)
    await world.agent("city-police", log_seen=seen)
    assert operator.standing().doubt is not None
    await operator.hear_all_but("city-police")
    assert operator.apply().epoch == 3


@pytest.mark.parametrize(
    "place",
    [
        pytest.param("rebuild", marks=pytest.mark.slow),
        "end_doubt",
        pytest.param("note", marks=pytest.mark.slow),
    ],
)
async def test_a_crash_within_the_rebuilding_changes_nothing(
    world: World,
    operator: Operator,
    token: str,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    await world.all_agents()
    copy = operator.copy()
    await ask(world, token)
    await ask(world, token, "region")
    whole = operator.balances()
    await operator.put_back(copy)
    await operator.hear_all()
    before = operator.balances()

    def dies(*_args: object, **_named: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(reconcile, place, dies)
        with pytest.raises(KeyboardInterrupt):
            operator.apply()
    assert operator.balances() == before
    assert operator.standing().doubt is not None
    operator.apply()
    assert operator.balances() == whole


@pytest.mark.slow
async def test_an_agency_that_was_gone_on_without_stops_the_hub_if_it_knew_more(
    world: World, operator: Operator, token: str
) -> None:
    await world.all_agents()
    copy = operator.copy()
    await ask(world, token)
    before = operator.balances()
    await operator.put_back(copy)
    # all others lost what they knew, and one saw a later log
    for label in PARTIES[1:]:
        world.agency(label).parts.clear()
    await world.agent(PARTIES[1], log_seen=LATER)
    for label in PARTIES[2:]:
        await world.agent(label)
    await until(lambda: operator.look().awaited == ["city-police"])
    assert not operator.apply("city-police").rebuilt
    assert account(world, PLACES[0]) == (0, 0)
    await world.agent("city-police")
    assert operator.standing().doubt is not None
    await operator.hear_all()
    operator.apply()
    assert operator.balances() == before


async def test_names_of_nobody_are_refused(world: World, operator: Operator) -> None:
    await world.agent("city-police", log_seen=LATER)
    with pytest.raises(AccordError) as error:
        operator.apply("atlantis")
    assert error.value.reason == "AGENCY_UNKNOWN"


# The command


async def test_the_command_shows_and_rebuilds(
    world: World, operator: Operator, token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*, apply: bool = False, as_json: bool = False) -> str:
        reconcile_ledger(apply=apply, state=world.state.root, as_json=as_json)
        return capsys.readouterr().out

    capsys.readouterr()
    assert "nothing to reconcile" in said()
    await world.all_agents()
    copy = operator.copy()
    lost = await ask(world, token)
    await operator.put_back(copy)
    await world.agent("city-police")
    status(state=world.state.root)
    assert "NO QUESTION IS TAKEN" in capsys.readouterr().out
    shown = said()
    assert "An agency (city-police) has seen more" in shown
    assert "Still to report: " in shown
    await operator.hear_all()
    shown = said()
    assert lost.id in shown
    assert "Next: `accord-hub ledger reconcile --apply`" in shown
    content = json.loads(said(as_json=True))
    assert content["doubt"]["agency"] == "city-police"
    assert [each["reported"] for each in content["agencies"]] == [True] * len(PARTIES)
    assert content["missing"][0]["submission"] == lost.id
    assert not content["applied"]
    assert "1 charges are back" in said(apply=True)
    assert operator.standing().doubt is None


async def test_contacts_are_kept_for_each_agency(world: World) -> None:
    store = store_of(world.state)
    with store.write() as tx:
        said = Seen(charged=Loss(nano_rho=7), epoch=1, height=2)
        contacts.greet(tx, "city-police", said, utc_now())
        contacts.set_aside(tx, "city-police")
        contacts.set_aside(tx, "shelter-north")  # never came: nothing to put aside
        found = contacts.contacts(tx)
    store.close()
    assert found.keys() == {"city-police"}
    assert found["city-police"].aside == said
