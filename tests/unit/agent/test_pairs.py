# SPDX-License-Identifier: Apache-2.0
"""Secrets of pairs: made once, sent by the lower label, never downgraded."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Mapping

import pytest

from accord.agent.rounds.pairs import Pairs
from accord.core.errors import RequisitionRefused
from accord.core.terms import Requisition
from accord.secagg.directory import directory_of
from accord.secagg.keys import (
    Directory,
    Encapsulation,
    PublicKeys,
    SecretKeys,
    uses_kem,
)
from tests.policies import key
from tests.unit.agent.agency_world import EVERYONE, THREE, World, expected, seed_of
from tests.unit.agent.agreements import AGENCY, Clock, policy

LISTED = directory_of(policy())

pytestmark = pytest.mark.skipif(
    not uses_kem(LISTED["police"], LISTED[AGENCY]),
    reason="this machine's OpenSSL has no ML-KEM",
)


def database_lost(world: World, label: str) -> None:
    """An agency loses its encapsulations and nothing else."""
    with world.states[label].ledger() as connection:
        connection.execute("DELETE FROM encapsulation")


def refusal(step: Callable[[], object]) -> RequisitionRefused:
    with pytest.raises(RequisitionRefused) as caught:
        step()
    return caught.value


def test_the_lower_label_sends_to_every_higher_one(world: World) -> None:
    sent = {
        label: [each.receiver for each in world.answerers[label].encapsulations()]
        for label in THREE
    }
    assert sent == {
        "hotline": ["inspection", "police", "shelter"],
        "police": ["shelter"],
        "shelter": [],
    }


def test_they_are_made_once_and_kept(world: World) -> None:
    first = world.answerers["hotline"].encapsulations()
    assert world.answerer("hotline").encapsulations() == first
    assert first


def test_a_member_says_what_it_lacks_until_it_has_it(world: World) -> None:
    """Of the largest cohort, since nobody knows yet which one will answer."""
    first = world.ready(world.asked())
    assert {label: first.steps[label].lacking for label in THREE} == {
        "hotline": ("clinic",),
        "police": ("clinic", "hotline", "inspection"),
        "shelter": ("clinic", "hotline", "inspection", "police"),
    }
    world.hub.mask(first)
    second = world.ready(world.asked())
    assert {label: second.steps[label].lacking for label in THREE} == {
        "hotline": ("clinic",),
        "police": ("clinic", "inspection"),
        "shelter": ("clinic", "inspection"),
    }
    world.hub.stored.clear()
    assert (world.hub.reveal(world.hub.mask(second)).sum() == expected(THREE)).all()


def test_without_it_nobody_goes_on(world: World) -> None:
    found = world.ready(world.asked())
    world.hub.stored.clear()
    refused = refusal(lambda: world.hub.mask_one(found, AGENCY))
    assert (refused.reason, refused.metadata["kem"]) == ("READY_INVALID", "missing")
    assert world.spent(AGENCY) == (0, 0)


def forged(given: Encapsulation) -> Encapsulation:
    return dataclasses.replace(given, ciphertext=bytes(1088))


def for_another(given: Encapsulation) -> Encapsulation:
    return dataclasses.replace(given, receiver="police")


def from_a_stranger(given: Encapsulation) -> Encapsulation:
    return dataclasses.replace(given, sender="stranger")


@pytest.mark.parametrize("change", [forged, for_another, from_a_stranger])
def test_a_forged_one_is_refused_and_not_kept(
    world: World, change: Callable[[Encapsulation], Encapsulation]
) -> None:
    found = world.ready(world.asked())
    honest = world.hub.stored["hotline", AGENCY]
    shown = [change(honest), world.hub.stored["police", AGENCY]]
    answerer = world.answerers[AGENCY]
    refused = refusal(
        lambda: answerer.mask(found.query_id, 1, "fallback", found.readies, shown)
    )
    assert refused.reason == "READY_INVALID"
    assert "hotline" in world.ready(world.asked()).steps[AGENCY].lacking
    assert (world.hub.reveal(world.hub.mask(found)).sum() == expected(THREE)).all()


@pytest.mark.parametrize("days", [1, -1])
def test_a_sender_that_lost_its_own_is_understood_again_the_next_day(
    world: World, days: int
) -> None:
    """Receivers ask anew, and what comes takes the place of the first."""
    world.whole(world.asked())
    before = world.hub.stored["hotline", AGENCY]
    database_lost(world, "hotline")
    broken = world.whole(world.asked())
    assert world.hub.stored["hotline", AGENCY] != before
    assert abs(int(broken.sum()[0])) > 2**32  # the hub finds it implausible
    world.clock.now += days * datetime.timedelta(days=1)
    world.offer.freshen()
    for answerer in world.answerers.values():
        answerer.refresh(world.offer.fetch)
    found = world.ready(asked_at(world))
    for label in ("police", AGENCY):
        assert "hotline" in found.steps[label].lacking
    assert (world.hub.reveal(world.hub.mask(found)).sum() == expected(THREE)).all()
    assert "hotline" not in world.ready(asked_at(world)).steps[AGENCY].lacking


def asked_at(world: World) -> Requisition:
    return world.asked(expires_at=world.clock.now + datetime.timedelta(hours=1))


def test_what_a_receiver_has_is_good_enough_where_nothing_newer_comes(
    world: World,
) -> None:
    world.whole(world.asked())
    world.clock.now += datetime.timedelta(hours=24)
    world.offer.freshen()
    for answerer in world.answerers.values():
        answerer.refresh(world.offer.fetch)
    found = world.ready(asked_at(world))
    assert "hotline" in found.steps[AGENCY].lacking
    world.hub.stored.clear()
    assert (world.hub.reveal(world.hub.mask(found)).sum() == expected(THREE)).all()


def test_a_receiver_that_lost_its_own_asks_again(world: World) -> None:
    world.whole(world.asked())
    database_lost(world, AGENCY)
    found = world.ready(world.asked())
    assert "hotline" in found.steps[AGENCY].lacking
    assert (world.hub.reveal(world.hub.mask(found)).sum() == expected(THREE)).all()


def listed(**changes: PublicKeys) -> Directory:
    return Directory({**LISTED, **changes}.values())


def keys_of(label: str) -> SecretKeys:
    return SecretKeys.from_seed(label, seed_of(label))


@pytest.mark.parametrize("who", ["sender", "receiver"])
def test_another_key_needs_another_secret(world: World, who: str) -> None:
    pairs = Pairs(keys_of("police"), Clock())
    state = world.states["police"]
    with state.ledger() as connection:
        (first,) = pairs.sent(connection, [LISTED])
        if who == "receiver":
            new = SecretKeys.from_seed(AGENCY, b"n" * 32).public
            changed = listed(**{AGENCY: new})
        else:
            pairs = Pairs(SecretKeys.from_seed("police", b"n" * 32), Clock())
            new = SecretKeys.from_seed("police", b"n" * 32).public
            changed = listed(police=new)
        (second,) = pairs.sent(connection, [changed])
        assert second.ciphertext != first.ciphertext
        assert pairs.sent(connection, [changed]) == (second,)


def bare(label: str) -> PublicKeys:
    return dataclasses.replace(LISTED[label], kem=None)


@pytest.mark.parametrize(
    "without",
    [{"police": bare("police")}, {AGENCY: bare(AGENCY)}],
    ids=["the other", "this one"],
)
def test_a_pair_without_two_listed_keys_uses_none(
    world: World, without: Mapping[str, PublicKeys]
) -> None:
    """As the board's list says, whatever this machine could do; both agree."""
    directory = listed(**without)
    secrets = []
    for label, other in (("police", AGENCY), (AGENCY, "police")):
        pairs = Pairs(keys_of(label), Clock())
        with world.states[label].ledger() as connection:
            pairs.sent(connection, [directory])
            assert other not in pairs.lacking(connection, directory, EVERYONE)
            found = pairs.secrets(connection, directory, [label, other])
            secrets.append(found[other])
    assert secrets[0] == secrets[1]


def test_a_key_that_is_none_costs_only_its_own_pair(world: World) -> None:
    broken = dataclasses.replace(LISTED["police"], kem=b"\xff" * 1184)
    pairs = Pairs(keys_of("hotline"), Clock())
    with world.states["hotline"].ledger() as connection:
        sent = pairs.sent(connection, [listed(police=broken)])
    assert [each.receiver for each in sent] == ["inspection", "shelter"]


def test_a_member_without_keys_shares_nothing(world: World) -> None:
    fewer = Directory(each for each in LISTED.values() if each.label != "police")
    pairs = Pairs(keys_of(AGENCY), Clock())
    with world.states[AGENCY].ledger() as connection:
        refused = refusal(lambda: pairs.secrets(connection, fewer, THREE))
    assert refused.reason == "READY_INVALID"


def test_keys_that_the_board_does_not_list_make_no_secrets(world: World) -> None:
    """An agency whose board lists another key answers nothing; nor does it send."""
    stranger = key("stranger").private_bytes_raw()
    pairs = Pairs(SecretKeys.from_seed("hotline", stranger), Clock())
    with world.states["hotline"].ledger() as connection:
        assert pairs.sent(connection, [LISTED]) == ()
        assert pairs.lacking(connection, LISTED, EVERYONE) == ()


def test_the_board_lists_what_agencies_derive(world: World) -> None:
    for label in THREE:
        assert world.states[label].secret_keys(label).public == LISTED[label]
