# SPDX-License-Identifier: Apache-2.0
"""Keys and certificates: one authority per hub, one identity per agency.

An agency's identity is the SPIFFE URI ``spiffe://<network>/agency/<label>`` in the
certificate that the hub's authority issued; nothing else of a certificate or request
is ever taken for it. Server certificates carry the DNS name `SERVER_NAME` besides the
hosts, so a client that pinned the authority need not know the hub's host name.
All keys are ECDSA over P-256; certificates are for clients or for servers, never both.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import re
from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from accord.core.agreement_form import LABEL
from accord.core.errors import (
    ConfigurationError,
    IntegrityError,
    InvalidQuery,
    Unauthenticated,
)

SERVER_NAME = "accord-hub"
"""DNS name that every server certificate carries and every client checks."""

AUTHORITY_LIFETIME = datetime.timedelta(days=3650)

_NETWORK = r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?"
_AGENCY_URI = re.compile(rf"spiffe://{_NETWORK}/agency/(?P<label>{LABEL})")
_MOST_SKEW = datetime.timedelta(minutes=5)

PrivateKey = ec.EllipticCurvePrivateKey


def new_key() -> PrivateKey:
    """Return a new P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: PrivateKey) -> bytes:
    """Return the key as unencrypted PKCS #8."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def load_key(pem: bytes, source: str) -> PrivateKey:
    """Read a key that `key_pem` wrote.

    Raises:
        ConfigurationError: KEY_UNREADABLE, naming *source*.
    """
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ConfigurationError(
            "KEY_UNREADABLE", f"{source} holds no P-256 key in PEM; restore it."
        )
    return key


def certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def load_certificate(pem: bytes, source: str) -> x509.Certificate:
    """Read the first certificate of a PEM.

    Raises:
        ConfigurationError: CERTIFICATE_UNREADABLE, naming *source*.
    """
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise ConfigurationError(
            "CERTIFICATE_UNREADABLE", f"{source} holds no certificate in PEM."
        ) from None


def fingerprint(certificate: x509.Certificate) -> bytes:
    """Return the SHA-256 of the certificate's DER, as tokens carry it."""
    der = certificate.public_bytes(serialization.Encoding.DER)
    return hashlib.sha256(der).digest()


def new_authority(
    network: str, now: datetime.datetime
) -> tuple[PrivateKey, x509.Certificate]:
    """Make the certificate authority of a hub.

    Raises:
        ConfigurationError: NETWORK_INVALID.
    """
    if re.fullmatch(_NETWORK, network) is None:
        raise ConfigurationError(
            "NETWORK_INVALID",
            "The network's name has small letters, digits, dots and hyphens, like "
            "a DNS name.",
        )
    key = new_key()
    name = _authority_name(network)
    certificate = (
        _builder(name, name, key.public_key(), now, AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def is_authority_of(certificate: x509.Certificate, network: str) -> bool:
    """Tell whether an authority was made for a network of that name."""
    return certificate.subject == _authority_name(network)


def _authority_name(network: str) -> x509.Name:
    return _name(f"Accord authority of {network}"[:64])


def certificate_request(key: PrivateKey) -> bytes:
    """Return a PKCS #10 request in DER; only its public key matters."""
    request = x509.CertificateSigningRequestBuilder().subject_name(
        _name("accord-agent")
    )
    return request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def requested_key(csr_der: bytes) -> ec.EllipticCurvePublicKey:
    """Return the public key of a request whose signature proves possession.

    Raises:
        InvalidQuery: CERTIFICATE_REQUEST_INVALID.
    """
    try:
        request = x509.load_der_x509_csr(csr_der)
        key = request.public_key()
        good = request.is_signature_valid
    except (ValueError, TypeError):
        good = False
    else:
        if (
            good
            and isinstance(key, ec.EllipticCurvePublicKey)
            and isinstance(key.curve, ec.SECP256R1)
        ):
            return key
    raise InvalidQuery(
        "CERTIFICATE_REQUEST_INVALID",
        "The certificate request is not one for a P-256 key that its sender holds.",
    )


def issue(
    ca_key: PrivateKey,
    ca_cert: x509.Certificate,
    csr_der: bytes,
    *,
    label: str,
    network: str,
    lifetime: datetime.timedelta,
    now: datetime.datetime,
) -> x509.Certificate:
    """Issue an agency's client certificate for the key of a request.

    It begins a little before *now*, for clocks that are late.

    Raises:
        InvalidQuery: CERTIFICATE_REQUEST_INVALID.
    """
    uri = f"spiffe://{network}/agency/{label}"
    if _AGENCY_URI.fullmatch(uri) is None:
        message = "network or label cannot stand in an identity"
        raise ValueError(message)
    public = requested_key(csr_der)
    return (
        _builder(_name(label), ca_cert.subject, public, now, lifetime)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=True
        )
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]),
            critical=False,
        )
        .add_extension(_issuer_id(ca_key), critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def issue_server(
    ca_key: PrivateKey,
    ca_cert: x509.Certificate,
    public_key: ec.EllipticCurvePublicKey,
    *,
    hosts: Sequence[str],
    lifetime: datetime.timedelta,
    now: datetime.datetime,
) -> x509.Certificate:
    """Issue the hub's own server certificate for `SERVER_NAME` and *hosts*."""
    names = [_general_name(host) for host in dict.fromkeys((SERVER_NAME, *hosts))]
    return (
        _builder(_name(SERVER_NAME), ca_cert.subject, public_key, now, lifetime)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=True
        )
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(_issuer_id(ca_key), critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def agency_of(certificate: x509.Certificate) -> str:
    """Return the label of the agency whose certificate this is.

    Raises:
        Unauthenticated: IDENTITY_UNKNOWN, not exactly one well-formed SPIFFE URI.
    """
    try:
        names = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        ).value.get_values_for_type(x509.UniformResourceIdentifier)
    except (x509.ExtensionNotFound, ValueError):
        names = []
    match = _AGENCY_URI.fullmatch(names[0]) if len(names) == 1 else None
    if match is None:
        raise Unauthenticated(
            "IDENTITY_UNKNOWN", "The certificate does not name an agency."
        )
    return match["label"]


def expiry_of(certificate: x509.Certificate) -> datetime.datetime:
    """Return the moment, in UTC, from which on the certificate is no longer good."""
    return certificate.not_valid_after_utc


def serial_of(certificate: x509.Certificate) -> str:
    """Return the serial number in hex, as registers and deny lists keep it."""
    return f"{certificate.serial_number:x}"


def check_issued(certificate: x509.Certificate, authority: x509.Certificate) -> None:
    """Raise unless *authority* issued *certificate*.

    Raises:
        IntegrityError: CERTIFICATE_FOREIGN.
    """
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        raise IntegrityError(
            "CERTIFICATE_FOREIGN",
            "The certificate was not issued by the hub's authority.",
        ) from None


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    now: datetime.datetime,
    lifetime: datetime.timedelta,
) -> x509.CertificateBuilder:
    if lifetime < datetime.timedelta(seconds=1):
        message = "a certificate lives for a second at least"
        raise ValueError(message)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - min(_MOST_SKEW, lifetime / 10))
        .not_valid_after(now + lifetime)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False
        )
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _issuer_id(ca_key: PrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
