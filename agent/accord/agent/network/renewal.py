# SPDX-License-Identifier: Apache-2.0
"""A new certificate before the old one ends, without anybody's doing.

Due at two thirds of the lifetime; tried again with growing, random waits until it
succeeds or the certificate has ended. The agent keeps its key: only ``identity.pem``
is replaced. A hub that has revoked an agency refuses, and its streams end by
themselves.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import random
from collections.abc import Callable
from typing import TypeAlias

import grpc
import structlog
from cryptography import x509

from accord.agent.network.identity import Identity, IdentityFiles
from accord.agent.network.tasks import Sleep, end_if_cancelled
from accord.core.errors import AccordError, IntegrityError
from accord.rpc.channel import agent_channel
from accord.rpc.limits import deadline
from accord.rpc.pki import (
    agency_of,
    certificate_pem,
    certificate_request,
    check_issued,
    expiry_of,
    key_pem,
    load_certificate,
)
from accord.rpc.status import error_of
from accord.v1 import agent_pb2, agent_pb2_grpc

LONGEST_SLEEP = 60.0
"""Seconds after which the clock is read again: it may have been set meanwhile."""

_MARGIN = datetime.timedelta(hours=1)
"""By which a certificate lasts longer than until the contact for which it is needed."""

Due: TypeAlias = Callable[[x509.Certificate], datetime.datetime]
"""Returns when a certificate is to be renewed."""

_RANDOM = random.SystemRandom()


def utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Waits between attempts: uniform from zero to a bound that doubles (full jitter).

    Many agents that lost one hub at the same time come back spread out.
    """

    least: float = 0.5
    most: float = 60.0

    def wait(self, attempt: int) -> float:
        """Return the seconds to wait after the failed *attempt*, counted from 0."""
        bound = min(self.most, self.least * 2 ** min(attempt, 32))
        return _RANDOM.uniform(0, bound)


def due_at(certificate: x509.Certificate) -> datetime.datetime:
    """Return when two thirds of the lifetime are over."""
    expiry = expiry_of(certificate)
    return expiry - (expiry - certificate.not_valid_before_utc) / 3


def due_early(certificate: x509.Certificate) -> datetime.datetime:
    """Return when a tenth of the lifetime is over.

    For an agent that comes once and does not know when it will come again.
    """
    begin = certificate.not_valid_before_utc
    return begin + (expiry_of(certificate) - begin) / 10


def due_before(held: x509.Certificate, moment: datetime.datetime) -> Due:
    """Return when due: at once where *held* does not last until the next contact.

    The one that comes in its place is due as usual: where contacts are further apart
    than certificates last, another one at once would help nothing.
    """

    def due(certificate: x509.Certificate) -> datetime.datetime:
        if certificate == held and _ends_by(certificate, moment):
            return certificate.not_valid_before_utc
        return due_at(certificate)

    return due


def due_if_ends_by(moment: datetime.datetime) -> Due:
    """Return when due: as usual, but not before *moment* where it lasts until then."""

    def due(certificate: x509.Certificate) -> datetime.datetime:
        return due_at(certificate) if _ends_by(certificate, moment) else moment

    return due


def _ends_by(certificate: x509.Certificate, moment: datetime.datetime) -> bool:
    return expiry_of(certificate) <= moment + _MARGIN


def open_channel(identity: Identity) -> grpc.aio.Channel:
    """Return a channel to the hub's agents' port that shows the certificate."""
    return agent_channel(
        identity.membership.hub,
        certificate_pem(identity.authority),
        key_pem(identity.key),
        certificate_pem(identity.certificate),
    )


async def renew(files: IdentityFiles, identity: Identity) -> None:
    """Get a new certificate for the same key and keep it.

    Raises:
        Unreachable: HUB_UNREACHABLE.
        Unauthenticated: the hub no longer knows the agency.
        PolicyDenied: CERTIFICATE_REVOKED.
        IntegrityError: RENEWAL_INVALID, the hub's answer makes no sense.
        ConfigurationError: it cannot be written.
    """
    request = agent_pb2.RenewRequest(
        certificate_request=certificate_request(identity.key)
    )
    async with open_channel(identity) as channel:
        stub = agent_pb2_grpc.AgentServiceStub(channel)
        try:
            answer = await stub.Renew(request, timeout=deadline("AgentService/Renew"))
        except grpc.RpcError as error:
            raise error_of(error, f"the hub at {identity.membership.hub}") from None
    files.renew(_checked(answer.certificate.encode(), identity))


def _checked(pem: bytes, identity: Identity) -> x509.Certificate:
    try:
        certificate = load_certificate(pem, "the hub's answer")
        check_issued(certificate, identity.authority)
        agency = agency_of(certificate)
    except AccordError:
        raise _invalid() from None
    if (
        agency != identity.membership.agency
        or certificate.public_key() != identity.key.public_key()
        or expiry_of(certificate) < expiry_of(identity.certificate)
    ):
        raise _invalid()
    return certificate


def _invalid() -> IntegrityError:
    return IntegrityError(
        "RENEWAL_INVALID",
        "The hub's new certificate is not for this agent; the old one stays.",
    )


async def keep_renewed(
    files: IdentityFiles,
    renewed: Callable[[], None],
    *,
    backoff: Backoff,
    due: Due = due_at,
    clock: Callable[[], datetime.datetime] = utc_now,
    sleep: Sleep = asyncio.sleep,
) -> None:
    """Renew whenever it is due, until cancelled or the certificate has ended.

    Args:
        files: the agent's identity.
        renewed: called after each renewal: channels keep the old certificate.
        backoff: waits after failures.
        due: when a certificate is to be renewed.
        clock: the time in UTC.
        sleep: waits for so many seconds.

    Raises:
        Unauthenticated: CERTIFICATE_EXPIRED.
        ConfigurationError: the identity cannot be read.
    """
    attempt = 0
    while True:
        identity = files.load()
        now = clock()
        identity.check(now)
        left = (due(identity.certificate) - now).total_seconds()
        if left > 0:
            await sleep(min(left, LONGEST_SLEEP))
            continue
        wait = backoff.wait(attempt)
        attempt += 1
        if await try_renew(files, identity, attempt=attempt, wait_s=round(wait, 1)):
            attempt = 0
            renewed()
            # where this machine's clock is far ahead the new one is due at once, too
            life = expiry_of(identity.certificate) - due_at(identity.certificate)
            wait = min(LONGEST_SLEEP, life.total_seconds() / 10)
        end_if_cancelled()
        await sleep(wait)


async def try_renew(
    files: IdentityFiles, identity: Identity, **about_failure: float
) -> bool:
    """Renew once; return whether it went well, and log what went wrong."""
    log = structlog.get_logger().bind(agency=identity.membership.agency)
    try:
        await renew(files, identity)
    except AccordError as error:
        log.warning(
            "certificate.renewal_failed",
            reason=error.reason,
            expires_at=expiry_of(identity.certificate).isoformat(),
            **about_failure,
        )
        return False
    log.info("certificate.renewed")
    return True
