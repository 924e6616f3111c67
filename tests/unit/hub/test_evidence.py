# SPDX-License-Identifier: Apache-2.0
"""What agencies signed is shown, so that others can compare and prove it."""

from __future__ import annotations

import os

import pytest
import sqlalchemy as sa

from accord.hub.db.tables import EQUIVOCATIONS
from accord.secagg.messages import Ready, Receipt, check_receipt, transcript
from accord.v1 import agent_pb2
from tests.contract.hub_databases import on_every_database
from tests.unit.hub.scripted import answering, until
from tests.unit.hub.test_command_line import Command
from tests.unit.hub.test_three_rounds import OUTSIDE, asking, submitted
from tests.unit.hub.world import FALLBACK, PARTIES, World, finished, store_of


@pytest.fixture
def hub(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    return Command(world.state.root, capsys, monkeypatch)


def receipt_of(shown: dict[str, str]) -> Receipt:
    parts = {k: bytes.fromhex(v) for k, v in shown.items() if k != "agency"}
    return Receipt(agency=shown["agency"], **parts)


async def test_a_transcript_can_be_compared_with_what_an_agency_kept(
    world: World, hub: Command
) -> None:
    await world.all_agents()
    query, found = await asking(world)
    shown = hub.json("audit", "transcript", found.reply.release.id)
    assert shown == hub.json("audit", "transcript", query)
    assert (shown["release"], shown["query_id"]) == (found.reply.release.id, query)
    assert (shown["cohort"], shown["members"]) == ("all", list(PARTIES))
    digests = {each["agency"]: each["vector_digest"] for each in shown["receipts"]}
    for label in PARTIES:
        part = world.agency(label).parts[query]
        assert part.receipt is not None
        assert shown["transcript"] == part.transcript.hex()
        assert digests[label] == part.receipt.vector_digest.hex()
    spec = bytes.fromhex(shown["spec_digest"])
    readies = [
        Ready(
            agency=each["agency"],
            spec_digest=spec,
            attempt=shown["attempt"],
            ephemeral_key=bytes.fromhex(each["ephemeral_key"]),
            signature=bytes.fromhex(each["signature"]),
        )
        for each in shown["readies"]
    ]
    again = transcript(spec, shown["attempt"], shown["cohort"], shown["noise"], readies)
    assert again.hex() == shown["transcript"]
    code, out, _ = hub("audit", "transcript", query)
    assert code == 0
    assert f"transcript: {shown['transcript']}\n" in out
    assert hub.failure("audit", "transcript", "none")[1] == "RELEASE_UNKNOWN"


@on_every_database
async def test_a_receipt_for_another_transcript_is_kept_as_evidence(
    world: World, hub: Command
) -> None:
    for label in PARTIES:
        stop = "masked" if label == OUTSIDE else ""
        await world.agent(label, answering, stop_before=stop)
    stub, query = await submitted(world)
    agent = world.agents[OUTSIDE]

    async def was_shown(times: int) -> None:
        await until(lambda: len(agent.cohorts) == times)

    for attempt in (1, 2):
        await was_shown(attempt)
        values = [os.urandom(32) for _ in range(4)]
        names = ("transcript", "vector_digest", "seed_commitment", "input_commitment")
        made = dict(zip(names, values, strict=True))
        unsigned = Receipt(agency=OUTSIDE, signature=b"", **made)
        size = agent.agency.parts[query].layout.size
        masked = agent_pb2.Masked(
            query_id=query,
            attempt=attempt,
            size=size,
            vector=bytes(8 * size),
            signature=agent.agency.secret.sign(unsigned.body()),
            **made,
        )
        if attempt == 1:
            first = made["transcript"]
        await agent.say(
            agent_pb2.ConnectRequest(masked=agent_pb2.MaskedVectors(masked=[masked]))
        )
    found = await finished(stub, query)
    assert list(found.reply.release.coverage.answered) == list(FALLBACK)
    (shown,) = hub.json("audit", "evidence")["equivocations"]
    assert (shown["agency"], shown["attempt"]) == (OUTSIDE, 1)
    assert [each["agency"] for each in shown["readies"]] == list(PARTIES)
    other = receipt_of(shown["other_receipt"])
    check_receipt(other, first, agent.agency.directory)
    assert shown["transcript"] != first.hex()
    code, out, _ = hub("audit", "evidence")
    assert code == 0
    assert f"other receipt:\n  agency: {OUTSIDE}\n" in out
    store = store_of(world.state)
    with pytest.raises(sa.exc.IntegrityError, match="only grows"), store.write() as tx:
        tx.execute(EQUIVOCATIONS.delete())
    store.close()


async def test_the_receipts_of_a_round_that_an_agency_calls_equivocal_are_kept(
    world: World, hub: Command
) -> None:
    assert hub.json("audit", "evidence") == {"equivocations": []}
    assert hub("audit", "evidence")[:1] == (0,)
    for label in PARTIES:
        stop = "reveal" if label == OUTSIDE else ""
        await world.agent(label, answering, stop_before=stop)
    stub, query = await submitted(world)
    agent = world.agents[OUTSIDE]
    await until(lambda: len(agent.reveals) == 1)
    await agent.refuse(query, 1, "EQUIVOCATION")
    await finished(stub, query)
    (shown,) = hub.json("audit", "evidence")["equivocations"]
    assert (shown["agency"], shown["other_receipt"]) == (OUTSIDE, None)
    assert [each["agency"] for each in shown["receipts"]] == list(PARTIES)
    for each in shown["receipts"]:
        told = bytes.fromhex(shown["transcript"])
        check_receipt(receipt_of(each), told, agent.agency.directory)
