# SPDX-License-Identifier: Apache-2.0
"""First contact with a hub of which only the authority's fingerprint is known.

Reads the certificate chain that the hub shows, without trusting any of it, and keeps
the one certificate whose SHA-256 is the fingerprint of the token. Everything after
that is dialled anew and trusts that certificate only, so nothing secret is ever sent
over the connection made here.
"""

from __future__ import annotations

import hmac
import selectors
import socket
import time

from cryptography import x509
from OpenSSL import SSL

from accord.core.errors import AccordError, IntegrityError, Unauthenticated, Unreachable
from accord.rpc.address import Address
from accord.rpc.limits import FIRST_CONTACT_SECONDS
from accord.rpc.pki import SERVER_NAME, certificate_pem, check_issued, fingerprint
from accord.rpc.proxy import dial


def fetch_authority(
    address: Address, expected: bytes, timeout: float = FIRST_CONTACT_SECONDS
) -> bytes:
    """Return the PEM of the hub's authority if its fingerprint is *expected*.

    Args:
        address: the hub's public port.
        expected: SHA-256 from a token.
        timeout: seconds for all of it.

    Raises:
        Unauthenticated: WRONG_AUTHORITY.
        Unreachable: HUB_UNREACHABLE, PROXY_REFUSED or PROXY_LOGIN.
        ConfigurationError: PROXY_INVALID.
    """
    chain = presented_chain(address, timeout)
    for certificate in chain:
        if hmac.compare_digest(fingerprint(certificate), expected):
            try:
                check_issued(chain[0], certificate)
            except IntegrityError:
                break
            return certificate_pem(certificate)
    raise Unauthenticated(
        "WRONG_AUTHORITY",
        f"The token does not belong to the hub at {address}: either it is another "
        "hub's, or somebody stands between this machine and the hub. Nothing was sent. "
        "Compare the address with the operator's.",
    )


def presented_chain(
    address: Address, timeout: float = FIRST_CONTACT_SECONDS
) -> list[x509.Certificate]:
    """Return the certificates that whoever answers shows; none of them is trusted.

    Raises:
        Unreachable: HUB_UNREACHABLE, PROXY_REFUSED or PROXY_LOGIN.
        ConfigurationError: PROXY_INVALID.
    """
    end = time.monotonic() + timeout
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_verify(SSL.VERIFY_NONE)
    context.set_alpn_protos([b"h2"])
    try:
        with dial(address, end) as plain:
            plain.settimeout(0.0)
            connection = SSL.Connection(context, plain)
            connection.set_tlsext_host_name(SERVER_NAME.encode())
            connection.set_connect_state()
            _shake_hands(connection, plain, end)
            chain = connection.get_peer_cert_chain(as_cryptography=True)
    except (OSError, SSL.Error, ValueError):
        raise _unreachable(address) from None
    if not chain:
        raise _unreachable(address)
    return chain


def _shake_hands(connection: SSL.Connection, plain: socket.socket, end: float) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(plain, selectors.EVENT_READ)
        while True:
            try:
                return connection.do_handshake()
            except SSL.WantReadError:
                selector.modify(plain, selectors.EVENT_READ)
            except SSL.WantWriteError:
                selector.modify(plain, selectors.EVENT_WRITE)
            if not selector.select(max(end - time.monotonic(), 0)):
                raise TimeoutError


def _unreachable(address: Address) -> AccordError:
    return Unreachable(
        "HUB_UNREACHABLE",
        f"No hub answers at {address}. Check the address (the public port is 8443 by "
        "default), the network and that the hub runs; then try again.",
    )
