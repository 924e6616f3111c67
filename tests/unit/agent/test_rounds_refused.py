# SPDX-License-Identifier: Apache-2.0
"""What a dishonest hub may show in rounds: each is refused, noted, and costs nothing.

Every refusal looks at public words only, so two agencies whose records differ refuse
with the same bytes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from accord.agent.answer import StoreAnswerer
from accord.agent.rounds.checks import Checks, Examined
from accord.agent.settings import Settings
from accord.agent.status import status_of
from accord.agent.witness.suspicion import SUSPICIOUS, note_suspicion, suspicions
from accord.core.errors import RequisitionRefused
from accord.core.members import load_members
from accord.secagg.keys import SecretKeys
from accord.secagg.messages import Ready, Receipt
from tests.unit.agent.agencies import NOW
from tests.unit.agent.agency_world import (
    EVERYONE,
    PERSONS,
    THREE,
    World,
    expected,
    joined,
    seed_of,
    stored,
)
from tests.unit.agent.agreements import AGENCY, MEMBERS_TEXT, OTHERS, signed
from tests.unit.agent.hub_rounds import Round

OTHER = "police"
KEYS = {name: SecretKeys.from_seed(name, seed_of(name)) for name in (AGENCY, *OTHERS)}


def resigned(given: Ready | Receipt, **changes: Any) -> Any:  # noqa: ANN401
    """Return a message with other content, signed by the member that is named in it."""
    changed = dataclasses.replace(given, **changes)
    signature = KEYS[changed.agency].sign(changed.body())
    return dataclasses.replace(changed, signature=signature)


def other_signature(given: Sequence[Any]) -> list[Any]:
    """The signature of another member stands under one message."""
    changed = dataclasses.replace(given[1], signature=given[0].signature)
    return [given[0], changed, *given[2:]]


def other_order(given: Sequence[Any]) -> list[Any]:
    return [given[1], given[0], *given[2:]]


def one_missing(given: Sequence[Any]) -> list[Any]:
    return list(given[1:])


def one_twice(given: Sequence[Any]) -> list[Any]:
    return [given[0], *given]


def one_stranger(given: Sequence[Any]) -> list[Any]:
    """A party of the agreement that is not in the cohort."""
    added = dataclasses.replace(given[0], agency="clinic")
    return [resigned(added), *given]


def my_key_exchanged(given: Sequence[Any]) -> list[Any]:
    """A hub that knows the private half could read what hides behind it."""
    mine = given[-1]
    assert mine.agency == AGENCY
    return [*given[:-1], dataclasses.replace(mine, ephemeral_key=bytes([9]) * 32)]


def copied_key(given: Sequence[Any]) -> list[Any]:
    """One member repeats the key of another."""
    mine = given[-1].ephemeral_key
    return [resigned(given[0], ephemeral_key=mine), *given[1:]]


def no_key(given: Sequence[Any]) -> list[Any]:
    """Everybody who uses this key gets the same secret."""
    return [resigned(given[0], ephemeral_key=bytes(32)), *given[1:]]


READIES: list[tuple[Callable[[Sequence[Any]], list[Any]], str]] = [
    (other_signature, "READY_INVALID"),
    (other_order, "READY_INVALID"),
    (one_missing, "INCOMPLETE_COHORT"),
    (one_twice, "READY_INVALID"),
    (one_stranger, "READY_INVALID"),
    (my_key_exchanged, "READY_INVALID"),
    (copied_key, "READY_INVALID"),
    (no_key, "READY_INVALID"),
]


@pytest.mark.parametrize(
    ("forge", "reason"), READIES, ids=[forge.__name__ for forge, _ in READIES]
)
def test_readies_that_are_not_as_signed_are_refused(
    world: World, forge: Callable[[Sequence[Any]], list[Any]], reason: str
) -> None:
    found = world.ready(world.asked())
    shown = forge(found.readies)
    lacked = world.hub.lacked(found, AGENCY)
    with pytest.raises(RequisitionRefused) as caught:
        world.answerers[AGENCY].mask(found.query_id, 1, "fallback", shown, lacked)
    assert caught.value.reason == reason
    assert world.spent(AGENCY) == (0, 0)
    assert [each.reason for each in suspicions(world.states[AGENCY])] == [reason]
    # The honest call is answered all the same.
    assert (world.hub.reveal(world.hub.mask(found)).sum() == expected(THREE)).all()


def nothing(_given: Sequence[Any]) -> list[Any]:
    return []


def other_transcript(given: Sequence[Any]) -> list[Any]:
    """A member has signed that it saw something else."""
    return [resigned(given[0], transcript=bytes(32)), *given[1:]]


def my_receipt_exchanged(given: Sequence[Any]) -> list[Any]:
    mine = given[-1]
    return [*given[:-1], dataclasses.replace(mine, vector_digest=bytes(32))]


def my_other_receipt(given: Sequence[Any]) -> list[Any]:
    """It is signed with this agency's key, perhaps on another copy of its state."""
    return [*given[:-1], resigned(given[-1], vector_digest=bytes(32))]


RECEIPTS: list[tuple[Callable[[Sequence[Any]], list[Any]], str]] = [
    (other_signature, "RECEIPTS_INVALID"),
    (other_order, "INCOMPLETE_COHORT"),
    (one_missing, "INCOMPLETE_COHORT"),
    (one_twice, "INCOMPLETE_COHORT"),
    (one_stranger, "INCOMPLETE_COHORT"),
    (other_transcript, "EQUIVOCATION"),
    (my_receipt_exchanged, "RECEIPTS_INVALID"),
    (my_other_receipt, "RECEIPTS_INVALID"),
    (nothing, "INCOMPLETE_COHORT"),
]


@pytest.mark.parametrize(
    ("forge", "reason"), RECEIPTS, ids=[forge.__name__ for forge, _ in RECEIPTS]
)
def test_receipts_that_are_not_everybodys_keep_the_seed_in(
    world: World, forge: Callable[[Sequence[Any]], list[Any]], reason: str
) -> None:
    asked = world.asked()
    found = world.hub.mask(world.ready(asked))
    answerer = world.answerers[AGENCY]
    with pytest.raises(RequisitionRefused) as caught:
        answerer.reveal(found.query_id, 1, forge(found.receipts))
    assert caught.value.reason == reason
    assert world.spent(AGENCY) == (0, asked.loss.nano_rho)
    state = world.states[AGENCY]
    assert [each.reason for each in suspicions(state)] == [reason]
    shown = dict(status_of(state, Settings(), NOW).trust.lines())
    assert (
        "Tell your board" in shown["last doubt"]
        or "tell your board" in shown["last doubt"]
    )
    world.hub.reveal(found)
    assert (found.sum() == expected(THREE)).all()


def test_the_receipts_that_contradict_each_other_stay_with_the_doubt(
    world: World,
) -> None:
    """They convince by their signatures alone; no later refusal drops them."""
    found = world.hub.mask(world.ready(world.asked()))
    forged = other_transcript(found.receipts)
    with pytest.raises(RequisitionRefused) as caught:
        world.answerers[AGENCY].reveal(found.query_id, 1, forged)
    bare = RequisitionRefused("EQUIVOCATION", caught.value.sentence)
    note_suspicion(world.states[AGENCY], bare, NOW)
    status = status_of(world.states[AGENCY], Settings(), NOW).as_json()
    (doubt,) = status["policies"]["suspicions"]
    evidence = doubt["evidence"]
    assert (evidence["query_id"], evidence["attempt"]) == (found.query_id, 1)
    own, other = (
        Receipt(
            agency=each["agency"],
            **{k: bytes.fromhex(v) for k, v in each.items() if k != "agency"},
        )
        for each in evidence["receipts"]
    )
    assert (own, other) == (found.receipts[-1], forged[0])
    assert KEYS[other.agency].public.has_signed(other.body(), other.signature)


def test_members_who_saw_different_cohorts_are_not_opened(
    new_world: Callable[..., World],
) -> None:
    """The hub shows five agencies to some and three to the others."""
    world = new_world(EVERYONE)
    asked = world.asked()
    wide = world.ready(asked, "all")
    narrow = dataclasses.replace(
        wide,
        cohort="fallback",
        steps={label: wide.steps[label] for label in THREE},
        masked={},
        seeds={},
    )
    for label in ("clinic", "inspection", "police"):
        world.hub.mask_one(wide, label)
    for label in ("hotline", "shelter"):
        world.hub.mask_one(narrow, label)
    narrow.masked["police"] = wide.masked["police"]
    for label in ("hotline", "shelter"):
        with pytest.raises(RequisitionRefused) as caught:
            world.hub.reveal_one(narrow, label)
        assert caught.value.reason == "EQUIVOCATION"
    for label in EVERYONE:
        assert world.spent(label) == (0, asked.loss.nano_rho)


@pytest.mark.parametrize("cohort", ["others", "nobody", ""])
def test_a_cohort_that_is_not_this_agencys_is_refused(
    world: World, cohort: str
) -> None:
    found = world.ready(world.asked())
    found.cohort = cohort
    with pytest.raises(RequisitionRefused) as caught:
        world.hub.mask_one(found, AGENCY)
    assert caught.value.reason == "COHORT_NOT_PERMITTED"


def test_a_cohort_beyond_the_requisition_is_refused(
    new_world: Callable[..., World],
) -> None:
    """It was asked of three, and five would answer."""
    world = new_world(EVERYONE)
    asked = world.asked(cohort="fallback", members=THREE)
    found = world.ready(asked, "fallback")
    found.cohort = "all"
    with pytest.raises(RequisitionRefused) as caught:
        world.hub.mask_one(found, AGENCY)
    assert caught.value.reason == "COHORT_NOT_PERMITTED"


@pytest.mark.parametrize(
    "changes", [{"at_least_agencies": 4}, {"colluding_at_most": 2}]
)
def test_a_cohort_that_hides_nobody_is_refused(
    world: World, changes: dict[str, int]
) -> None:
    """No agreement that passes its checks has such a cohort; the agent looks again."""
    state = world.states[AGENCY]
    checks = Checks(
        state,
        keys=state.secret_keys(AGENCY),
        settings=Settings(),
        clock=world.clock,
    )
    payload, _ = signed(world.asked())
    with state.ledger() as connection:
        examined = checks.examine(connection, payload)
    assert checks.cohort(examined, "fallback").members == THREE
    with pytest.raises(RequisitionRefused) as caught:
        checks.cohort(_with_protect(examined, changes), "fallback")
    assert caught.value.reason == "COHORT_TOO_SMALL"


def test_a_smaller_cohort_that_does_not_cover_every_figure_is_refused(
    world: World,
) -> None:
    """The whole one does, and the hub names another one in the second round."""
    state = world.states[AGENCY]
    checks = Checks(
        state,
        keys=state.secret_keys(AGENCY),
        settings=Settings(),
        clock=world.clock,
    )
    payload, _ = signed(world.asked())
    with state.ledger() as connection:
        examined = checks.examine(connection, payload)
    assert checks.cohort(examined, "fallback").members == THREE
    text = MEMBERS_TEXT.replace(
        "remit: {description: what a hotline does}",
        "remit: {description: what a hotline does, covers: {region: [south]}}",
    )
    policy = dataclasses.replace(
        examined.policy, members=load_members(text, "members.yaml")
    )
    narrower = dataclasses.replace(examined, policy=policy)
    assert checks.cohort(narrower, "all").members == EVERYONE
    with pytest.raises(RequisitionRefused) as caught:
        checks.cohort(narrower, "fallback")
    assert caught.value.reason == "COHORT_NOT_PERMITTED"
    assert caught.value.metadata["codes"] == "deny.coverage"


def _with_protect(examined: Examined, changes: dict[str, int]) -> Examined:
    policy = examined.policy
    form = policy.agreement.form
    protect = form.protect.model_copy(update=changes)
    agreement = dataclasses.replace(
        policy.agreement, form=form.model_copy(update={"protect": protect})
    )
    # Coverage is another check, by the same numbers.
    protect = protect.model_copy(update={"covered_by_at_least": 3})
    agreement = dataclasses.replace(
        agreement, form=form.model_copy(update={"protect": protect})
    )
    return dataclasses.replace(
        examined, policy=dataclasses.replace(policy, agreement=agreement)
    )


def test_every_refusal_of_the_rounds_that_an_honest_hub_never_causes_is_noted() -> None:
    assert {reason for _, reason in (*READIES, *RECEIPTS)} <= SUSPICIOUS
    assert {"COHORT_CHANGED", "ALREADY_OPENED"} <= SUSPICIOUS


# Nothing depends on records


def said_by(answerer: StoreAnswerer, world: World, found: Round) -> list[object]:
    """Return everything that one agency says to forged and to honest calls."""
    said: list[object] = []

    def note(step: Callable[..., object], *arguments: object) -> None:
        with pytest.raises(RequisitionRefused) as caught:
            step(*arguments)
        error = caught.value
        said.append((error.reason, error.sentence, error.metadata))

    call, shown = (found.query_id, 1), found.readies
    lacked = world.hub.lacked(found, AGENCY)
    for forge, _ in READIES:
        note(answerer.mask, *call, "fallback", forge(shown), lacked)
    note(answerer.mask, found.query_id, 2, "fallback", shown, lacked)
    note(answerer.mask, *call, "others", shown, lacked)
    masked = answerer.mask(*call, "fallback", shown, lacked)
    said += [masked.receipt.transcript, len(masked.vector)]
    receipts = [found.masked[label].receipt for label in THREE[:-1]]
    receipts.append(masked.receipt)
    for forge, _ in RECEIPTS:
        note(answerer.reveal, *call, forge(receipts))
    said.append(len(answerer.reveal(*call, receipts)))
    said.append(answerer.ledger_height())
    return said


def test_refusals_are_the_same_whoever_is_in_the_store(
    world: World, tmp_path: Path
) -> None:
    """Two stores that differ in a person, with one database and so the same keys."""
    asked = world.asked()
    found = world.ready(asked)
    for label in THREE[:-1]:
        world.hub.mask_one(found, label)
    here = world.states[AGENCY]
    one_more = (PERSONS[AGENCY][0] + 1, *PERSONS[AGENCY][1:])
    there = joined(stored(tmp_path / "other", AGENCY, one_more), AGENCY)
    for name in ("agent.db", "state.sequence"):
        (there.root / name).write_bytes((here.root / name).read_bytes())
    other = StoreAnswerer(there, agency=AGENCY, settings=Settings(), clock=world.clock)
    assert said_by(other, world, found) == said_by(
        world.answerers[AGENCY], world, found
    )
