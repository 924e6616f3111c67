# SPDX-License-Identifier: Apache-2.0
"""What a board does at the hub: fetch, offer, sign, publish, and look at questions."""

from __future__ import annotations

from typing import TypeAlias

import pytest

from accord.core.errors import (
    Conflict,
    InvalidQuery,
    NotFound,
    PolicyDenied,
    PreconditionFailed,
    Unauthenticated,
)
from accord.core.policy import MEMBERS
from accord.hub.audit import newest
from accord.hub.db.engine import Store
from accord.hub.governance import proposals
from accord.hub.serve import utc_now
from accord.trust.proposal import Proposal
from accord.trust.proposal_file import from_file, to_file
from accord.v1 import analyst_pb2, policy_pb2, policy_pb2_grpc
from tests.policies import THREE, edited, proposed
from tests.unit.hub.scripted import silent, until
from tests.unit.hub.world import (
    AGREEMENT,
    DOCUMENT,
    PURPOSE,
    World,
    a_query,
    a_submission,
    add_analyst,
    add_token,
    call,
    edit,
    finished,
    repository,
)

NOW = utc_now()
"""One moment, so that the same change is the same proposal."""

Stub: TypeAlias = "policy_pb2_grpc.PolicyServiceAsyncStub"


@pytest.fixture
def board(world: World) -> Stub:
    """Return the stub of a member of the board."""
    return world.board(add_analyst(world.state, "bela", role="board"))


def a_change(
    world: World, *signers: str, below: int = 12, comment: str = "a change"
) -> Proposal:
    """Return a tighter agreement, signed by some."""
    base = repository(world.state)
    text = edited(
        base,
        DOCUMENT,
        ("\nversion: 1\n", "\nversion: 2\n"),
        ("suppress_below: 10", f"suppress_below: {below}"),
    )
    documents = base.documents() | {DOCUMENT: text}
    found = Proposal.change(base, documents, comment=comment, now=NOW)
    for signer in signers:
        found = found.sign(THREE.key(signer))
    return found


async def offered(board: Stub, proposal: Proposal) -> policy_pb2.ProposalSummary:
    request = policy_pb2.OfferProposalRequest(content=to_file(proposal))
    return (await call(board.OfferProposal(request))).proposal


async def listed(board: Stub) -> list[policy_pb2.ProposalSummary]:
    response = await call(board.ListProposals(policy_pb2.ListProposalsRequest()))
    return list(response.proposals)


def events(world: World, prefix: str) -> list[tuple[str, dict[str, object]]]:
    store = Store(world.state.database)
    with store.read() as tx:
        notes = newest(tx, 100)
    store.close()
    return [
        (note.event, dict(note.facts))
        for note in notes
        if note.event.startswith(prefix)
    ]


@pytest.mark.parametrize("who", ["analyst", "nobody", "agency"])
async def test_only_the_board_is_served(world: World, who: str) -> None:
    token = {
        "analyst": add_analyst(world.state, "ana"),
        "nobody": "nonsense",
        "agency": add_token(world.state, "city-police"),
    }[who]
    stub = world.board(token)
    proposal = a_change(world, "alice", "bela")
    for attempt in (
        stub.FetchPolicyFile(policy_pb2.FetchPolicyFileRequest(name="metadata/x.json")),
        stub.ListProposals(policy_pb2.ListProposalsRequest()),
        stub.FetchProposal(policy_pb2.FetchProposalRequest(id=proposal.id)),
        stub.OfferProposal(policy_pb2.OfferProposalRequest(content=to_file(proposal))),
        stub.PublishProposal(policy_pb2.PublishProposalRequest(id=proposal.id)),
        stub.ListQueries(policy_pb2.ListQueriesRequest(agreement=AGREEMENT)),
    ):
        with pytest.raises((PolicyDenied, Unauthenticated)) as caught:
            await call(attempt)
        if who == "analyst":
            assert caught.value.reason == "NOT_ON_BOARD"
    assert world.hub.standing.version == 1
    assert len(events(world, "proposal")) == 1  # of the first policies


async def test_every_signed_file_is_fetched_and_nothing_else(
    world: World, board: Stub
) -> None:
    assert world.hub.standing.in_force is not None
    for name, content in world.hub.standing.in_force.stored.files.items():
        request = policy_pb2.FetchPolicyFileRequest(name=name)
        assert (await call(board.FetchPolicyFile(request))).content == content
    for name in ("hub.db", "keys/ca.key", "metadata/9.root.json", "members.yaml"):
        with pytest.raises(NotFound) as caught:
            await call(
                board.FetchPolicyFile(policy_pb2.FetchPolicyFileRequest(name=name))
            )
        assert caught.value.reason == "POLICY_UNKNOWN"
    with pytest.raises(InvalidQuery):
        await call(
            board.FetchPolicyFile(policy_pb2.FetchPolicyFileRequest(name="../hub.db"))
        )


async def test_signatures_come_together_and_the_change_is_published(
    world: World, board: Stub
) -> None:
    agent = await world.agent("city-police")
    alone = await offered(board, a_change(world))
    assert not alone.signed
    assert not alone.complete
    assert list(alone.paths) == [DOCUMENT]
    one, two = a_change(world, "chidi"), a_change(world, "bela")
    assert one.id == two.id == alone.id
    first = await offered(board, one)
    assert list(first.signed) == ["chidi"]
    assert first.missing
    with pytest.raises(PolicyDenied) as caught:
        await call(
            board.PublishProposal(policy_pb2.PublishProposalRequest(id=first.id))
        )
    assert caught.value.reason == "SIGNATURES_MISSING"
    assert first.missing[0] in caught.value.sentence
    second = await offered(board, two)
    assert sorted(second.signed) == ["bela", "chidi"]
    assert second.complete
    assert not second.missing
    fetched = await call(
        board.FetchProposal(policy_pb2.FetchProposalRequest(id=first.id))
    )
    again = from_file(fetched.content, "x")
    assert sorted(again.standing().signed) == ["bela", "chidi"]
    request = policy_pb2.PublishProposalRequest(id=first.id)
    for _ in range(2):  # the second call is a repeat
        response = await call(board.PublishProposal(request))
        assert response.policies_version == 2
        assert response.proposal.published
    assert world.hub.standing.version == 2
    await until(lambda: agent.told == [2])
    assert (await offered(board, one)).published  # late: changes nothing
    assert not await waiting(board)
    assert (await listed(board))[0].id == first.id
    found = events(world, "p")
    assert [name for name, _ in found] == [
        "proposal.offered",  # of the first policies
        "policies.published",
        *["proposal.offered"] * 3,
        "policies.published",
    ]
    assert found[-1][1] == {
        "analyst": "bela",
        "proposal": first.id,
        "policies_version": 2,
        "paths": [DOCUMENT],
        "signed": ["bela", "chidi"],
    }


async def test_a_publication_overtakes_what_else_was_offered(
    world: World, board: Stub
) -> None:
    loser = await offered(board, a_change(world, "alice", "bela", below=20))
    late = a_change(world, "chidi", below=30)
    winner = await offered(board, a_change(world, "alice", "bela"))
    assert {each.id for each in await waiting(board)} == {loser.id, winner.id}
    await call(board.PublishProposal(policy_pb2.PublishProposalRequest(id=winner.id)))
    assert not await waiting(board)
    assert winner.id in {each.id for each in await listed(board)}
    for request in (
        board.FetchProposal(policy_pb2.FetchProposalRequest(id=loser.id)),
        board.PublishProposal(policy_pb2.PublishProposalRequest(id=loser.id)),
    ):
        with pytest.raises(NotFound) as unknown:
            await call(request)
        assert unknown.value.reason == "PROPOSAL_UNKNOWN"
    with pytest.raises(Conflict) as caught:
        await offered(board, late)
    assert caught.value.reason == "PROPOSAL_OUTDATED"


async def test_an_identical_offer_is_noted_once(world: World, board: Stub) -> None:
    proposal = a_change(world, "alice")
    for _ in range(3):
        await offered(board, proposal)
    assert len(events(world, "proposal")) == 2  # with that of the first policies


async def test_what_the_hub_cannot_do_is_refused_at_once(
    world: World, board: Stub
) -> None:
    base = repository(world.state)
    keys = base.policies().members.hub
    assert keys is not None
    members = edited(base, MEMBERS, (keys.key, "ed25519:" + "ab" * 32))
    wrong = proposed(base, {MEMBERS: members}, now=utc_now())
    with pytest.raises(PreconditionFailed) as caught:
        await offered(board, wrong)
    assert caught.value.reason == "HUB_KEYS_DIFFER"
    with pytest.raises(InvalidQuery):
        await call(
            board.OfferProposal(policy_pb2.OfferProposalRequest(content=b"nonsense"))
        )
    assert not await waiting(board)


async def waiting(board: Stub) -> list[policy_pb2.ProposalSummary]:
    return [each for each in await listed(board) if not each.published]


async def test_proposals_do_not_fill_the_hub(
    world: World, board: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proposals, "MOST_WAITING", 3)
    kept = [
        await offered(board, a_change(world, comment=f"number {number}"))
        for number in range(3)
    ]
    with pytest.raises(PreconditionFailed) as caught:
        await offered(board, a_change(world, comment="one more"))
    assert caught.value.reason == "TOO_MANY_PROPOSALS"
    # signatures under what waits are still taken
    await offered(board, a_change(world, "alice", comment="number 1"))
    assert {each.id for each in await waiting(board)} == {each.id for each in kept}
    monkeypatch.setattr(proposals, "KEPT", proposals.KEPT * 0)
    await offered(board, a_change(world, comment="one more"))
    assert len(await waiting(board)) == 1


async def test_signatures_that_a_crash_left_are_there_after_a_restart(
    world: World,
) -> None:
    token = add_analyst(world.state, "bela", role="board")
    first = await offered(world.board(token), a_change(world, "chidi"))
    await world.stop_hub()
    await world.start()
    board = world.board(token)
    found = await offered(board, a_change(world, "bela"))
    assert found.id == first.id
    assert sorted(found.signed) == ["bela", "chidi"]


async def queries(board: Stub, **changes: int | str) -> policy_pb2.ListQueriesResponse:
    request = policy_pb2.ListQueriesRequest(**{"agreement": AGREEMENT, **changes})  # type: ignore[arg-type]
    return await call(board.ListQueries(request))


async def test_every_question_is_listed_with_what_was_decided(
    world: World, board: Stub
) -> None:
    await world.all_agents()
    ana = world.analyst(add_analyst(world.state, "ana"))
    eve = world.analyst(add_analyst(world.state, "eve", role="visitor"))
    first = a_submission(1.0)
    await call(ana.SubmitQuery(first))
    paid = (await finished(ana, first.id)).reply
    await call(ana.SubmitQuery(a_submission(0.5)))  # from the archive
    attempts = (
        (ana, a_submission(1.0, purpose="curiosity")),
        (ana, a_submission(5.0)),
        (eve, a_submission(1.0)),
        (ana, a_submission(1.0, query=a_query(measure="nonsense"))),
        (ana, a_submission(1.0, query=a_query(edition="2011-01"))),
        (ana, a_submission(1.0, query=a_query(agreement="other"))),
    )
    for stub, asked in attempts:
        with pytest.raises((PolicyDenied, NotFound, InvalidQuery, PreconditionFailed)):
            await call(stub.SubmitQuery(asked))
    found = list((await queries(board)).queries)
    assert [each.permitted for each in found] == [True, True, *[False] * 5]
    assert [list(each.denied_by) for each in found] == [
        [],
        [],
        ["deny.purpose"],
        ["deny.release-cost"],
        ["deny.role"],
        [],
        [],
    ]
    assert [each.from_archive for each in found] == [False, True, *[False] * 5]
    assert found[0].loss == paid.charged.loss
    assert found[0].query == first.query
    assert found[0].analyst == "ana"
    assert found[0].organisation == "observatory"
    assert list(found[0].roles) == ["analyst"]
    assert found[0].purpose == PURPOSE
    assert found[0].epsilon == 1.0
    assert {each.agreement_version for each in found} == {1}
    assert all(each.loss.nano_rho > 0 for each in found)
    assert list(found[4].roles) == ["visitor"]
    # of another agreement there is nothing
    assert not (await queries(board, agreement="other")).queries


async def test_questions_are_listed_by_pages_and_times(
    world: World, board: Stub
) -> None:
    await world.all_agents(silent)
    ana = world.analyst(add_analyst(world.state, "ana"))
    begin = int(utc_now().timestamp())
    for number in range(5):
        await call(ana.SubmitQuery(a_submission(0.1 + number / 10)))
    seen: list[float] = []
    token = ""
    while True:
        page = await queries(board, page_size=2, page_token=token)
        seen += [each.epsilon for each in page.queries]
        token = page.next_page_token
        if not token:
            break
    assert seen == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert len((await queries(board, since=begin)).queries) == 5
    assert not (await queries(board, since=begin + 3600)).queries
    assert not (await queries(board, until=begin)).queries
    assert len((await queries(board, until=begin + 3600)).queries) == 5
    with pytest.raises(InvalidQuery) as caught:
        await queries(board, page_token="x")
    assert caught.value.reason == "PAGE_TOKEN_INVALID"


async def test_a_question_keeps_the_version_that_decided_it(
    world: World, board: Stub
) -> None:
    await world.all_agents(silent)
    ana = world.analyst(add_analyst(world.state, "ana"))
    await call(ana.SubmitQuery(a_submission(0.5)))
    edit(
        world.state,
        DOCUMENT,
        ("\nversion: 1\n", "\nversion: 2\n"),
        ("suppress_below: 10", "suppress_below: 12"),
    )
    await until(lambda: world.hub.standing.version == 2)
    await call(ana.SubmitQuery(a_submission(0.5)))
    found = (await queries(board)).queries
    assert [each.agreement_version for each in found] == [1, 2]


async def test_a_huge_question_does_not_fill_the_list(
    world: World, board: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    from accord.hub.questions import asked as module
    from accord.v1 import common_pb2

    monkeypatch.setattr(module, "MOST_QUERY_BYTES", 60)
    ana = world.analyst(add_analyst(world.state, "ana"))
    long = [common_pb2.Filter(dimension="gender", values=["x" * 60])]
    with pytest.raises(InvalidQuery):
        await call(ana.SubmitQuery(a_submission(query=a_query(where=long))))
    (kept,) = (await queries(board)).queries
    assert kept.query == a_query()
    request = analyst_pb2.ListAgreementsRequest()
    await call(ana.ListAgreements(request))
