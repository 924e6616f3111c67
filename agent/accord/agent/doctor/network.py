# SPDX-License-Identifier: Apache-2.0
"""The way to the hub: proxy, ports, who answers there, and what time it is to them."""

from __future__ import annotations

import asyncio
import datetime
import hmac
import os
from collections.abc import Iterator, Mapping

import grpc
from cryptography import x509
from cryptography.x509.oid import NameOID

from accord.agent.doctor.finding import (
    Finding,
    Verdict,
    from_error,
    ok,
    warning,
    wrong,
)
from accord.agent.network.identity import Identity
from accord.agent.network.renewal import open_channel
from accord.core.errors import AccordError, IntegrityError
from accord.rpc.address import Address
from accord.rpc.first_contact import presented_chain
from accord.rpc.limits import deadline
from accord.rpc.pki import (
    SERVER_NAME,
    check_issued,
    expiry_of,
    fingerprint,
)
from accord.rpc.proxy import VARIABLES, proxy_for
from accord.rpc.status import error_of
from accord.trust.metadata import TIMESTAMP, metadata_name
from accord.v1 import agent_pb2, agent_pb2_grpc

ASKED = metadata_name(TIMESTAMP)
"""A small file that every agency may fetch."""

_LONGEST_NAME = 60
_UNREADABLE = (
    *(x509.ExtensionNotFound, x509.DuplicateExtension),
    *(x509.UnsupportedGeneralNameType, ValueError),
)
"""What a stranger's certificate may raise where one looks into it."""

_SOON = datetime.timedelta(hours=2)


def proxy(hub: Address, environment: Mapping[str, str] | None = None) -> Finding:
    """Say whether a proxy is on the way, without its password."""
    environment = os.environ if environment is None else environment
    try:
        found = proxy_for(hub, environment)
    except AccordError as error:
        return from_error("proxy", error)
    if found is not None:
        login = "with a name and a password" if found.credentials else "without a login"
        return ok(
            "proxy",
            f"The way to the hub goes through the proxy {found.address} ({login}), as "
            f"{found.variable} says.",
        )
    shouted = [
        name.upper()
        for name in VARIABLES
        if environment.get(name.upper()) and not environment.get(name)
    ]
    if shouted and not hub.is_loopback:
        return warning(
            "proxy",
            f"{shouted[0]} is set, but the agent reads it in small letters only.",
            f"If the hub is behind that proxy, set {shouted[0].lower()} as well.",
        )
    return ok("proxy", "No proxy is on the way to the hub.")


def port(
    thing: str,
    hub: Address,
    authority: x509.Certificate | None,
    now: datetime.datetime,
    *,
    needed: bool = True,
) -> Iterator[Finding]:
    """Say who answers at a port, and whether it is the hub.

    Args:
        thing: name of the port, for people.
        hub: address and port.
        authority: the hub's, if the agent has joined it.
        now: the time of this machine.
        needed: whether the agent needs this port to answer questions.
    """
    try:
        chain = presented_chain(hub)
    except AccordError as error:
        yield from_error(thing, error, Verdict.WRONG if needed else Verdict.WARNING)
        return
    yield _who(thing, hub, chain, authority)
    if authority is None or _is_from(chain, authority):
        yield from _time(chain[0], now)


def _who(
    thing: str,
    hub: Address,
    chain: list[x509.Certificate],
    authority: x509.Certificate | None,
) -> Finding:
    if authority is not None and _is_from(chain, authority):
        return ok(
            thing, f"The hub answers at {hub}, with the certificate it must have."
        )
    if authority is None and _is_of_a_hub(chain[0]):
        return ok(
            thing,
            f"A hub answers at {hub}. Whether it is yours the token will say.",
        )
    issuer = _issuer(chain)
    return wrong(
        thing,
        f"TLS interception: what answers at {hub} is not the hub. It shows a "
        f"certificate issued by {issuer!r}, which stands between this machine and the "
        "hub and would read what they say.",
        f"Ask whoever runs {issuer!r} (a firewall, a filter or an antivirus program) "
        f"to let connections to {hub} through unopened. Or the address is another "
        "server's: compare it with the operator's.",
    )


def _time(certificate: x509.Certificate, now: datetime.datetime) -> Iterator[Finding]:
    """Compare this clock with the times of the hub's certificate."""
    begin, end = certificate.not_valid_before_utc, expiry_of(certificate)
    if now < begin:
        yield wrong(
            "time",
            f"By this machine's clock the hub's certificate begins in the future: it "
            f"is {now:%Y-%m-%d %H:%M} UTC here, and the hub's began at "
            f"{begin:%Y-%m-%d %H:%M} UTC.",
            "Set this machine's clock, and turn NTP on.",
        )
    elif now >= end:
        yield wrong(
            "time",
            f"By this machine's clock ({now:%Y-%m-%d %H:%M} UTC) the hub's certificate "
            f"ended at {end:%Y-%m-%d %H:%M} UTC.",
            "Set this machine's clock; if it is right, tell the hub's operator.",
        )
    else:
        yield ok("time", "This machine's clock fits the hub's certificate.")


def certificate(identity: Identity, now: datetime.datetime) -> Finding:
    """Say whether the agent's own certificate is good, and for how long."""
    try:
        identity.check(now)
    except AccordError as error:
        return from_error("certificate", error)
    until = expiry_of(identity.certificate)
    sentence = f"This agent's certificate is good until {until:%Y-%m-%d %H:%M} UTC."
    if until - now < _SOON:
        return warning(
            "certificate",
            sentence,
            "`accord-agent run` renews it; see that it runs.",
        )
    return ok("certificate", sentence)


def admission(identity: Identity) -> Finding:
    """Ask the hub for one small file, as the agent itself would."""
    hub = identity.membership.hub
    try:
        asyncio.run(_ask(identity))
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.UNIMPLEMENTED:
            return wrong(
                "hub",
                f"The hub at {hub} does not know what this agent asks for: their "
                "versions are too far apart.",
                "Ask the hub's operator for the version that the hub has, and install "
                "an agent that goes with it.",
            )
        return from_error("hub", error_of(error, f"the hub at {hub}"))
    return ok("hub", f"The hub takes this agent as {identity.membership.agency!r}.")


async def _ask(identity: Identity) -> None:
    async with open_channel(identity) as channel:
        stub = agent_pb2_grpc.AgentServiceStub(channel)
        request = agent_pb2.FetchPolicyRequest(path=ASKED)
        await stub.FetchPolicy(request, timeout=deadline("AgentService/FetchPolicy"))


def _is_from(chain: list[x509.Certificate], authority: x509.Certificate) -> bool:
    if not any(
        hmac.compare_digest(fingerprint(each), fingerprint(authority)) for each in chain
    ):
        return False
    try:
        check_issued(chain[0], authority)
    except IntegrityError:
        return False
    return True


def _is_of_a_hub(found: x509.Certificate) -> bool:
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except _UNREADABLE:
        return False
    return SERVER_NAME in names.value.get_values_for_type(x509.DNSName)


def _issuer(chain: list[x509.Certificate]) -> str:
    """Return who issued a certificate; somebody else chose the name."""
    issuer = chain[0].issuer
    for kind in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        for attribute in issuer.get_attributes_for_oid(kind):
            text = "".join(
                each if each.isprintable() else "?" for each in str(attribute.value)
            )
            if text.strip():
                return text.strip()[:_LONGEST_NAME]
    return "nobody"
