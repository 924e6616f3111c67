# SPDX-License-Identifier: Apache-2.0
"""Round trips over the shipped data model, and what strangers could send."""

from __future__ import annotations

import dataclasses
import datetime
import functools
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from google.protobuf import descriptor_pb2
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from accord.core.calendar import Period
from accord.core.decide import Analyst
from accord.core.errors import (
    AccordError,
    IntegrityError,
    InvalidQuery,
    RequisitionRefused,
)
from accord.core.measure import Bounding
from accord.core.model import DataModel, load_model
from accord.core.privacy import DiscreteGaussian, DiscreteLaplace, Loss, Mechanism
from accord.core.query import Query, canonical_query
from accord.core.terms import Requisition
from accord.rpc import codec
from accord.rpc.codec import HeldEdition
from accord.v1 import agent_pb2, analyst_pb2, common_pb2

MODEL_FILE = Path(__file__).parents[3] / "policies" / "models" / "cases-v1.yaml"


@functools.cache
def model() -> DataModel:
    return load_model(MODEL_FILE.read_text(encoding="utf-8"), MODEL_FILE.name)


def find_model(_agreement: str, _digest: str, _model_digest: str) -> DataModel:
    return model()


@st.composite
def queries(draw: st.DrawFn) -> Query:
    names = sorted(model().dimensions)
    chosen = draw(st.lists(st.sampled_from(names), max_size=3, unique=True))
    filtered = draw(st.lists(st.sampled_from(names), max_size=3, unique=True))
    nodes = {
        name: [
            value
            for level in model().dimension(name).levels
            for value in model().dimension(name).domain(level)
        ]
        for name in filtered
    }
    free = [name for name in names if name not in chosen]
    measures = [
        *("persons", "cases", "mean(days_in_care)", "quantile(days_in_care)"),
        *(f"{kind}({name})" for kind in ("share", "values") for name in free),
        *(f"share({name}:{model().dimension(name).levels[-1]})" for name in free),
    ]
    return canonical_query(
        agreement="regional-trends",
        edition=draw(st.sampled_from(["2026-03", "2026-Q1", "2026"])),
        measure=draw(st.sampled_from(measures)),
        group_by=[
            (name, draw(st.sampled_from(model().dimension(name).levels)))
            for name in chosen
        ],
        where={
            name: draw(st.lists(st.sampled_from(values), min_size=1, max_size=5))
            for name, values in nodes.items()
        },
        model=model(),
    )


mechanisms: st.SearchStrategy[Mechanism] = st.builds(
    lambda kind, numerator: kind(scale=Fraction(numerator, 1024)),
    st.sampled_from([DiscreteGaussian, DiscreteLaplace]),
    st.integers(1, 2**42),
)
losses = st.builds(
    Loss, nano_rho=st.integers(0, 2**63 - 1), nano_epsilon=st.integers(0, 2**63 - 1)
)
moments = st.integers(0, 4 * 10**9).map(
    lambda seconds: datetime.datetime.fromtimestamp(seconds, datetime.UTC)
)
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
labels = st.from_regex(r"[a-z][a-z0-9]{0,20}", fullmatch=True)
requisitions = st.builds(
    Requisition,
    query_id=st.uuids().map(str),
    query=queries(),
    agreement_version=st.integers(1, 2**32 - 1),
    agreement_digest=digests,
    model_digest=digests,
    policy_digest=digests,
    cohort=labels,
    members=st.sets(labels, min_size=3, max_size=8).map(lambda s: tuple(sorted(s))),
    mechanism=mechanisms,
    loss=losses,
    layout_digest=digests,
    purpose=st.text(min_size=1, max_size=50),
    analyst=st.builds(
        Analyst,
        id=labels,
        organisation=labels,
        roles=st.frozensets(labels, max_size=4),
    ),
    issued_at=moments,
    expires_at=moments,
    bounding=st.sampled_from(Bounding),
)
editions = st.builds(
    HeldEdition,
    every=st.sampled_from(Period),
    embargo_days=st.integers(0, 3650),
    name=st.sampled_from(["2026-03", "2026-Q1", "2026"]),
    data_model=labels,
    data_model_digest=digests,
)


@given(queries())
def test_a_query_survives_the_wire(query: Query) -> None:
    message = codec.query_to_message(query)
    again = common_pb2.Query.FromString(message.SerializeToString())
    assert codec.query_from_message(again, model()) == query
    assert codec.query_from_message(again, model()).key() == query.key()


@given(mechanisms, losses, editions)
def test_small_values_survive_the_wire(
    mechanism: Mechanism, loss: Loss, edition: HeldEdition
) -> None:
    message = codec.mechanism_to_message(mechanism)
    assert codec.mechanism_from_message(message) == mechanism
    assert codec.loss_from_message(codec.loss_to_message(loss)) == loss
    assert codec.edition_from_message(codec.edition_to_message(edition)) == edition


@given(requisitions)
def test_a_requisition_survives_the_wire_as_the_same_bytes(
    requisition: Requisition,
) -> None:
    payload = codec.requisition_to_bytes(requisition)
    again = codec.requisition_from_bytes(payload, find_model)
    assert again == requisition
    assert codec.requisition_to_bytes(again) == payload
    assert codec.query_id_of(payload) == requisition.query_id


@pytest.fixture(scope="module")
def requisition() -> Requisition:
    return Requisition(
        query_id="00000000-0000-4000-8000-000000000000",
        query=canonical_query(
            agreement="regional-trends",
            edition="2026",
            measure="persons",
            group_by=[("registered_month", "quarter")],
            where={"gender": ["woman"]},
            model=model(),
        ),
        agreement_version=1,
        agreement_digest="a" * 64,
        model_digest="b" * 64,
        policy_digest="d" * 64,
        cohort="all",
        members=("a", "b", "c"),
        mechanism=DiscreteGaussian(scale=Fraction(5, 2)),
        loss=Loss(nano_rho=1000),
        layout_digest="c" * 64,
        purpose="planning",
        analyst=Analyst(id="x", organisation="y", roles=frozenset({"analyst"})),
        issued_at=datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC),
        expires_at=datetime.datetime(2026, 3, 2, tzinfo=datetime.UTC),
    )


def spoil(
    change: Callable[[agent_pb2.RequisitionPayload], object],
) -> Callable[[bytes], bytes]:
    def spoiled(payload: bytes) -> bytes:
        message = agent_pb2.RequisitionPayload.FromString(payload)
        change(message)
        return message.SerializeToString()

    return spoiled


SPOILED: dict[str, Callable[[bytes], bytes]] = {
    "no message": lambda _: b"\xff\xff\xff",
    "cut": lambda payload: payload[:-3],
    "no query": spoil(lambda m: m.ClearField("query")),
    "no id": spoil(lambda m: setattr(m, "query_id", "7")),
    "no noise": spoil(lambda m: setattr(m.mechanism, "kind", 0)),
    "unknown noise": spoil(lambda m: setattr(m.mechanism, "kind", 9)),
    "huge noise": spoil(lambda m: setattr(m.mechanism, "scale_numerator", 2**62)),
    "negative loss": spoil(lambda m: setattr(m.loss, "nano_rho", -1)),
    "not canonical": spoil(lambda m: setattr(m.query.group_by[0], "level", "")),
    "duplicate filter": spoil(lambda m: m.query.where.append(m.query.where[0])),
    "no edition": spoil(lambda m: setattr(m.query, "edition", "")),
    "unknown value": spoil(lambda m: m.query.where[0].values.append("nobody")),
    "unsorted members": spoil(lambda m: m.members.append("a")),
    "no policies": spoil(lambda m: m.ClearField("policy_digest")),
    "no time": spoil(lambda m: setattr(m, "expires_at", 2**62)),
}


@pytest.mark.parametrize("defect", SPOILED)
def test_a_malformed_requisition_is_refused_as_such(
    requisition: Requisition, defect: str
) -> None:
    payload = SPOILED[defect](codec.requisition_to_bytes(requisition))
    with pytest.raises(IntegrityError) as caught:
        codec.requisition_from_bytes(payload, find_model)
    assert caught.value.reason == "REQUISITION_MALFORMED"
    assert "nobody" not in caught.value.sentence


LATER = b"\xfa\x7f\x03new"
"""A field of a number that no version has used."""


@pytest.mark.parametrize(
    "place", ["payload", "query", "a filter", "the mechanism", "the analyst"]
)
def test_a_requisition_that_says_more_than_is_known_is_refused(
    requisition: Requisition, place: str
) -> None:
    """A later hub may mean something by it that an agency would not answer to."""
    message = agent_pb2.RequisitionPayload.FromString(
        codec.requisition_to_bytes(requisition)
    )
    parts: dict[str, Message] = {
        "payload": message,
        "query": message.query,
        "a filter": message.query.where[0],
        "the mechanism": message.mechanism,
        "the analyst": message.analyst,
    }
    parts[place].MergeFromString(LATER)
    with pytest.raises(RequisitionRefused, match="upgrade") as caught:
        codec.requisition_from_bytes(message.SerializeToString(), find_model)
    assert caught.value.reason == "TERMS_MISMATCH"


def test_what_the_search_for_the_model_says_passes(requisition: Requisition) -> None:
    def nothing_known(agreement: str, digest: str, model_digest: str) -> DataModel:
        assert (agreement, digest[0], model_digest[0]) == ("regional-trends", "a", "b")
        raise RequisitionRefused("AGREEMENT_UNKNOWN", "It is not known here.")

    with pytest.raises(RequisitionRefused, match="not known here"):
        codec.requisition_from_bytes(
            codec.requisition_to_bytes(requisition), nothing_known
        )


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(content: bytes) -> None:
    with pytest.raises(AccordError):
        codec.requisition_from_bytes(content, find_model)


def test_only_the_hubs_signature_over_these_bytes_counts(
    requisition: Requisition,
) -> None:
    key, other = (ed25519.Ed25519PrivateKey.generate() for _ in range(2))
    public = key.public_key().public_bytes_raw()
    payload = codec.requisition_to_bytes(requisition)
    signature = codec.sign_requisition(key, payload)
    codec.verify_requisition(public, payload, signature)
    for bad_key, bad_payload, bad_signature in [
        (other.public_key().public_bytes_raw(), payload, signature),
        (public, payload + b"\0", signature),
        (public, payload, signature[:-1]),
        (public, payload, codec.sign_requisition(other, payload)),
        (public, payload, key.sign(payload)),
        (b"short", payload, signature),
    ]:
        with pytest.raises(RequisitionRefused) as caught:
            codec.verify_requisition(bad_key, bad_payload, bad_signature)
        assert caught.value.reason == "SIGNATURE_INVALID"


def test_the_newest_edition_is_put_in_by_the_hub() -> None:
    message = common_pb2.Query(agreement="x", measure="persons")
    query = codec.query_from_message(message, model(), edition="2026-02")
    assert query.edition == "2026-02"
    for edition in (None, "", "latest", "2026-13", "2026-03-01"):
        with pytest.raises(InvalidQuery) as caught:
            codec.query_from_message(message, model(), edition=edition)
        assert caught.value.reason == "EDITION_INVALID"


def test_a_time_with_fractions_is_our_own_mistake(requisition: Requisition) -> None:
    late = requisition.expires_at.replace(microsecond=1)
    with pytest.raises(ValueError, match="whole seconds"):
        codec.requisition_to_bytes(dataclasses.replace(requisition, expires_at=late))


def test_the_number_of_a_field_that_was_taken_away_is_given_to_no_other() -> None:
    """A client of before would read the new field as the old one."""
    described = descriptor_pb2.DescriptorProto()
    analyst_pb2.PriceQueryResponse.DESCRIPTOR.CopyToProto(described)
    assert [(each.start, each.end) for each in described.reserved_range] == [(20, 21)]
    assert list(described.reserved_name) == ["least_epsilon"]
