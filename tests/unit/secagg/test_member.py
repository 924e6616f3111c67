# SPDX-License-Identifier: Apache-2.0
"""What members refuse to take part in, and when they keep their seed."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from accord.core.errors import RequisitionRefused
from accord.secagg.keys import Directory, SecretKeys
from accord.secagg.member import (
    check_readies,
    check_receipts,
    make_erased,
    make_masked,
    make_ready,
    pair_keys,
)
from accord.secagg.messages import (
    Ready,
    Receipt,
    Spec,
    check_erased,
    check_ready,
    commit_input,
    transcript,
)
from tests.unit.secagg.cohort import (
    Round,
    directory,
    labels,
    pair_secrets,
    reason_of,
    run,
    secret,
    spec_for,
    zeros,
)

N = 5
SPEC = spec_for(N)
THIS = run(zeros(N, 8))
READIES = THIS.readies
OWN = READIES[0]
LISTED = directory(N)
ALIEN = SecretKeys.from_seed("agency-099", bytes(32))


def refused(
    readies: Sequence[Ready],
    members: Sequence[str] = labels(N),
    *,
    spec: Spec = SPEC,
    attempt: int = 1,
    listed: Directory = LISTED,
    own: Ready | None = OWN,
) -> str:
    return reason_of(check_readies, spec, attempt, readies, members, listed, own)


class TestReadies:
    def test_the_whole_cohort_is_accepted_by_members_and_hub(self) -> None:
        for own in (*READIES, None):
            check_readies(SPEC, 1, READIES, labels(N), LISTED, own)

    def test_a_key_that_the_hub_put_in_is_refused(self) -> None:
        alien, _ = make_ready(ALIEN, SPEC, 1)
        swapped = dataclasses.replace(READIES[1], ephemeral_key=alien.ephemeral_key)
        assert refused([OWN, swapped, *READIES[2:]]) == "READY_INVALID"

    def test_a_key_that_somebody_else_signed_is_refused(self) -> None:
        forger = SecretKeys.from_seed(labels(N)[1], bytes(32))
        forged, _ = make_ready(forger, SPEC, 1)
        assert refused([OWN, forged, *READIES[2:]]) == "READY_INVALID"

    def test_another_order_is_refused(self) -> None:
        assert refused([READIES[1], OWN, *READIES[2:]]) == "READY_INVALID"

    def test_a_member_twice_is_refused(self) -> None:
        assert refused([*READIES[:2], *READIES[1:]]) == "READY_INVALID"
        again, _ = make_ready(secret(labels(N)[1]), SPEC, 1)
        assert refused([*READIES[:2], again, *READIES[2:]]) == "READY_INVALID"

    def test_a_shorter_cohort_is_refused(self) -> None:
        for out in range(1, N):
            shorter = [*READIES[:out], *READIES[out + 1 :]]
            assert refused(shorter) == "INCOMPLETE_COHORT"
        assert refused([]) == "INCOMPLETE_COHORT"

    def test_a_cohort_without_this_member_is_refused(self) -> None:
        assert refused(READIES[1:], labels(N)[1:]) == "READY_INVALID"

    def test_a_stranger_is_refused(self) -> None:
        alien, _ = make_ready(ALIEN, SPEC, 1)
        assert refused([*READIES, alien]) == "READY_INVALID"
        # Not even where the cohort has it: the board does not list its key.
        assert refused([*READIES, alien], [*labels(N), ALIEN.label]) == "READY_INVALID"

    def test_a_listed_agency_outside_the_cohort_is_refused(self) -> None:
        spec = spec_for(N + 1)
        readies = [make_ready(secret(each), spec, 1)[0] for each in labels(N + 1)]
        listed, own = directory(N + 1), readies[0]
        found = refused(readies, labels(N), spec=spec, listed=listed, own=own)
        assert found == "READY_INVALID"
        check_readies(spec, 1, readies[:N], labels(N), listed, own)

    def test_a_ready_for_another_attempt_or_query_is_refused(self) -> None:
        member = secret(labels(N)[1])
        specs = (
            (spec_for(N, query_id="other"), 1),
            (spec_for(N, payload=b"other"), 1),
            (SPEC, 2),
        )
        for spec, attempt in specs:
            other, _ = make_ready(member, spec, attempt)
            assert refused([OWN, other, *READIES[2:]]) == "READY_INVALID"

    def test_readies_cannot_be_passed_off_for_another_query(self) -> None:
        assert refused(READIES, spec=spec_for(N, payload=b"other")) == "READY_INVALID"
        assert refused(READIES, attempt=2) == "READY_INVALID"

    def test_another_list_of_members_is_refused(self) -> None:
        """Also one in which only a key has changed that readies do not use."""
        changed = [dataclasses.replace(each, kem=None) for each in LISTED.values()]
        assert refused(READIES, listed=Directory(changed)) == "READY_INVALID"

    def test_an_own_key_that_was_exchanged_is_refused(self) -> None:
        """Even for one that this member did sign, such as before it was restored."""
        again, _ = make_ready(secret(labels(N)[0]), SPEC, 1)
        assert refused([again, *READIES[1:]]) == "READY_INVALID"

    def test_a_copied_key_is_refused(self) -> None:
        copied = dataclasses.replace(READIES[1], ephemeral_key=OWN.ephemeral_key)
        signature = secret(labels(N)[1]).sign(copied.body())
        copied = dataclasses.replace(copied, signature=signature)
        check_ready(copied, SPEC.digest, 1, LISTED)
        assert refused([OWN, copied, *READIES[2:]]) == "READY_INVALID"

    @pytest.mark.parametrize("n", [1, 2])
    def test_too_few_to_hide_one_are_refused(self, n: int) -> None:
        assert refused(READIES[:n], labels(N)[:n]) == "COHORT_TOO_SMALL"

    def test_a_list_of_the_cohort_in_another_order_is_refused(self) -> None:
        assert refused(READIES, labels(N)[::-1]) == "INCOMPLETE_COHORT"

    @pytest.mark.parametrize("weak", [bytes(32), b"\1" + bytes(31)])
    def test_a_fresh_key_that_gives_no_secret_is_refused(self, weak: bytes) -> None:
        """By the hub before it is shown: else all others decline, and not its owner."""
        label, own = labels(N)[1], labels(N)[0]
        made = dataclasses.replace(READIES[1], ephemeral_key=weak)
        made = dataclasses.replace(made, signature=secret(label).sign(made.body()))
        with pytest.raises(RequisitionRefused) as caught:
            check_ready(made, SPEC.digest, 1, LISTED)
        assert caught.value.reason == "READY_INVALID"
        assert caught.value.metadata["agency"] == label
        readies = [OWN, made, *READIES[2:]]
        assert refused(readies) == "READY_INVALID"
        arguments = (secret(own), THIS.ephemerals[own], readies, THIS.transcript)
        assert reason_of(pair_keys, *arguments, pair_secrets(N)[own]) == "READY_INVALID"

    @pytest.mark.parametrize("length", [0, 31, 33])
    def test_a_fresh_key_of_another_length_is_refused_even_if_signed(
        self, length: int
    ) -> None:
        short = dataclasses.replace(READIES[1], ephemeral_key=b"\7" * length)
        signature = secret(labels(N)[1]).sign(short.body())
        readies = [OWN, dataclasses.replace(short, signature=signature), *READIES[2:]]
        assert refused(readies) == "READY_INVALID"

    def test_without_a_lasting_secret_there_is_no_key(self) -> None:
        own, peer = labels(N)[0], labels(N)[3]
        lasting = pair_secrets(N)[own].copy()
        del lasting[peer]
        arguments = (secret(own), THIS.ephemerals[own], READIES, THIS.transcript)
        assert reason_of(pair_keys, *arguments, lasting) == "READY_INVALID"

    def test_the_fresh_key_can_be_given(self) -> None:
        member = secret(labels(N)[0])
        one, private = make_ready(member, SPEC, 1, ephemeral=b"\7" * 32)
        assert private == b"\7" * 32
        assert one == make_ready(member, SPEC, 1, ephemeral=private)[0]
        assert make_ready(member, SPEC, 1)[1] != make_ready(member, SPEC, 1)[1]


class TestTranscript:
    def test_everything_that_a_member_was_shown_counts(self) -> None:
        digest = SPEC.digest
        again, _ = make_ready(secret(labels(N)[1]), SPEC, 1)
        unsigned = dataclasses.replace(OWN, signature=bytes(64))
        shown = [
            (digest, 1, "all", "00", READIES),
            (spec_for(N, payload=b"other").digest, 1, "all", "00", READIES),
            (digest, 2, "all", "00", READIES),
            (digest, 1, "fallback", "00", READIES),
            (digest, 1, "all", "01", READIES),
            (digest, 1, "all", "00", READIES[:-1]),
            (digest, 1, "all", "00", READIES[::-1]),
            (digest, 1, "all", "00", [unsigned, *READIES[1:]]),
            (digest, 1, "all", "00", [OWN, again, *READIES[2:]]),
        ]
        assert len({transcript(*each) for each in shown}) == len(shown)

    def test_what_is_asked_counts_as_a_whole(self) -> None:
        specs = [
            SPEC,
            dataclasses.replace(SPEC, query_id="other"),
            dataclasses.replace(SPEC, payload=b"other"),
            dataclasses.replace(SPEC, directory_digest=bytes(32)),
        ]
        assert len({each.digest for each in specs}) == len(specs)


def kept(
    receipts: Sequence[Receipt],
    members: Sequence[str] = labels(N),
    this: Round = THIS,
) -> str:
    """Return why a member keeps its seed."""
    return reason_of(
        check_receipts, receipts, members, this.transcript, directory(this.n)
    )


class TestReceipts:
    def test_all_of_them_let_the_seed_go(self) -> None:
        check_receipts(THIS.receipts, labels(N), THIS.transcript, LISTED)

    def test_a_missing_receipt_keeps_it(self) -> None:
        for out in range(N):
            shorter = [*THIS.receipts[:out], *THIS.receipts[out + 1 :]]
            assert kept(shorter) == "INCOMPLETE_COHORT"

    def test_order_and_number_are_those_of_the_cohort(self) -> None:
        assert kept(THIS.receipts[::-1]) == "INCOMPLETE_COHORT"
        assert kept([*THIS.receipts, THIS.receipts[-1]]) == "INCOMPLETE_COHORT"
        assert kept(THIS.receipts[:2], labels(N)[:2]) == "COHORT_TOO_SMALL"

    @pytest.mark.parametrize("shown", ["fallback", "noise", "readies", "attempt"])
    def test_a_member_that_was_shown_something_else_keeps_it(self, shown: str) -> None:
        """Both have proof in hand: the other's signature under another transcript."""
        again, _ = make_ready(secret(labels(N)[1]), SPEC, 1)
        other = transcript(
            SPEC.digest,
            2 if shown == "attempt" else 1,
            "fallback" if shown == "fallback" else "all",
            "01" if shown == "noise" else "00",
            [OWN, again, *READIES[2:]] if shown == "readies" else READIES,
        )
        receipt, _ = make_masked(
            secret(labels(N)[4]),
            transcript=other,
            vector=np.zeros(8, np.int64),
            input_commitment=bytes(32),
            self_seed=os.urandom(32),
            pair_keys={},
        )
        assert kept([*THIS.receipts[:4], receipt]) == "EQUIVOCATION"

    @pytest.mark.parametrize(
        "field",
        [each.name for each in dataclasses.fields(Receipt) if each.name != "agency"],
    )
    def test_nothing_in_a_receipt_can_be_changed(self, field: str) -> None:
        """A hub cannot forge proof of what it did not do, either."""
        change: dict[str, Any] = {field: os.urandom(32)}
        wrong = dataclasses.replace(THIS.receipts[2], **change)
        assert kept([*THIS.receipts[:2], wrong, *THIS.receipts[3:]]) == (
            "RECEIPTS_INVALID"
        )

    def test_a_receipt_is_its_members_own(self) -> None:
        wrong = dataclasses.replace(THIS.receipts[2], agency=labels(N)[3])
        receipts = [*THIS.receipts[:3], wrong, *THIS.receipts[4:]]
        assert kept(receipts) == "RECEIPTS_INVALID"

    def test_a_digest_of_another_length_is_refused_even_if_signed(self) -> None:
        short = dataclasses.replace(THIS.receipts[2], vector_digest=b"")
        signature = secret(short.agency).sign(short.body())
        short = dataclasses.replace(short, signature=signature)
        receipts = [*THIS.receipts[:2], short, *THIS.receipts[3:]]
        assert kept(receipts) == "RECEIPTS_INVALID"


class TestMasked:
    def test_a_seed_of_another_length_is_refused(self) -> None:
        def act() -> None:
            make_masked(
                secret(labels(N)[0]),
                transcript=THIS.transcript,
                vector=np.zeros(8, np.int64),
                input_commitment=bytes(32),
                self_seed=bytes(16),
                pair_keys={},
            )

        assert reason_of(act) == "INTERNAL_ERROR"

    def test_the_same_step_gives_the_same_bytes(self) -> None:
        own = labels(N)[2]
        one, other = (
            make_masked(
                secret(own),
                transcript=THIS.transcript,
                vector=np.arange(8),
                input_commitment=bytes(32),
                self_seed=THIS.seeds[own],
                pair_keys=THIS.keys_of(own),
            )
            for _ in range(2)
        )
        assert one[0] == other[0]
        assert np.array_equal(one[1], other[1])

    def test_counts_noise_and_salt_are_committed_to(self) -> None:
        made = {
            commit_input(counts, noise, salt)
            for counts, noise, salt in (
                (b"x", b"e", b"s"),
                (b"y", b"e", b"s"),
                (b"x", b"f", b"s"),
                (b"x", b"e", b"t"),
                (b"xe", b"", b"s"),
            )
        }
        assert len(made) == 5


class TestErased:
    def test_a_members_word_is_accepted(self) -> None:
        erased = make_erased(secret(labels(N)[0]), SPEC.digest, 1)
        check_erased(erased, SPEC.digest, 1, LISTED)

    @pytest.mark.parametrize(
        "change",
        [
            {"agency": labels(N)[1]},
            {"agency": "nobody"},
            {"attempt": 2},
            {"spec_digest": bytes(32)},
            {"signature": bytes(64)},
        ],
    )
    def test_nothing_in_it_can_be_changed(self, change: dict[str, Any]) -> None:
        erased = make_erased(secret(labels(N)[0]), SPEC.digest, 1)
        wrong = dataclasses.replace(erased, **change)
        asked = wrong.spec_digest, wrong.attempt
        assert reason_of(check_erased, wrong, *asked, LISTED) == "ERASURE_INVALID"

    def test_it_is_for_one_query_and_attempt(self) -> None:
        erased = make_erased(secret(labels(N)[0]), SPEC.digest, 1)
        listed = LISTED
        for digest, attempt in ((SPEC.digest, 2), (bytes(32), 1)):
            found = reason_of(check_erased, erased, digest, attempt, listed)
            assert found == "ERASURE_INVALID"

    def test_no_signature_passes_for_another_kind(self) -> None:
        """Ready and erasure say the same things; their labels keep them apart."""
        ready = make_ready(secret(labels(N)[0]), SPEC, 1)[0]
        erased = make_erased(secret(labels(N)[0]), SPEC.digest, 1)
        wrong = dataclasses.replace(erased, signature=ready.signature)
        assert reason_of(check_erased, wrong, SPEC.digest, 1, LISTED) == (
            "ERASURE_INVALID"
        )
