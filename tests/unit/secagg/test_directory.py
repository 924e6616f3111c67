# SPDX-License-Identifier: Apache-2.0
"""The directory of an agreement is what the board signed about its parties."""

from __future__ import annotations

import dataclasses

import pytest

from accord.core.errors import IntegrityError
from accord.core.members import MemberForm
from accord.core.policy import Policy
from accord.secagg.directory import directory_of
from accord.secagg.keys import SecretKeys
from tests.policies import key
from tests.unit.agent.agreements import OTHERS, policy


def with_member(label: str, **changes: str | None) -> Policy:
    """Return the policy of the tests with other lines in one entry."""
    found = policy()
    member: MemberForm = found.members.members[label].model_copy(update=changes)
    members = found.members.model_copy(
        update={"members": {**found.members.members, label: member}}
    )
    return dataclasses.replace(found, members=members)


def test_it_has_every_party_with_the_keys_that_its_agency_derives() -> None:
    found = directory_of(policy())
    assert sorted(found) == sorted(policy().agreement.parties)
    for name in OTHERS:
        own = SecretKeys.from_seed(name, key(name).private_bytes_raw()).public
        assert found[name] == own


def test_a_party_without_keys_takes_no_part() -> None:
    for missing in ({"key": None}, {"exchange": None}):
        found = directory_of(with_member("police", **missing))
        assert "police" not in found
        assert len(found) == len(policy().agreement.parties) - 1


def test_an_agency_of_another_agreement_is_not_in_it() -> None:
    found = policy()
    more = found.members.model_copy(
        update={
            "members": {
                **found.members.members,
                "stranger": found.members.members["police"],
            }
        }
    )
    strangers = dataclasses.replace(found, members=more)
    assert directory_of(strangers).digest == directory_of(found).digest


def test_every_key_counts_for_its_digest() -> None:
    police = policy().members.members["police"]
    other = policy().members.members["clinic"]
    whole = directory_of(policy()).digest
    changes = [{"kem": None}] if police.kem else []
    for change in changes:
        assert directory_of(with_member("police", **change)).digest != whole
    for name in ("key", "exchange", "kem"):
        if getattr(other, name) is None:
            continue
        copied = with_member("police", **{name: getattr(other, name)})
        with pytest.raises(IntegrityError) as caught:
            directory_of(copied)
        assert caught.value.reason == "MEMBERS_AMBIGUOUS"
