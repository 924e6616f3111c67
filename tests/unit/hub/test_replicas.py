# SPDX-License-Identifier: Apache-2.0
"""What replicas pass on, and where: letters, seals, notices, routes."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from accord.core.errors import IntegrityError
from accord.hub.replicas.letters import Kind, Letter, calling, packed, unpacked
from accord.hub.replicas.membership import Stream
from accord.hub.replicas.notices import (
    MOST_BYTES,
    Notice,
    Topic,
    news_words,
    notices,
    read,
)
from accord.hub.replicas.places import Places
from accord.hub.replicas.routing import queries, split
from accord.hub.replicas.sealing import Seal
from accord.hub.rounds.revisions import Revisions
from accord.v1 import agent_pb2

LETTERS = st.builds(
    Letter,
    st.sampled_from(Kind),
    st.text(max_size=63),
    st.text(max_size=63),
    st.binary(max_size=300),
)


class TestLetters:
    @given(st.lists(LETTERS, max_size=5))
    def test_a_parcel_holds_what_was_put_in(self, letters: list[Letter]) -> None:
        assert unpacked(packed(letters)) == letters

    @given(st.lists(LETTERS, min_size=1, max_size=3), st.data())
    def test_a_parcel_that_was_cut_is_not_read(
        self, letters: list[Letter], data: st.DataObject
    ) -> None:
        parcel = packed(letters)
        starts = [len(packed(letters[:count])) for count in range(len(letters))]
        cuts = [place for place in range(len(parcel)) if place not in starts]
        cut = data.draw(st.sampled_from(cuts))
        with pytest.raises(IntegrityError) as damaged:
            unpacked(parcel[:cut])
        assert damaged.value.reason == "PARCEL_DAMAGED"

    @pytest.mark.parametrize(
        "call",
        [
            agent_pb2.Requisition(payload=b"what", attempt=2),
            agent_pb2.CohortCall(query_id="q", attempt=3, cohort="all"),
            agent_pb2.RevealCall(query_id="q", attempt=1),
        ],
    )
    def test_a_call_arrives_as_it_was(
        self,
        call: agent_pb2.Requisition | agent_pb2.CohortCall | agent_pb2.RevealCall,
    ) -> None:
        (letter,) = unpacked(packed([calling("alpha", "q", call)]))
        assert (letter.agency, letter.about) == ("alpha", "q")
        assert letter.call() == call


class TestSealing:
    hub = Ed25519PrivateKey.generate()

    def test_only_its_receiver_opens_a_parcel(self) -> None:
        sender, receiver, third = Seal(self.hub), Seal(self.hub), Seal(self.hub)
        sealed = sender.close(b"a seed", sender=1, receiver=2, to=receiver.public)
        assert b"a seed" not in sealed.content
        assert receiver.open(sealed, sender=1, receiver=2) == b"a seed"
        with pytest.raises(IntegrityError) as forged:
            third.open(sealed, sender=1, receiver=2)
        assert forged.value.reason == "PARCEL_FORGED"

    @pytest.mark.parametrize(("sender", "receiver"), [(3, 2), (1, 3)])
    def test_a_parcel_goes_one_way_only(self, sender: int, receiver: int) -> None:
        """Nobody passes on what another replica said as its own."""
        own, other = Seal(self.hub), Seal(self.hub)
        sealed = own.close(b"said", sender=1, receiver=2, to=other.public)
        with pytest.raises(IntegrityError):
            other.open(sealed, sender=sender, receiver=receiver)

    def test_whoever_has_the_database_alone_can_write_no_parcel(self) -> None:
        """The receiver's public key is there to be read; the hub's key is not."""
        receiver = Seal(self.hub)
        stranger = Seal(Ed25519PrivateKey.generate())
        sealed = stranger.close(b"said", sender=1, receiver=2, to=receiver.public)
        with pytest.raises(IntegrityError):
            receiver.open(sealed, sender=1, receiver=2)

    def test_a_changed_parcel_is_none(self) -> None:
        own, other = Seal(self.hub), Seal(self.hub)
        sealed = own.close(b"said", sender=1, receiver=2, to=other.public)
        changed = dataclasses.replace(sealed, content=sealed.content[:-1] + b"\0")
        with pytest.raises(IntegrityError):
            other.open(changed, sender=1, receiver=2)

    def test_keys_of_others_are_none_of_the_hub(self) -> None:
        own, stranger = Seal(self.hub), Seal(Ed25519PrivateKey.generate())
        assert Seal(self.hub).is_ours(own.public, own.signature)
        assert not own.is_ours(stranger.public, stranger.signature)
        assert not own.is_ours(stranger.public, own.signature)


class TestNotices:
    @given(
        st.integers(1, 2**31),
        st.sampled_from(Topic),
        st.lists(st.from_regex(r"\A[a-z0-9=-]{1,80}\Z"), max_size=300),
    )
    def test_all_words_are_heard(
        self, sender: int, topic: Topic, words: list[str]
    ) -> None:
        heard = [read(each.text()) for each in notices(sender, topic, words)]
        assert [word for each in heard if each for word in each.words] == words
        assert {each.topic for each in heard if each} == {topic}
        assert {each.sender for each in heard if each} == {sender}

    def test_each_is_short_enough_for_the_database(self) -> None:
        made = list(notices(1, Topic.NEWS, [f"{'x' * 36}={n}" for n in range(2000)]))
        assert len(made) > 1
        assert max(len(each.text()) for each in made) < MOST_BYTES + 100

    def test_news_have_their_revisions(self) -> None:
        words = news_words({"one": 5, "two": 7})
        assert Notice(1, Topic.NEWS, tuple(words)).revisions() == {"one": 5, "two": 7}

    @pytest.mark.parametrize("text", ["x stream a", "1", "1 later-than-this a"])
    def test_what_this_version_does_not_know_is_passed_over(self, text: str) -> None:
        assert read(text) is None


def readies(*queries: str) -> agent_pb2.ConnectRequest:
    made = [agent_pb2.Ready(query_id=query, attempt=1) for query in queries]
    return agent_pb2.ConnectRequest(readies=agent_pb2.Readies(readies=made))


class TestRouting:
    def test_a_message_is_taken_apart_by_owner(self) -> None:
        owners = {"a": 1, "b": 2, "c": 1}
        parts = split(readies("a", "b", "c"), owners.__getitem__)
        assert parts == {1: readies("a", "c"), 2: readies("b")}

    def test_what_is_for_one_owner_stays_whole(self) -> None:
        message = readies("a", "b")
        assert split(message, lambda _: 7) == {7: message}

    def test_a_part_of_a_vector_goes_where_its_query_is(self) -> None:
        part = agent_pb2.VectorPart(
            query_id="a", attempt=1, offset=9, vector=b"12345678"
        )
        message = agent_pb2.ConnectRequest(part=part)
        assert queries(message) == ["a"]
        assert split(message, lambda _: 3) == {3: message}

    @pytest.mark.parametrize(
        ("field", "inner", "part"),
        [
            ("masked", "masked", agent_pb2.Masked(query_id="a", attempt=1)),
            ("reveals", "reveals", agent_pb2.Reveal(query_id="a", attempt=1)),
            ("erasures", "erasures", agent_pb2.Erased(query_id="a", attempt=1)),
            ("refusals", "refusals", agent_pb2.Refusal(query_id="a", attempt=1)),
        ],
    )
    def test_every_message_of_a_round_has_its_queries(
        self, field: str, inner: str, part: object
    ) -> None:
        message = agent_pb2.ConnectRequest()
        getattr(getattr(message, field), inner).append(part)
        assert queries(message) == ["a"]

    def test_other_messages_are_about_none(self) -> None:
        beat = agent_pb2.Heartbeat(sequence=4)
        assert not queries(agent_pb2.ConnectRequest(heartbeat=beat))

    def test_every_message_of_an_agent_is_known_to_the_router(self) -> None:
        """A new one that is about queries has to be split, too."""
        about_none = {
            "hello",
            "heartbeat",
            "editions",
            "encapsulations",
            "cosignature",
            "charges",
        }
        fields = agent_pb2.ConnectRequest.DESCRIPTOR.oneofs_by_name["message"].fields
        about_queries = {"readies", "masked", "part", "reveals", "erasures", "refusals"}
        assert {each.name for each in fields} == about_none | about_queries


def places(opened_at: dict[str, int] | None = None) -> Places:
    return Places(opened_at=(opened_at or {}).get, say_again=lambda _: None)


class TestPlaces:
    def test_agencies_elsewhere_are_asked_anew_whenever_they_open_a_stream(
        self,
    ) -> None:
        known = places()
        found = {"alpha": Stream(2, 10), "bravo": Stream(1, 11)}
        assert known.learn(None, found, own=1) == ["alpha"]
        assert known.streams == {"alpha": 2}
        assert known.learn(["alpha"], {"alpha": Stream(3, 12)}, own=1) == ["alpha"]
        assert known.streams == {"alpha": 3}

    def test_who_was_looked_for_and_not_found_is_nowhere(self) -> None:
        known = places()
        known.learn(None, {"alpha": Stream(2, 1), "bravo": Stream(2, 1)}, own=1)
        assert known.learn(["alpha"], {}, own=1) == []
        assert known.streams == {"bravo": 2}

    def test_the_dead_have_neither_streams_nor_rounds(self) -> None:
        known = places()
        known.learn(None, {"alpha": Stream(2, 1), "bravo": Stream(3, 1)}, own=1)
        known.rounds.update({"a": 2, "b": 3})
        known.forget([2])
        assert known.streams == {"bravo": 3}
        assert known.rounds == {"b": 3}


class TestRevisions:
    def test_news_of_others_are_above_what_was_given_out_before(self) -> None:
        """Whoever polls here, then there, then here again misses nothing."""
        begin = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        one = Revisions(begin)
        two = Revisions(begin + dt.timedelta(minutes=5))
        one.heard({}, latest=two.latest)
        one.bump(["q"])
        assert one.of("q") > two.of("q")
        two.heard({"q": one.of("q")})
        assert two.of("q") == one.of("q")
        two.bump(["q"])
        assert two.of("q") > one.of("q")

    async def test_those_who_wait_hear_of_news_and_ends_elsewhere(self) -> None:
        revisions = Revisions(dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
        with revisions.listening("q") as news:
            revisions.heard({"q": revisions.latest + 1})
            assert news.is_set()
        with revisions.listening("q") as news:
            revisions.heard_end(["q"])
            assert news.is_set()
