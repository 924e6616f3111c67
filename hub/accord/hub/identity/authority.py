# SPDX-License-Identifier: Apache-2.0
"""The hub's keys: its certificate authority, and those that boards list for it.

::

    keys/ca.key             P-256, signs agents' certificates and the hub's own
    keys/ca.pem             the authority's certificate; tokens hold its fingerprint
    keys/requisition.key    Ed25519, signs requisitions
    keys/freshness.key      Ed25519, signs that policies are the newest

``members.yaml`` has the public halves of the last two.

The server's own key is made anew at every start and is never stored.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord.core.errors import ConfigurationError
from accord.core.members import HubForm
from accord.hub.state import write_new
from accord.rpc import pki
from accord.trust.keys import text_of

_CA_KEY: Final = "ca.key"
_CA_CERTIFICATE: Final = "ca.pem"
_REQUISITION_KEY: Final = "requisition.key"
_FRESHNESS_KEY: Final = "freshness.key"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """Loaded keys."""

    key: pki.PrivateKey = dataclasses.field(repr=False)
    certificate: x509.Certificate
    requisition_key: Ed25519PrivateKey = dataclasses.field(repr=False)
    freshness_key: Ed25519PrivateKey = dataclasses.field(repr=False)

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the authority's certificate."""
        return pki.fingerprint(self.certificate)

    @property
    def pem(self) -> bytes:
        """The authority's certificate."""
        return pki.certificate_pem(self.certificate)

    @property
    def hub_form(self) -> HubForm:
        """What members.yaml must say of this hub."""
        return HubForm(
            key=text_of(self.requisition_key), freshness=text_of(self.freshness_key)
        )

    def is_of(self, network: str) -> bool:
        """Tell whether the authority was made for a network of that name."""
        return pki.is_authority_of(self.certificate, network)

    def issue(
        self,
        request: bytes,
        *,
        agency: str,
        network: str,
        lifetime: dt.timedelta,
        now: dt.datetime,
    ) -> x509.Certificate:
        """Issue a certificate for an agency's key.

        Raises:
            InvalidQuery: CERTIFICATE_REQUEST_INVALID.
        """
        return pki.issue(
            self.key,
            self.certificate,
            request,
            label=agency,
            network=network,
            lifetime=lifetime,
            now=now,
        )


def create_authority(folder: Path, network: str, now: dt.datetime) -> Authority:
    """Make all keys of a new hub; none may exist.

    Raises:
        ConfigurationError: NETWORK_INVALID.
        OSError: a file exists, or cannot be written.
    """
    key, certificate = pki.new_authority(network, now)
    write_new(folder / _CA_KEY, pki.key_pem(key))
    write_new(folder / _CA_CERTIFICATE, pki.certificate_pem(certificate), mode=0o644)
    return Authority(
        key=key,
        certificate=certificate,
        requisition_key=_create_signing_key(folder / _REQUISITION_KEY),
        freshness_key=_create_signing_key(folder / _FRESHNESS_KEY),
    )


def _create_signing_key(path: Path) -> Ed25519PrivateKey:
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_new(path, pem)
    return key


def load_authority(folder: Path, now: dt.datetime) -> Authority:
    """Read the keys.

    Raises:
        ConfigurationError: one is missing, unreadable or readable by others, the
            authority's certificate is of another key, or has expired.
    """
    key = pki.load_key(_secret(folder / _CA_KEY), _CA_KEY)
    certificate = pki.load_certificate(
        _content(folder / _CA_CERTIFICATE), _CA_CERTIFICATE
    )
    if certificate.public_key() != key.public_key():
        raise ConfigurationError(
            "KEYS_CONTRADICT",
            f"{_CA_CERTIFICATE} is not the certificate of {_CA_KEY}: restore both"
            " from the same copy.",
        )
    if now >= pki.expiry_of(certificate):
        raise ConfigurationError(
            "AUTHORITY_EXPIRED",
            f"The authority in {_CA_CERTIFICATE} has expired; every agency has to"
            " enrol again with a new one.",
        )
    return Authority(
        key=key,
        certificate=certificate,
        requisition_key=_signing_key(folder / _REQUISITION_KEY),
        freshness_key=_signing_key(folder / _FRESHNESS_KEY),
    )


def _signing_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(_secret(path), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(
            "KEY_UNREADABLE",
            f"{path.name} holds no Ed25519 key in PEM; restore it.",
        )
    return key


def _secret(path: Path) -> bytes:
    content = _content(path)
    if path.stat().st_mode & 0o077:
        raise ConfigurationError(
            "KEY_EXPOSED",
            f"The private key {path.name} can be read by others on this machine: think"
            f" whether it was, then `chmod 600 keys/{path.name}`.",
        )
    return content


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            "KEY_UNREADABLE",
            f"The hub's key file {path.name} cannot be read: {error.strerror}.",
        ) from None
