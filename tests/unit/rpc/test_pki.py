# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from accord.core.errors import (
    ConfigurationError,
    IntegrityError,
    InvalidQuery,
    Unauthenticated,
)
from accord.rpc import pki

NOW = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)
Authority = tuple[pki.PrivateKey, x509.Certificate]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return pki.new_authority("accord.example.org", NOW)


def issued(
    authority: Authority,
    label: str = "shelter-north",
    lifetime: datetime.timedelta = HOUR,
) -> x509.Certificate:
    return pki.issue(
        *authority,
        pki.certificate_request(pki.new_key()),
        label=label,
        network="accord.example.org",
        lifetime=lifetime,
        now=NOW,
    )


def test_an_agency_is_who_the_uri_says(authority: Authority) -> None:
    certificate = issued(authority)
    assert pki.agency_of(certificate) == "shelter-north"
    pki.check_issued(certificate, authority[1])
    assert pki.expiry_of(certificate) == NOW + HOUR
    assert certificate.not_valid_before_utc == NOW - datetime.timedelta(minutes=5)
    assert pki.serial_of(certificate) == f"{certificate.serial_number:x}"


def test_the_subject_of_a_request_is_never_taken(authority: Authority) -> None:
    key = pki.new_key()
    csr = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "city-police")])
        )
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.UniformResourceIdentifier("spiffe://x/agency/city-police")]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )
    certificate = pki.issue(
        *authority, csr, label="shelter-north", network="x", lifetime=HOUR, now=NOW
    )
    assert pki.agency_of(certificate) == "shelter-north"
    assert "city-police" not in certificate.subject.rfc4514_string()


def test_a_short_life_begins_hardly_before_now(authority: Authority) -> None:
    certificate = issued(authority, lifetime=datetime.timedelta(seconds=10))
    assert NOW - certificate.not_valid_before_utc <= datetime.timedelta(seconds=1)


@pytest.mark.parametrize("label", ["", "Shelter", "a/b", "x" * 64, "a\n", "-a"])
def test_a_label_that_is_none_is_not_certified(
    authority: Authority, label: str
) -> None:
    with pytest.raises(ValueError, match="identity"):
        issued(authority, label)


def test_a_foreign_request_is_refused() -> None:
    good = pki.certificate_request(pki.new_key())
    other_kind = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .sign(rsa.generate_private_key(65537, 2048), hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )
    other_curve = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .sign(ec.generate_private_key(ec.SECP384R1()), hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )
    tampered = good[:-1] + bytes([good[-1] ^ 1])
    for csr in (b"", b"nonsense", good[:-9], tampered, other_kind, other_curve):
        with pytest.raises(InvalidQuery) as caught:
            pki.requested_key(csr)
        assert caught.value.reason == "CERTIFICATE_REQUEST_INVALID"


def test_a_server_certificate_names_no_agency(authority: Authority) -> None:
    certificate = pki.issue_server(
        *authority,
        pki.new_key().public_key(),
        hosts=["hub.example.org", "10.0.0.1"],
        lifetime=HOUR,
        now=NOW,
    )
    names = certificate.extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    ).value
    assert names.get_values_for_type(x509.DNSName) == ["accord-hub", "hub.example.org"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.1"]
    with pytest.raises(Unauthenticated):
        pki.agency_of(certificate)


@pytest.mark.parametrize(
    "uris",
    [
        [],
        ["spiffe://x/agency/a", "spiffe://x/agency/b"],
        ["spiffe://x/agency/a/b"],
        ["spiffe://x/hub/a"],
        ["https://x/agency/a"],
    ],
)
def test_an_identity_is_one_well_formed_uri(
    authority: Authority, uris: list[str]
) -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "city-police")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(authority[0].public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + HOUR)
    )
    if uris:
        names = [x509.UniformResourceIdentifier(uri) for uri in uris]
        builder = builder.add_extension(
            x509.SubjectAlternativeName(names), critical=False
        )
    with pytest.raises(Unauthenticated) as caught:
        pki.agency_of(builder.sign(authority[0], hashes.SHA256()))
    assert caught.value.reason == "IDENTITY_UNKNOWN"


def test_another_authority_of_the_same_name_does_not_count(
    authority: Authority,
) -> None:
    other = pki.new_authority("accord.example.org", NOW)
    with pytest.raises(IntegrityError) as caught:
        pki.check_issued(issued(authority), other[1])
    assert caught.value.reason == "CERTIFICATE_FOREIGN"


def test_keys_and_certificates_survive_their_files(authority: Authority) -> None:
    key, certificate = authority
    again = pki.load_key(pki.key_pem(key), "ca.key")
    assert again.public_key() == key.public_key()
    pem = pki.certificate_pem(certificate)
    assert pki.load_certificate(pem, "ca.pem") == certificate
    assert len(pki.fingerprint(certificate)) == 32


def test_a_broken_file_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"ca\.key"):
        pki.load_key(b"nonsense", "ca.key")
    with pytest.raises(ConfigurationError, match=r"ca\.pem"):
        pki.load_certificate(b"nonsense", "ca.pem")


@pytest.mark.parametrize("network", ["", "Accord", "a b", "x/y", "-x"])
def test_a_network_has_a_name_like_dns(network: str) -> None:
    with pytest.raises(ConfigurationError):
        pki.new_authority(network, NOW)
