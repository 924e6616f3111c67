# SPDX-License-Identifier: Apache-2.0
"""A person's side of the wire: one channel, typed errors, deadlines on all calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from accord.client.profile import Profile
from accord.rpc.address import parse_address
from accord.rpc.channel import analyst_channel
from accord.rpc.first_contact import fetch_authority
from accord.rpc.limits import DEADLINES
from accord.rpc.status import error_of
from accord.rpc.tokens import TokenKind, parse
from accord.v1.analyst_pb2_grpc import AnalystServiceStub
from accord.v1.policy_pb2_grpc import PolicyServiceStub
from accord.v1.review_pb2_grpc import ReviewServiceStub

Response = TypeVar("Response", bound=Message)

_SECONDS = {method.rpartition("/")[2]: left for method, left in DEADLINES.items()}
"""By the name of a call alone, which is the same in no two services."""


class Wire:
    """A connection to one hub for one person; close it, or use it in a ``with``."""

    def __init__(self, profile: Profile) -> None:
        """Read the hub's authority, compare it with the token's, open the channel.

        Raises:
            Unauthenticated: the token is malformed, or this is not its hub.
            Unreachable: nobody answers at the address.
        """
        token = parse(profile.token, TokenKind.ANALYST)
        address = parse_address(profile.hub)
        authority = fetch_authority(address, token.fingerprint)
        self.hub_identity = token.fingerprint.hex()
        """Fingerprint of the hub's certificate authority, under any address."""
        self._channel = analyst_channel(address, authority, token)
        self.stub = AnalystServiceStub(self._channel)
        self.policies = PolicyServiceStub(self._channel)
        self.reviews = ReviewServiceStub(self._channel)

    def call(self, method: Callable[..., Response], request: Message) -> Response:
        """Call *method* of the stub, with the deadline that goes with its request.

        Raises:
            AccordError: rebuilt from what the hub said.
        """
        with _typed_errors():
            return method(request, timeout=_deadline(request))

    def begin(
        self, method: grpc.UnaryUnaryMultiCallable[Any, Response], request: Message
    ) -> Callable[[], Response]:
        """Call *method* without waiting; what is returned waits, as often as it is.

        An interrupted wait leaves the call alone, unlike one of `call`: it can be
        waited for again.
        """
        answer = method.future(request, timeout=_deadline(request))

        def wait() -> Response:
            with _typed_errors():
                return answer.result()

        return wait

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()


def _deadline(request: Message) -> float:
    return _SECONDS[request.DESCRIPTOR.name.removesuffix("Request")]


@contextmanager
def _typed_errors() -> Iterator[None]:
    try:
        yield
    except grpc.RpcError as error:
        raise error_of(error) from None
